# SPDX-License-Identifier: Apache-2.0
"""The receiver's ledger: what it tells of frames and audio, and how much memory that takes."""

from __future__ import annotations

import hashlib
import tracemalloc

from vms.receiver.ledger import Ledger, picture_hash

PATH = "/live/gate"
LABELLED = b"\x00\x00\x01\x06camfleet-picturegate:17\x80"


def picture(number: int) -> bytes:
    return b"\x00\x00\x01\x65" + number.to_bytes(4, "big") + b"\x01"


def ledger_with(count: int, kept: int) -> Ledger:
    ledger = Ledger(kept)
    publisher = ledger.published(PATH, "h264")
    for number in range(1, count + 1):
        ledger.frame(PATH, publisher, picture(number), number % 25 == 1, number / 25)
        ledger.audio(PATH, publisher, picture(number), number / 50)
    return ledger


def test_a_frame_is_reported_as_it_came() -> None:
    ledger = Ledger()
    publisher = ledger.published(PATH, "h264")
    ledger.frame(PATH, publisher, picture(1) + LABELLED, True, 0.04)
    ledger.audio(PATH, publisher, b"aac", 0.02)
    (frame,) = ledger.frames_after(PATH, 0) or []
    arrived_s = frame.pop("arrived_s")
    assert arrived_s > 0
    assert frame == {
        "number": 1,
        "publisher": 1,
        "key": True,
        "pts_s": 0.04,
        "size": len(picture(1) + LABELLED),
        "sha256": picture_hash(picture(1), "h264"),
        "label": "gate:17",
    }
    assert ledger.audio_units(PATH) == [
        {"publisher": 1, "pts_s": 0.02, "sha256": hashlib.sha256(b"aac").hexdigest()}
    ]


def test_the_frames_after_a_number_are_those_that_are_still_kept() -> None:
    ledger = ledger_with(count=30, kept=10)
    for after, numbers in ((0, range(21, 31)), (25, range(26, 31)), (30, ()), (99, ())):
        found = ledger.frames_after(PATH, after) or []
        assert [frame["number"] for frame in found] == list(numbers)
    assert len(ledger.audio_units(PATH) or []) == 10
    assert ledger.as_json()[PATH]["frames"] == 30
    assert ledger.frames_after("/live/other", 0) is None
    assert ledger.audio_units("/live/other") is None


def test_a_path_keeps_its_latest_frames_in_few_octets_each() -> None:
    kept = 2_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        ledger = ledger_with(count=3 * kept, kept=kept)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ledger.frames_after(PATH, 0) or []) == kept
    assert after - before < kept * 220, "a frame and an audio unit together"
