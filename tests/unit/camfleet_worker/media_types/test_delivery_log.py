# SPDX-License-Identifier: Apache-2.0
"""What was seen to pass becomes stretches: a slow camera is one, a silence ends it."""

from __future__ import annotations

from camfleet_api.cause import Cause
from camfleet_worker.media_types.delivery_log import (
    PAUSE_US,
    SILENCE_US,
    DeliveryLog,
    Failure,
    Stretch,
)

SECOND = 1_000_000


def seen(*at_us: int) -> DeliveryLog:
    evidence = DeliveryLog()
    for one in at_us:
        evidence.seen(one)
    return evidence


def stretches(evidence: DeliveryLog) -> list[Stretch]:
    assert evidence.under_way is not None
    return [*evidence.ended, evidence.under_way]


def test_a_slow_camera_is_one_stretch_and_a_silence_ends_it() -> None:
    last = 10 * SECOND + SILENCE_US
    assert stretches(seen(10 * SECOND, last, last + SILENCE_US + 1)) == [
        (10 * SECOND, last),
        (last + SILENCE_US + 1, last + SILENCE_US + 1),
    ]


def test_after_a_break_a_short_pause_is_none_and_a_longer_one_is_a_gap() -> None:
    evidence = seen(10 * SECOND)
    evidence.broken()
    evidence.seen(10 * SECOND + PAUSE_US)
    assert stretches(evidence) == [(10 * SECOND, 11 * SECOND)]
    evidence.broken()
    evidence.seen(11 * SECOND + PAUSE_US + 1)
    assert len(stretches(evidence)) == 2


def test_the_last_pictures_of_a_segment_may_pass_after_the_first_of_the_next() -> None:
    assert stretches(seen(10 * SECOND, 14 * SECOND, 12 * SECOND, 15 * SECOND)) == [
        (10 * SECOND, 15 * SECOND)
    ]


def test_a_clock_that_was_set_back_begins_another_stretch() -> None:
    assert stretches(seen(50 * SECOND, 51 * SECOND, 20 * SECOND, 21 * SECOND)) == [
        (50 * SECOND, 51 * SECOND),
        (20 * SECOND, 21 * SECOND),
    ]


def test_a_failure_that_is_told_again_and_again_is_noted_once() -> None:
    evidence = seen(10 * SECOND)
    for _ in range(5):
        evidence.failed(Cause.VMS)
    assert list(evidence.failures) == [Failure(10 * SECOND, Cause.VMS)]


def test_nothing_is_kept_for_a_reader_that_never_comes() -> None:
    evidence = DeliveryLog()
    for number in range(5_000):
        evidence.seen(number * 10 * SECOND)
        evidence.key_frames.append(number)
        evidence.failed(Cause.VMS)
    kept = (len(evidence.ended), len(evidence.key_frames), len(evidence.failures))
    assert max(kept) < 2_000
