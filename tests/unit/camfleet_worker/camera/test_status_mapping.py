# SPDX-License-Identifier: Apache-2.0
"""What is learnt of a camera survives the worker: status, recalled, and learnt again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.camera import CameraStatus, LearnedStatus
from camfleet_worker.camera.status_mapping import learned_from_stream, learned_status, recalled
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtsp.client import PlayingStream

TEXT = st.text("abcdef0123456789/-", max_size=12)
LEARNED = st.builds(
    LearnedStatus,
    clock_offset_seconds=st.none() | st.integers(-(2**40), 2**40),
    auth_scheme=st.sampled_from(["digest", "ws-username-token", "none"]),
    media_version=st.sampled_from(["1", "2"]),
    media_path=TEXT,
    scheme=st.sampled_from(["", "http", "https"]),
    device_path=TEXT,
    certificate=TEXT,
    stream_certificate=TEXT,
    transport=st.sampled_from(["", "udp"]),
    profile_token=TEXT,
    stream_path=TEXT,
    codec=st.sampled_from(["H264", "H265"]),
    width=st.integers(0, 4096),
    height=st.integers(0, 4096),
    generation=st.integers(0, 99),
)


@given(learned=LEARNED)
def test_everything_learnt_survives_a_restart_and_a_resolve_that_finds_the_same(
    learned: LearnedStatus,
) -> None:
    stored = CameraStatus.read(CameraStatus(learned=learned).to_wire()).learned
    assert stored == learned
    assert learned_status(recalled(stored), stored.generation, stored) == learned


@given(learned=LEARNED, generation=st.integers(0, 99))
def test_a_resolve_keeps_what_the_rtsp_port_has_taught(
    learned: LearnedStatus, generation: int
) -> None:
    after = learned_status(recalled(LearnedStatus(stream_path="/new")), generation, learned)
    kept = ("stream_certificate", "transport")
    assert [getattr(after, name) for name in kept] == [getattr(learned, name) for name in kept]
    assert (after.stream_path, after.generation) == ("/new", generation)


@given(learned=LEARNED)
def test_a_stream_teaches_nothing_that_only_onvif_can_say(learned: LearnedStatus) -> None:
    stream = SimpleNamespace(codec=Codec.H265, certificate="ab12", transport="udp")
    after = learned_from_stream(learned, cast(PlayingStream, stream))
    changed = {"codec": "H265", "stream_certificate": "ab12", "transport": "udp"}
    assert after == learned.model_copy(update=changed)


@given(offset=st.integers(-100, 100), tremble=st.integers(-2, 2))
def test_an_offset_that_only_trembles_is_no_news(offset: int, tremble: int) -> None:
    before = LearnedStatus(clock_offset_seconds=offset)
    now = recalled(LearnedStatus(clock_offset_seconds=offset + tremble))
    assert learned_status(now, 0, before) == before
