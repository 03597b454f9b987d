# SPDX-License-Identifier: Apache-2.0
"""What is learnt of a camera survives the worker: status, recalled, and learnt again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.camera import CameraStatus, LearnedStatus
from camfleet_worker.camera.status_mapping import FROM_RTSP, learned_from_stream, learned_status
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtsp.client import PlayingStream

VALUES: dict[object, st.SearchStrategy[Any]] = {
    str: st.sampled_from(["", "a", "bc"]),
    int: st.integers(0, 4096),
    int | None: st.none() | st.integers(-(2**40), 2**40),
}
FIELDS = {name: VALUES[field.annotation] for name, field in LearnedStatus.model_fields.items()}
LEARNED = st.builds(LearnedStatus, **FIELDS)
"""Every field, also one that is added tomorrow, with any value."""


@given(resolved=LEARNED, before=st.none() | LEARNED, generation=st.integers(0, 99))
def test_every_fact_of_a_resolve_survives_in_the_status_and_the_restart_after_it(
    resolved: LearnedStatus, before: LearnedStatus | None, generation: int
) -> None:
    status = learned_status(resolved, generation, before)
    stored = CameraStatus.read(CameraStatus(learned=status).to_wire()).learned
    assert stored == status
    of_resolve = LearnedStatus.model_fields.keys() - {*FROM_RTSP, "generation"}
    for name in of_resolve - {"clock_offset_seconds"}:
        assert getattr(status, name) == getattr(resolved, name), name
    for name in FROM_RTSP:
        assert getattr(status, name) == getattr(before or LearnedStatus(), name), name
    assert status.generation == generation
    # A resolve that finds the same again changes nothing: no write.
    assert learned_status(status, generation, status) == status


@given(learned=LEARNED)
def test_a_stream_changes_no_value_that_only_onvif_gives(learned: LearnedStatus) -> None:
    stream = SimpleNamespace(codec=Codec.H265, certificate="ab12", transport="udp")
    after = learned_from_stream(learned, cast(PlayingStream, stream))
    changed = {"codec": "H265", "stream_certificate": "ab12", "transport": "udp"}
    assert after == learned.model_copy(update=changed)


@given(offset=st.integers(-100, 100), tremble=st.integers(-2, 2))
def test_an_offset_that_only_trembles_is_no_news(offset: int, tremble: int) -> None:
    before = LearnedStatus(clock_offset_seconds=offset)
    now = LearnedStatus(clock_offset_seconds=offset + tremble)
    assert learned_status(now, 0, before) == before
