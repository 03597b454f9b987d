# SPDX-License-Identifier: Apache-2.0
"""What is remembered of a camera, and when ONVIF must be asked again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from camfleet_api.camera import CameraStatus, DeviceStatus, LearnedStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.camera.learnt import Learnt
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.reporter.conditions import runtime_status
from camfleet_worker.reporter.facts import CameraSnapshot, Failure
from camfleet_worker.resolve import Resolution
from camfleet_worker.resolve.freshness import MAX_AGE_S
from camfleet_worker.rtsp.client import PlayingStream
from device_tape import LEARNED
from shard_entries import shard_camera
from virtual_time import START

CAMERA = shard_camera(generation=3)
ANSWER = Resolution(DeviceStatus(serial_number="AB123456"), LEARNED)
SESSION = SimpleNamespace(uncounted_ends_s=(30.0, 120.0))
UDP = cast(
    PlayingStream,
    SimpleNamespace(codec=Codec.H264, certificate="", transport="udp", session=SESSION),
)


def resolved(answer: Resolution = ANSWER, now: float = 0.0) -> Learnt:
    learnt = Learnt()
    learnt.resolved(answer, CAMERA, now)
    return learnt


def asks(learnt: Learnt, generation: int = 3, now: float = 1.0, proven: bool = True) -> bool:
    return learnt.must_resolve(generation, now, proven=proven)


def test_onvif_is_asked_for_what_is_not_known_or_was_learnt_under_another_declaration() -> None:
    assert asks(Learnt())
    assert not asks(resolved())
    assert asks(resolved(), generation=4)
    assert asks(resolved(), proven=False)
    assert asks(resolved(), now=MAX_AGE_S)


def test_an_edit_that_changes_no_learnt_value_needs_no_resolve() -> None:
    learnt = resolved()
    learnt.renew(4)
    assert not asks(learnt, generation=4)


def test_a_failure_of_the_learnt_stream_has_onvif_asked_unless_it_had_pictures() -> None:
    learnt = resolved()
    learnt.ended(Reason.STREAM_REFUSED, 1.0, streamed=False)
    assert asks(learnt)
    learnt.ended(Reason.STREAM_REFUSED, 1.0, streamed=True)
    assert not asks(learnt)


def test_beside_a_stream_onvif_is_asked_once_a_day_or_at_the_recheck() -> None:
    learnt = resolved(now=100.0)
    assert learnt.due_in_s(100.0) == MAX_AGE_S
    learnt.recheck_in(300.0, 200.0)
    assert learnt.due_in_s(200.0) == 300.0
    learnt.not_resolved(500.0)
    assert learnt.due_in_s(500.0) == MAX_AGE_S


def test_a_former_workers_knowledge_is_taken_over_without_what_is_seen_here() -> None:
    side = tuple(
        Failure(condition, reason, "As it was.")
        for condition, reason in (
            (ConditionType.CONFORMANT, Reason.DIFFERS_FROM_PROFILE),
            (ConditionType.IMAGE_HEALTHY, Reason.COVERED),
            (ConditionType.STABLE, Reason.FLAPPING),
        )
    )
    learned = LearnedStatus(stream_path="/live", codec="H264", generation=3)
    learnt = Learnt()
    learnt.recall(runtime_status(CameraSnapshot(3, side=side, learned=learned), START), 0.0)
    assert learnt.status == learned
    assert not asks(learnt)
    assert [failure.condition for failure in learnt.side] == [ConditionType.CONFORMANT]


def test_udp_is_remembered_until_nothing_comes_by_it() -> None:
    learnt = resolved()
    learnt.opened(UDP, 0.0)
    assert learnt.status is not None
    assert learnt.status.transport == "udp"
    learnt.nothing_arrived()
    assert learnt.status.transport == ""


def test_the_size_that_pictures_have_counts_more_than_what_onvif_announced() -> None:
    learnt = resolved()
    learnt.streams(VideoFormat(Codec.H264, (b"sps", b"pps"), 640, 360))
    assert learnt.status is not None
    assert (learnt.status.width, learnt.status.height) == (640, 360)


def test_before_the_first_resolve_a_stream_teaches_nothing() -> None:
    learnt = Learnt()
    learnt.opened(UDP, 0.0)
    learnt.streams(VideoFormat(Codec.H264, (b"sps", b"pps"), 640, 360))
    learnt.nothing_arrived()
    learnt.renew(2)
    assert learnt.status is None


def test_a_keepalive_that_was_found_outlives_a_resolve_and_the_worker() -> None:
    learnt = resolved()
    learnt.opened(UDP, 0.0)
    learnt.ended(Reason.STREAM_ENDED, 60.0, streamed=True)
    assert learnt.keepalive == "GET_PARAMETER"
    learnt.opened(UDP, 100.0)
    learnt.lasts(219.0)
    assert learnt.status is not None
    assert learnt.status.keepalive == "", "it is not known yet that it helps"
    learnt.lasts(221.0)
    learnt.resolved(ANSWER, CAMERA, 300.0)
    assert learnt.status.keepalive == "GET_PARAMETER"
    next_worker = Learnt()
    next_worker.recall(CameraStatus(learned=learnt.status), 0.0)
    assert next_worker.keepalive == "GET_PARAMETER"
