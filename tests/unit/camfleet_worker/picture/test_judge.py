# SPDX-License-Identifier: Apache-2.0
"""Verdicts on drawn pictures: what is stated when, and what is none of the judge's business."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from camfleet_worker.picture.features import Features, features_of
from camfleet_worker.picture.judge import HEALTHY_S, LOOKS, Fault, Judge

Luma = NDArray[np.float64]
COLOUR = (np.full((180, 320), 140, np.uint8),)
GREY = (np.full((180, 320), 128, np.uint8),)
WARM_S = 100


def view(seed: int) -> Luma:
    """A room: rectangles of all sizes and shades, luma around 120."""
    draw = np.random.default_rng(seed)
    picture = np.full((360, 640), 120.0)
    for _ in range(120):
        x, y = draw.integers(0, 590), draw.integers(0, 320)
        wide, high = draw.integers(10, 150), draw.integers(10, 100)
        picture[y : y + high, x : x + wide] = draw.uniform(40, 210)
    return picture


def seen(picture: Luma, noise: np.random.Generator, sigma: float = 2.0) -> Features:
    """What the sensor makes of it."""
    noisy = picture + noise.normal(0, sigma, picture.shape)
    return features_of(np.clip(noisy, 16, 235).astype(np.uint8), COLOUR)


class Watch:
    """A judge that is shown a picture every two seconds."""

    def __init__(self) -> None:
        self.judge = Judge()
        self.seconds = 0.0
        self._noise = np.random.default_rng(0)

    def show(self, picture: Luma, seconds: float = 2.0) -> Fault | None:
        for _ in range(int(seconds / 2)):
            self.judge.see(seen(picture, self._noise), False, self.seconds)
            self.seconds += 2
        return self.judge.fault

    def show_same(self, features: Features, seconds: float, still: bool = False) -> Fault | None:
        for _ in range(int(seconds / 2)):
            self.judge.see(features, still, self.seconds)
            self.seconds += 2
        return self.judge.fault


@pytest.fixture(scope="module")
def room() -> Luma:
    return view(1)


@pytest.fixture
def watch(room: Luma) -> Watch:
    """One that has seen the room for a while."""
    warm = Watch()
    assert warm.show(room, WARM_S) is None
    return warm


def harmed(room: Luma) -> Iterator[tuple[Fault, Luma]]:
    yield Fault.BLACK, np.full_like(room, 18)
    yield Fault.OVEREXPOSED, np.minimum(235, room * 0.2 + 220)
    yield Fault.COVERED, np.full_like(room, 70)
    yield Fault.MOVED, np.roll(room, 80, axis=1)
    kernel = np.ones(15) / 15
    for axis in (0, 1, 0, 1):
        room = np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), axis, room)
    yield Fault.BLURRED, room


@pytest.fixture(scope="module")
def harms(room: Luma) -> dict[Fault, Luma]:
    return dict(harmed(room))


ON_SIGHT = [fault for fault in Fault if fault is not Fault.FROZEN]


@pytest.mark.parametrize("fault", ON_SIGHT)
def test_a_fault_is_suspected_at_once_stated_when_it_lasts_and_withdrawn_when_it_is_over(
    watch: Watch, room: Luma, harms: dict[Fault, Luma], fault: Fault
) -> None:
    assert watch.show(harms[fault]) is None
    assert watch.judge.suspected
    assert watch.show(harms[fault], 14) is fault
    assert not watch.judge.suspected, "what is stated is no suspicion"
    assert watch.show(room) is fault
    assert watch.show(room, HEALTHY_S + 2) is None
    assert watch.judge.known


@pytest.mark.parametrize("fault", ON_SIGHT)
def test_a_short_fault_is_never_stated(
    watch: Watch, room: Luma, harms: dict[Fault, Luma], fault: Fault
) -> None:
    for _ in range(5):
        assert watch.show(harms[fault], 6) is None
        assert watch.show(room, 4) is None


def test_a_fault_that_blinks_is_not_withdrawn_and_stated_again(
    watch: Watch, room: Luma, harms: dict[Fault, Luma]
) -> None:
    assert watch.show(harms[Fault.COVERED], 20) is Fault.COVERED
    for _ in range(5):
        assert watch.show(room, 4) is Fault.COVERED
        assert watch.show(harms[Fault.COVERED], 4) is Fault.COVERED


def test_one_fault_after_another_is_stated_as_the_later_one(
    watch: Watch, harms: dict[Fault, Luma]
) -> None:
    assert watch.show(harms[Fault.MOVED], 20) is Fault.MOVED
    assert watch.show(harms[Fault.BLACK], 20) is Fault.BLACK


def test_a_picture_without_its_noise_is_frozen(watch: Watch, room: Luma) -> None:
    frozen = seen(room, np.random.default_rng(5))
    assert watch.show_same(frozen, 20) is Fault.FROZEN


def test_less_noise_than_ever_is_looked_at_again_soon_and_once(watch: Watch, room: Luma) -> None:
    noise = np.random.default_rng(5)
    watch.judge.see(seen(room, noise, sigma=1.0), False, watch.seconds)
    watch.judge.see(seen(room, noise, sigma=1.0), False, watch.seconds + 14)
    assert watch.judge.suspected
    watch.judge.see(seen(room, noise, sigma=1.0), False, watch.seconds + 16)
    assert not watch.judge.suspected
    assert watch.judge.fault is None


def test_a_clock_in_a_frozen_picture_hides_nothing(watch: Watch, room: Luma) -> None:
    noise = np.random.default_rng(5)
    frozen = np.clip(room + noise.normal(0, 2, room.shape), 16, 235)
    for second in range(20):
        frozen[10:30, 10:150] = 30 + 180 * noise.integers(0, 2, (20, 140))
        watch.judge.see(features_of(frozen.astype(np.uint8), COLOUR), False, watch.seconds + second)
    assert watch.judge.fault is Fault.FROZEN


def test_a_still_corridor_at_night_is_not_frozen() -> None:
    """Nobody moves, and there is next to no noise: from the first picture on."""
    night, noise = Watch(), np.random.default_rng(3)
    corridor = view(2) * 0.4
    for at in range(0, 600, 2):
        night.judge.see(seen(corridor, noise, sigma=0.7), False, at)
        assert night.judge.fault is None


@pytest.mark.parametrize("sizes_stand_still", [True, False])
def test_where_the_camera_takes_out_all_noise_sizes_decide(
    room: Luma, sizes_stand_still: bool
) -> None:
    clean, picture = Watch(), seen(room, np.random.default_rng(5), sigma=0.0)
    expected = Fault.FROZEN if sizes_stand_still else None
    assert clean.show_same(picture, 200, still=sizes_stand_still) is expected


@pytest.mark.parametrize("hour", [0.5, 6.0], ids=["half an hour", "six hours"])
def test_light_that_changes_slowly_raises_nothing(watch: Watch, room: Luma, hour: float) -> None:
    """From noon to dusk, with shadows that wander."""
    noise, looks = np.random.default_rng(7), 120
    for step in range(looks):
        light = 1 - 0.7 * step / looks
        shadow = np.ones_like(room)
        shadow[150:, : 100 + 2 * step] = 0.8
        now = watch.seconds + step * hour * 3600 / looks
        watch.judge.see(seen(room * light * shadow, noise), False, now)
        assert watch.judge.fault is None
        assert not watch.judge.suspected, step


def test_a_lamp_that_goes_out_and_infra_red_that_comes_on_raise_nothing(
    watch: Watch, room: Luma
) -> None:
    noise = np.random.default_rng(7)
    for at in range(0, 120, 2):
        dim = np.clip(room * 0.4 + noise.normal(0, 3, room.shape), 16, 235).astype(np.uint8)
        watch.judge.see(features_of(dim, GREY), False, watch.seconds + at)
        assert watch.judge.fault is None


def test_night_is_held_to_what_nights_look_like(watch: Watch, room: Luma) -> None:
    """Infra-red lights up what is near: that view differs from the day's, and is a baseline."""
    glow = np.linspace(1.0, 0.15, 640)[None, :]
    night = 16 + (room - 16) * glow
    noise = np.random.default_rng(9)

    def show(luma: Luma, seconds: int) -> Fault | None:
        for _ in range(0, seconds, 2):
            grey = np.clip(luma + noise.normal(0, 2, luma.shape), 16, 235).astype(np.uint8)
            watch.judge.see(features_of(grey, GREY), False, watch.seconds)
            watch.seconds += 2
        return watch.judge.fault

    assert show(night, WARM_S) is None
    assert show(np.roll(night, 80, axis=1), 30) is Fault.MOVED
    assert show(night, 30) is None
    assert watch.show(room, 30) is None, "and the day is still known"


def test_a_lens_covered_before_the_first_night_is_stated(watch: Watch, room: Luma) -> None:
    """So dim that it counts as night, of which nothing is known yet."""
    shade = np.full_like(room, 45) + np.linspace(0, 15, 640)[None, :]
    assert watch.show(shade, 20) is Fault.COVERED


def test_nothing_is_known_before_a_view_was_seen_for_a_while(room: Luma) -> None:
    young = Watch()
    young.show(room, 8)
    assert not young.judge.known
    young.show(room, 8)
    assert young.judge.known


def test_another_resolution_is_another_measure_and_no_fault(watch: Watch, room: Luma) -> None:
    noise = np.random.default_rng(1)
    for at in range(0, 60, 2):
        other = np.clip(room[:, ::2] + noise.normal(0, 2, (360, 320)), 16, 235).astype(np.uint8)
        watch.judge.see(features_of(other, (COLOUR[0][:180, :160],)), False, watch.seconds + at)
        assert watch.judge.fault is None


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 255), st.integers(0, 60), st.sampled_from([2.0, 10.0, 60.0])),
        min_size=1,
        max_size=40,
    )
)
@example(
    [(0, 36, 2.0)] * 3 + [(1, 34, 2.0), (68, 20, 2.0), (36, 21, 2.0), (36, 21, 10.0), (0, 0, 2.0)]
)
def test_whatever_is_shown_a_fault_needs_its_looks_and_its_time(
    shown: list[tuple[int, int, float]],
) -> None:
    judge, now, wrong_since, wrong, waited_s = Judge(), 0.0, 0.0, 0, 0.0
    for level, spread, wait_s in shown:
        draw = np.random.default_rng(level)
        luma = np.clip(draw.normal(level, spread, (90, 160)), 0, 255).astype(np.uint8)
        before = judge.fault
        judge.see(features_of(luma), False, now)
        looks_wrong = judge.suspected if before is None else not judge.suspected
        wrong_since = now if not wrong and looks_wrong else wrong_since
        wrong = wrong + 1 if looks_wrong or judge.fault not in (None, before) else 0
        if judge.fault is not None and before is None:
            # What stands still began to with the picture before.
            frozen = judge.fault is Fault.FROZEN
            assert wrong + frozen >= LOOKS
            assert now - wrong_since + frozen * waited_s >= 8.0
        if not wrong:
            waited_s = wait_s
        now += wait_s
