# SPDX-License-Identifier: Apache-2.0
"""The models: strict when written, lenient when read, and equal to themselves over the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from camfleet_api.camera import CameraSpec, VideoSource
from camfleet_api.conditions import Condition
from camfleet_api.policy import ZONE_RULE, Zone
from camfleet_api.site import SiteSpec

LEAST = {"siteRef": "barracks", "host": "192.0.2.1", "zone": "gate"}
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
SPECS = st.fixed_dictionaries(
    {"siteRef": NAMES, "host": NAMES, "zone": st.sampled_from([zone.value for zone in Zone])},
    optional={
        "displayName": st.text(min_size=1, max_size=200),
        "paused": st.booleans(),
        "ports": st.fixed_dictionaries(
            {}, optional={"onvif": st.integers(1, 65535), "rtsp": st.integers(1, 65535)}
        ),
        "source": st.one_of(
            st.builds(lambda n: {"channel": n}, st.integers(1, 256)),
            st.builds(lambda t: {"profileToken": t}, st.text(min_size=1, max_size=64)),
        ),
        "overrides": st.fixed_dictionaries({}, optional={"recording": st.booleans()}),
    },
)


@given(SPECS)
def test_a_spec_is_the_same_after_the_wire(wire: dict[str, object]) -> None:
    spec = CameraSpec.read(wire)
    assert CameraSpec.read(spec.to_wire()) == spec


@given(SPECS)
def test_defaults_are_filled_in_once(wire: dict[str, object]) -> None:
    filled = CameraSpec.read(wire).to_wire()
    assert CameraSpec.read(filled).to_wire() == filled
    assert {key: filled[key] for key in LEAST} == {key: wire[key] for key in LEAST}


def test_reading_leaves_out_what_another_version_wrote() -> None:
    assert "future" not in CameraSpec.read(LEAST | {"future": 1}).to_wire()


def test_making_refuses_what_is_unknown() -> None:
    with pytest.raises(ValidationError, match="future"):
        CameraSpec.model_validate(LEAST | {"future": 1})


def test_a_model_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CameraSpec.read(LEAST).paused = True  # type: ignore[misc]


def test_two_specs_share_no_default() -> None:
    one, other = (SiteSpec.read({"displayName": "x", "managedBy": "civil", "profileRef": "p"})
                  for _ in range(2))  # fmt: skip
    assert one.monitoring_system_refs is not other.monitoring_system_refs


def test_absent_is_not_null_on_the_wire() -> None:
    assert VideoSource(channel=2).to_wire() == {"channel": 2}


def test_the_zone_rule_forbids_exactly_the_forbidden_zones() -> None:
    assert ZONE_RULE.rule == "!(self.zone in ['room', 'toilet', 'bathroom'])"


def test_times_carry_their_zone() -> None:
    wire = {
        "type": "Ready", "status": "True", "reason": "Ready",
        "lastTransitionTime": "2021-06-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    condition = Condition.read(wire)
    assert condition.last_transition_time.tzinfo is not None
    assert condition.to_wire() == wire
