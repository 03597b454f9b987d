# SPDX-License-Identifier: Apache-2.0
"""Access units count as delivered when the peer has acknowledged their last octet."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.relay.ack_tracker import ASK_EVERY_S, AckTracker

FORMAT = VideoFormat(Codec.H264, (), 320, 240)
SECOND = 1_000_000


def unit(at_s: float, key: bool = False) -> AccessUnit:
    return AccessUnit(b"picture", key, int(at_s * 90_000), at_s, 0.0, FORMAT)


def test_an_access_unit_of_which_an_octet_is_missing_is_not_there() -> None:
    evidence = DeliveryLog()
    acks = AckTracker(evidence)
    acks.sent(100, [unit(10, key=True), unit(11)])
    acks.sent(100, [unit(12)])
    acks.unacknowledged(101)
    assert evidence.under_way is None
    acks.unacknowledged(100)
    assert evidence.under_way == (10 * SECOND, 11 * SECOND)
    assert list(evidence.key_frames) == [10 * SECOND]
    acks.unacknowledged(0)
    assert evidence.under_way == (10 * SECOND, 12 * SECOND)


def test_access_units_under_way_when_the_connection_broke_never_count() -> None:
    evidence = DeliveryLog()
    acks = AckTracker(evidence)
    acks.sent(100, [unit(10, key=True)])
    acks.unacknowledged(0)
    acks.sent(100, [unit(11, key=True)])
    acks.begin()
    acks.sent(50, [unit(13, key=True)])
    acks.unacknowledged(0)
    assert (list(evidence.ended), evidence.under_way) == (
        [(10 * SECOND, 10 * SECOND)],
        (13 * SECOND, 13 * SECOND),
    )
    assert list(evidence.key_frames) == [10 * SECOND, 13 * SECOND]


def test_pictures_that_were_left_out_are_a_gap_where_they_are_missing() -> None:
    evidence = DeliveryLog()
    acks = AckTracker(evidence)
    acks.sent(100, [unit(10)])
    acks.dropped()
    acks.sent(100, [unit(12)])
    acks.unacknowledged(0)
    assert list(evidence.ended) == [(10 * SECOND, 10 * SECOND)]


def test_it_is_asked_only_while_something_is_under_way_and_not_at_every_tick() -> None:
    acks = AckTracker(DeliveryLog())
    assert not acks.due(100.0)
    acks.sent(100, [unit(10)])
    assert acks.due(100.0)
    assert not acks.due(100.1)
    assert acks.due(100.0 + ASK_EVERY_S)
    acks.unacknowledged(0)
    assert not acks.due(200.0)


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=20),
    st.lists(st.integers(0, 20_000), max_size=20),
)
def test_whatever_was_acknowledged_what_counts_is_what_lies_before_it(
    sizes: list[int], answers: list[int]
) -> None:
    evidence = DeliveryLog()
    acks = AckTracker(evidence)
    for number, size in enumerate(sizes):
        acks.sent(size, [unit(100 + number / 10)])
    for unacknowledged in answers:
        acks.unacknowledged(unacknowledged)
    there = sum(sizes) - min(answers, default=sum(sizes))
    whole = sum(1 for end in accumulate(sizes) if end <= there)
    until_us = None if evidence.under_way is None else evidence.under_way.until_us
    assert until_us == (int((100 + (whole - 1) / 10) * SECOND) if whole else None)
