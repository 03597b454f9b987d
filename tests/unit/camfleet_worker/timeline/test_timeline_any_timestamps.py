# SPDX-License-Identifier: Apache-2.0
"""Whatever a camera stamps, presentation times rise."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.timeline.timeline import Timeline


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 3)), max_size=80))
def test_random_timestamps_rise(pictures: list[tuple[int, float]]) -> None:
    timeline, now_s, last = Timeline(), 100.0, -1
    for timestamp, wait_s in pictures:
        now_s += wait_s
        pts = timeline.stamp(timestamp, now_s)
        assert pts > last
        last = pts


@given(st.integers(0, 2**32 - 1), st.integers(2, 500))
def test_one_timestamp_for_every_picture_still_follows_our_clock(stamp: int, count: int) -> None:
    timeline = Timeline()
    pts = [timeline.stamp(stamp, 50.0 + index / 10) for index in range(count)]
    assert all(later > earlier for earlier, later in itertools.pairwise(pts))
    assert abs(pts[-1] / 90_000 - (count - 1) / 10) < 25
