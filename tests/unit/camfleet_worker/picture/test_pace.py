# SPDX-License-Identifier: Apache-2.0
"""When a key frame is decoded, and what sizes say meanwhile."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.picture.pace import CALM_S, HURRIED_S, HURRY_AGAIN_S, LOOK_S, SUSPECTED_S, Pace
from camfleet_worker.picture.sizes import SizeWatch


def looks(pace: Pace, seconds: float, gop_s: float, suspected: bool, calm: bool) -> list[float]:
    """When a camera with key frames every `gop_s` is looked at, each look giving the same."""
    found = []
    for number in range(int(seconds / gop_s)):
        now = number * gop_s
        if pace.key_frame(now, as_usual=True):
            pace.looking(now)
            pace.looked(suspected, calm)
            found.append(now)
    return found


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def test_an_unknown_camera_is_looked_at_every_ten_seconds() -> None:
    assert set(gaps(looks(Pace(), 120, 1.0, suspected=False, calm=False))) == {LOOK_S}


def test_a_suspicion_is_followed_every_other_second() -> None:
    assert set(gaps(looks(Pace(), 60, 1.0, suspected=True, calm=False))) == {SUSPECTED_S}


def test_a_calm_camera_is_looked_at_less_and_less() -> None:
    between = gaps(looks(Pace(), 600, 1.0, suspected=False, calm=True))
    assert between == sorted(between)
    assert between[-1] == CALM_S


def test_sizes_that_are_unusual_bring_the_next_look_forward_but_rarely() -> None:
    pace = Pace()
    pace.looking(0)
    pace.looked(suspected=False, calm=True)
    assert not pace.key_frame(2, as_usual=False)
    assert pace.key_frame(HURRIED_S, as_usual=True), "it is remembered"
    pace.looking(HURRIED_S)
    pace.looked(suspected=False, calm=True)
    assert not pace.key_frame(2 * HURRIED_S, as_usual=False)
    assert pace.key_frame(HURRIED_S + CALM_S, as_usual=True)


def test_a_restless_camera_costs_little_more_than_a_calm_one() -> None:
    pace, found = Pace(), 0
    for now in range(3600):
        if pace.key_frame(now, as_usual=False):
            pace.looking(now)
            pace.looked(suspected=False, calm=True)
            found += 1
    assert found <= 3600 / CALM_S + 3600 / HURRY_AGAIN_S + 10


@given(st.lists(st.tuples(st.floats(0.04, 20), st.booleans(), st.booleans(), st.booleans())))
def test_no_camera_costs_more_than_a_look_in_two_seconds_or_waits_longer_than_a_calm_one(
    key_frames: list[tuple[float, bool, bool, bool]],
) -> None:
    pace, now, last = Pace(), 0.0, None
    for gap_s, as_usual, suspected, calm in key_frames:
        now += gap_s
        if pace.key_frame(now, as_usual):
            assert last is None or now - last >= SUSPECTED_S - 0.3
            pace.looking(now)
            pace.looked(suspected, calm)
            last = now
        else:
            assert last is not None
            assert now - last < CALM_S


def gop(watch: SizeWatch, key: int, between: int) -> bool:
    as_usual = watch.key_frame(key)
    for _ in range(24):
        watch.add(between)
    return as_usual


@pytest.mark.parametrize(
    ("key", "between"),
    [(15_000, 2_000), (60_000, 2_000), (30_000, 100), (30_000, 6_000)],
    ids=["key smaller", "key larger", "less between", "more between"],
)
def test_sizes_that_jump_are_not_as_usual(key: int, between: int) -> None:
    watch, chance = SizeWatch(), random.Random(1)
    known = [
        gop(watch, int(30_000 * chance.gauss(1, 0.02)), int(2_000 * chance.gauss(1, 0.04)))
        for _ in range(60)
    ]
    assert all(known[10:])
    gop(watch, key, between)
    assert not gop(watch, key, between), "seen at the latest by the key frame after"


def test_a_level_that_stays_becomes_the_usual_one() -> None:
    watch = SizeWatch()
    for _ in range(20):
        gop(watch, 30_000, 2_000)
    last = [gop(watch, 60_000, 4_000) for _ in range(40)][-1]
    assert last


def test_only_equal_gops_stand_still() -> None:
    watch, chance = SizeWatch(), random.Random(1)
    for _ in range(4):
        gop(watch, 30_000, 2_000)
        assert not watch.standing_still, "four whole ones are needed"
    gop(watch, 30_000, 2_000)
    assert watch.standing_still
    for _ in range(5):
        gop(watch, 30_000 + chance.randrange(400, 900), 2_000)
    assert not watch.standing_still


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2**31))))
def test_any_sizes_are_taken(units: list[tuple[bool, int]]) -> None:
    watch = SizeWatch()
    for key, size in units:
        if key:
            watch.key_frame(size)
        else:
            watch.add(size)
        assert isinstance(watch.standing_still, bool)
