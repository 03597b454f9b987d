# SPDX-License-Identifier: Apache-2.0
"""The relay's queue: bounded, and what leaves it can always be decoded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.media_types.sink_state import SinkCounters
from camfleet_worker.relay.gop_queue import GopQueue

VIDEO = VideoFormat(Codec.H264, (b"\x67", b"\x68"), 1, 1)


def unit(number: int, key: bool, size: int = 10) -> AccessUnit:
    return AccessUnit(bytes(size), key, number, 0.0, 0.0, VIDEO)


# True: push a key frame of that size; False: push another picture; None: the wire takes one.
STEPS = st.lists(st.tuples(st.sampled_from([True, False, False, None]), st.integers(1, 60)))


@given(STEPS)
def test_it_is_bounded_counts_everything_and_never_breaks_a_gop(
    steps: list[tuple[bool | None, int]],
) -> None:
    counters = SinkCounters()
    queue = GopQueue(100, counters)
    pushed: list[AccessUnit] = []
    taken: list[AccessUnit] = []
    for key, size in steps:
        if key is not None:
            pushed.append(unit(len(pushed), key, size))
            queue.push(pushed[-1])
        elif len(queue):
            taken.append(queue.pop())
        assert queue.bytes <= 100
    waiting = len(queue)
    assert len(taken) + waiting + counters.dropped_access_units == len(pushed)
    while len(queue):
        taken.append(queue.pop())
    for index, item in enumerate(taken):
        follows = index > 0 and taken[index - 1].pts_90k == item.pts_90k - 1
        assert item.key or follows, "a picture without those it builds on"


def test_the_oldest_gops_go_first() -> None:
    counters = SinkCounters()
    queue = GopQueue(60, counters)
    for number in range(7):
        in_time = queue.push(unit(number, key=number % 3 == 0))
    assert not in_time
    assert [queue.pop().pts_90k for _ in range(len(queue))] == [6]
    assert (counters.dropped_gops, counters.dropped_access_units) == (2, 6)


def test_a_gop_larger_than_the_queue_goes_whole_up_to_the_next_key_frame() -> None:
    counters = SinkCounters()
    queue = GopQueue(25, counters)
    for number in range(5):
        queue.push(unit(number, key=number == 0))
    assert len(queue) == 0
    queue.push(unit(5, key=True))
    assert queue.first.pts_90k == 5
    assert (counters.dropped_gops, counters.dropped_access_units) == (1, 5)


def test_a_new_connection_begins_at_a_key_frame() -> None:
    counters = SinkCounters()
    queue = GopQueue(1000, counters)
    for number in range(6):
        queue.push(unit(number, key=number % 4 == 0))
    queue.pop()
    queue.begin_at_key()
    assert queue.first.pts_90k == 4
    assert counters.dropped_access_units == 3
