# SPDX-License-Identifier: Apache-2.0
"""When an open session is given up, and for which reason."""

from __future__ import annotations

import pytest

from camfleet_api.conditions import Reason
from camfleet_worker.media.watchdog import Patience, Watchdog


def reason(watchdog: Watchdog, now: float, awaiting_key: bool) -> Reason | None:
    error = watchdog.verdict(now, awaiting_key)
    return error.reason if error else None


def test_ten_seconds_without_packets_are_no_frames() -> None:
    watchdog = Watchdog(100.0)
    watchdog.packets_seen(105.0)
    watchdog.key_frame_seen(105.0)
    assert reason(watchdog, 114.9, False) is None
    assert reason(watchdog, 115.0, False) is Reason.NO_FRAMES


def test_silence_with_other_packets_is_audio_only_and_old_audio_does_not_count() -> None:
    watchdog = Watchdog(100.0)
    assert watchdog.verdict(105.0, True, others=3) is None
    heard = watchdog.verdict(110.0, True, others=3)
    later = watchdog.verdict(116.0, True, others=3)
    assert heard is not None
    assert heard.reason is Reason.AUDIO_ONLY
    assert later is not None
    assert later.reason is Reason.NO_FRAMES


def test_silence_over_udp_names_udp() -> None:
    error = Watchdog(100.0, over_udp=True).verdict(110.0, True)
    assert error is not None
    assert "UDP" in error.detail


@pytest.mark.parametrize("now", [110.0, 300.0])
def test_silence_is_no_frames_and_never_no_key_frame(now: float) -> None:
    assert reason(Watchdog(100.0), now, True) is Reason.NO_FRAMES


def test_packets_without_a_first_key_frame_are_no_key_frame() -> None:
    watchdog = Watchdog(100.0)
    watchdog.packets_seen(110.0)
    assert reason(watchdog, 109.9, True) is None
    assert reason(watchdog, 110.0, True) is Reason.NO_KEYFRAME


def test_pictures_that_follow_on_each_other_need_no_key_frame_for_a_minute() -> None:
    watchdog = Watchdog(100.0)
    watchdog.key_frame_seen(101.0)
    watchdog.packets_seen(160.0)
    assert reason(watchdog, 160.0, False) is None
    watchdog.packets_seen(161.0)
    assert reason(watchdog, 161.0, False) is Reason.NO_KEYFRAME


def test_after_a_loss_twice_the_usual_interval_is_waited() -> None:
    watchdog = Watchdog(100.0)
    for now in (101.0, 121.0, 141.0):
        watchdog.key_frame_seen(now)
    watchdog.packets_seen(180.0)
    assert reason(watchdog, 180.0, True) is None
    assert reason(watchdog, 181.0, True) is Reason.NO_KEYFRAME


def test_patience_grows_for_cameras_with_rare_key_frames_and_ends() -> None:
    patience, seen = Patience(), []
    for _ in range(4):
        patience = patience.longer()
        seen.append(patience.no_key_frame_s)
    assert seen == [20.0, 40.0, 60.0, 60.0]


def test_the_message_does_not_change_while_the_fact_is_the_same() -> None:
    first, later = Watchdog(0.0).verdict(10.0, True), Watchdog(0.0).verdict(99.0, True)
    assert first is not None
    assert later is not None
    assert first.message == later.message
