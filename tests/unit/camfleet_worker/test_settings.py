# SPDX-License-Identifier: Apache-2.0
"""The environment is read once, and what is wrong in it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from camfleet_base.environment import SettingsError
from camfleet_worker.settings import VARIABLES, Settings, ViewerSettings

LEAST = {"CAMFLEET_SHARD": "shard-0", "CAMFLEET_NAMESPACE": "phu-yen"}


def test_a_shard_and_a_namespace_are_enough() -> None:
    settings = Settings.of(LEAST)
    assert settings.holder == "shard-0"
    assert settings.recordings == Path("/recordings")
    assert settings.state == Path("/state")
    assert settings.metrics_port == 9090
    assert settings.snapshot_port == 9091
    assert settings.tick_s == 0.1
    assert settings.kubeconfig is None


VIEWER = {
    "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE": "camfleet-snapshots",
    "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT": "camfleet-page:page",
    "POD_IP": "10.244.0.7",
}


def test_there_is_no_second_listener_unless_a_viewer_is_named() -> None:
    assert Settings.of(LEAST | {"POD_IP": "10.244.0.7"}).viewer is None
    assert Settings.of(LEAST | VIEWER).viewer == ViewerSettings(
        "camfleet-snapshots", "system:serviceaccount:camfleet-page:page", "10.244.0.7", 9092
    )


def test_the_tick_is_given_in_milliseconds() -> None:
    assert Settings.of(LEAST | {"CAMFLEET_TICK_MS": "40"}).tick_s == 0.04


def test_recordings_have_a_limit_only_where_one_is_set() -> None:
    most = Settings.of(LEAST | {"CAMFLEET_RECORDINGS_MAX_BYTES": "9663676416"})
    assert most.recordings_max_bytes == 9663676416
    assert Settings.of(LEAST).recordings_max_bytes is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"CAMFLEET_SHARD": ""}, "CAMFLEET_SHARD"),
        ({"CAMFLEET_NAMESPACE": ""}, "CAMFLEET_NAMESPACE"),
        ({"CAMFLEET_TICK_MS": "soon"}, "CAMFLEET_TICK_MS"),
        ({"CAMFLEET_TICK_MS": "1"}, "from 10 to 1000"),
        ({"CAMFLEET_METRICS_PORT": "70000"}, "CAMFLEET_METRICS_PORT"),
        ({"CAMFLEET_LEASE_SECONDS": "0"}, "CAMFLEET_LEASE_SECONDS"),
        ({**VIEWER, "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE": ""}, "VIEWER_AUDIENCE is not set"),
        ({**VIEWER, "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT": ""}, "VIEWER_ACCOUNT is not set"),
        ({**VIEWER, "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT": "page"}, "as namespace:name"),
        ({**VIEWER, "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT": "a:b:c"}, "as namespace:name"),
        ({**VIEWER, "POD_IP": ""}, "POD_IP is not set"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings.of(LEAST | changes)


class NotingEnvironment(dict[str, str]):
    """An environment that notes which variables are asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_every_variable_that_is_read_is_in_the_reference() -> None:
    environment = NotingEnvironment(LEAST | VIEWER)
    Settings.of(environment)
    assert environment.asked == {one.name for one in VARIABLES}
