# SPDX-License-Identifier: Apache-2.0
"""The environment, read once; what is wrong is named."""

from __future__ import annotations

from typing import Any

import pytest

from camfleet_base.environment import SettingsError
from camfleet_operator.settings import VARIABLES, settings_from_env

LEAST = {
    "CAMFLEET_NAMESPACE": "camfleet-system",
    "CAMFLEET_SERVICE_ACCOUNT": "camfleet-operator",
    "POD_NAME": "pod-1",
    "CAMFLEET_WORKER_IMAGE": "camfleet:1",
}


def test_four_variables_are_enough() -> None:
    settings = settings_from_env(LEAST)
    assert settings.cameras_per_shard == 200
    assert settings.worker.image == "camfleet:1"


@pytest.mark.parametrize("name", LEAST)
def test_each_required_variable_must_be_set(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        settings_from_env({key: value for key, value in LEAST.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAMFLEET_CAMERAS_PER_SHARD", "0"),
        ("CAMFLEET_CAMERAS_PER_SHARD", "201"),
        ("CAMFLEET_CAMERAS_PER_SHARD", "1.5"),
        ("CAMFLEET_WRITES_PER_SECOND", "many"),
        ("CAMFLEET_WORKER_RESOURCES", "{"),
        ("CAMFLEET_WORKER_RESOURCES", "[]"),
        ("CAMFLEET_WORKER_TOLERATIONS", "{}"),
        ("CAMFLEET_LOG_LEVEL", "LOUD"),
        ("CAMFLEET_ELECTION_RENEW_SECONDS", "30"),
        ("CAMFLEET_WORKER_IMAGE_PULL_POLICY", "Sometimes"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings_from_env({**LEAST, name: value})


def test_lists_and_documents_are_read() -> None:
    settings = settings_from_env(
        {
            **LEAST,
            "CAMFLEET_WORKER_IMAGE_PULL_SECRETS": "one, two",
            "CAMFLEET_WORKER_ENV": '{"A": "1"}',
            "CAMFLEET_WORKER_TOLERATIONS": '[{"operator": "Exists"}]',
        }
    )
    assert settings.worker.image_pull_secrets == ("one", "two")
    assert settings.worker.env == {"A": "1"}
    assert settings.worker.tolerations == ({"operator": "Exists"},)


def test_a_viewer_of_snapshots_is_named_whole_or_not_at_all() -> None:
    assert settings_from_env(LEAST).worker.viewer is None
    whole = {
        "CAMFLEET_SNAPSHOT_VIEWER_NAMESPACES": "phu-yen,dak-lak",
        "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE": "camfleet-snapshots",
        "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT": "camfleet-page:page",
    }
    viewer = settings_from_env({**LEAST, **whole}).worker.viewer
    assert viewer is not None
    assert viewer.namespaces == {"phu-yen", "dak-lak"}
    assert viewer.port == 9092
    for name in ("CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE", "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT"):
        with pytest.raises(SettingsError, match=f"{name} is not set"):
            settings_from_env({**LEAST, **whole, name: ""})


class NotingEnvironment(dict[str, str]):
    """An environment that notes which variables are asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_every_variable_that_is_read_is_in_the_reference() -> None:
    environment = NotingEnvironment(
        {
            **LEAST,
            "CAMFLEET_SNAPSHOT_VIEWER_NAMESPACES": "phu-yen",
            "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE": "camfleet-snapshots",
            "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT": "camfleet-page:page",
        }
    )
    settings_from_env(environment)
    assert environment.asked == {one.name for one in VARIABLES}
