# SPDX-License-Identifier: Apache-2.0
"""Whether a person could use the picture: from measured pictures to a verdict. Pure.

Each camera has one judge. A picture that looks wrong once is a suspicion; a fault is stated when it
has lasted, and withdrawn when the picture has been healthy for as long. A picture is compared with
one of two baselines of its camera: day or night.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from camfleet_worker.picture.baseline import Baseline, Likeness
from camfleet_worker.picture.features import Features, cell_changes


class Fault(StrEnum):
    """What can be wrong with a picture; ImageHealthy has a reason for each fault."""

    BLACK = "Black"
    OVEREXPOSED = "Overexposed"
    COVERED = "Covered"
    BLURRED = "Blurred"
    MOVED = "Moved"
    FROZEN = "Frozen"


@dataclass(frozen=True, slots=True)
class Limits:
    """The measurements at which a picture is faulty."""

    dark: float = 0.98
    """Share of dark samples, as in FFmpeg's blackdetect."""
    black_spread: float = 6.0
    bright: float = 0.75
    bright_spread: float = 25.0
    empty_spread: float = 4.0
    """A picture with less spread shows nothing, whatever the light."""
    agreement: float = 0.5
    structure: float = 0.75
    sharpness: float = 0.35
    quiet: float = 0.35
    """A frozen picture has at most this share of the camera's usual noise."""


ENTER = Limits()
LEAVE = Limits(
    dark=0.95,
    black_spread=8.0,
    bright=0.65,
    bright_spread=30.0,
    empty_spread=5.0,
    agreement=0.6,
    structure=0.85,
    sharpness=0.5,
    quiet=0.5,
)
"""While a fault is suspected, a picture must be better than this to count as healthy."""

PATIENCE_S = {
    Fault.BLACK: 8.0,
    Fault.OVEREXPOSED: 8.0,
    Fault.BLURRED: 10.0,
    Fault.COVERED: 12.0,
    Fault.MOVED: 12.0,
    Fault.FROZEN: 8.0,
}
"""How long a fault must last before it is stated: a lamp warms up for some seconds, and people or a
van stay before a lens for longer than that."""
LOOKS = 3
HEALTHY_S = 10.0
NIGHT_MEAN, DAY_MEAN = 60.0, 75.0
NIGHT_COLOUR, DAY_COLOUR = 1.0, 2.0
_STRANGE = 0.3
"""A first picture by night that agrees less than this with the baseline of the day (or the other
way round) shows another view."""
_DIM_SPREAD = 10.0
_NOISY = 0.3
"""A camera whose pictures change less than this removes its noise by itself."""
_SETTLING = 0.75
_EQUAL, _ALMOST_EQUAL = 0.02, 0.05
_FEW = 0.9
"""Quantile of the cells that stand still in a frozen picture; the others may show a clock."""


@dataclass(frozen=True, slots=True)
class _Change:
    """How much the cells changed between two pictures."""

    median: float
    most: float


class Judge:
    """Judges the pictures of one camera."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        """The fault that is stated; None while the picture is healthy or not known."""
        self._day, self._night = Baseline(), Baseline()
        self._is_night = False
        self._before: Features | None = None
        self._before_at = 0.0
        self._doubt = False
        self._wrong: Fault | None = None
        self._wrong_since = 0.0
        self._wrong_looks = 0
        self._right_since = 0.0
        self._right_looks = 0

    @property
    def known(self) -> bool:
        """Whether there is a verdict: a fault is stated, or a baseline to judge by is complete."""
        return self.fault is not None or self._day.ripe or self._night.ripe

    @property
    def suspected(self) -> bool:
        """Whether the last picture contradicts the verdict, so that the next look is due soon."""
        if self.fault is None:
            return self._wrong is not None or self._doubt
        return self._wrong is None

    def see(self, features: Features, sizes_stand_still: bool, now: float) -> None:
        """Judge one picture. `sizes_stand_still`: SizeWatch.standing_still."""
        self._note_light(features)
        change = self._change(features)
        # Not twice in a row: noise that fades with the morning would keep the pace high.
        self._doubt = not self._doubt and self._settling(change)
        limits = ENTER if self._wrong is None and self.fault is None else LEAVE
        wrong = self._wrongness(features, change, sizes_stand_still, limits)
        if wrong is None:
            self._see_right(now)
            if self.fault is None:
                self._own.learn(features, change.median if change else None, now)
        else:
            self._see_wrong(wrong, now)
        self._before, self._before_at = features, now

    @property
    def _own(self) -> Baseline:
        return self._night if self._is_night else self._day

    @property
    def _other(self) -> Baseline:
        return self._day if self._is_night else self._night

    def _see_wrong(self, wrong: Fault, now: float) -> None:
        self._right_looks = 0
        if self._begins_anew(wrong):
            frozen = wrong is Fault.FROZEN
            # Two pictures show that the picture stands still: the fault began with the last one.
            self._wrong_since, self._wrong_looks = (self._before_at, 1) if frozen else (now, 0)
        self._wrong = wrong
        self._wrong_looks += 1
        if self._wrong_looks >= LOOKS and now - self._wrong_since >= PATIENCE_S[wrong]:
            self.fault = wrong

    def _begins_anew(self, wrong: Fault) -> bool:
        """Whether this fault is another one than the suspected one, so that its time starts now.

        One fault may look covered, moved and blurred in turn until it is stated. A frozen picture
        does not: where another fault appears, the picture has changed.
        """
        if wrong is self._wrong:
            return False
        return self._wrong is None or self.fault is not None or Fault.FROZEN in (wrong, self._wrong)

    def _see_right(self, now: float) -> None:
        self._wrong = None
        if not self._right_looks:
            self._right_since = now
        self._right_looks += 1
        if self._right_looks >= LOOKS and now - self._right_since >= HEALTHY_S:
            self.fault = None

    def _note_light(self, features: Features) -> None:
        """An infra-red or dark picture is night; one between night and day changes nothing."""
        if features.mean < NIGHT_MEAN or features.colour < NIGHT_COLOUR:
            self._is_night = True
        elif features.mean > DAY_MEAN and features.colour > DAY_COLOUR:
            self._is_night = False

    def _change(self, features: Features) -> _Change | None:
        before = self._before
        if before is None or before.small.shape != features.small.shape:
            return None
        median, most = np.quantile(cell_changes(before.small, features.small), (0.5, _FEW))
        return _Change(float(median), float(most))

    def _wrongness(
        self, features: Features, change: _Change | None, sizes_stand_still: bool, limits: Limits
    ) -> Fault | None:
        """The first fault that applies; a picture that shows nothing is not judged by sharpness."""
        return (
            _blank(features, limits)
            or self._unlike_itself(features, limits)
            or self._frozen(change, sizes_stand_still, limits)
        )

    def _unlike_itself(self, features: Features, limits: Limits) -> Fault | None:
        own, other = self._own.likeness(features), self._other.likeness(features)
        if own is None or not self._own.ripe:
            return self._strange(features, other)
        if other is not None and self._other.ripe and other.agreement > own.agreement:
            # A lamp may make a night look like day; the view is the same.
            return _deviation(other, own.structure, self._other, limits)
        return _deviation(own, own.structure, self._own, limits)

    def _strange(self, features: Features, other: Likeness | None) -> Fault | None:
        """Judge the first pictures by day or by night, without a baseline: only a dim picture that
        agrees with nothing learnt is faulty."""
        if other is None or not (self._other.ripe and self._other.tells_views_apart):
            return None
        strange = other.agreement < _STRANGE and features.spread < _DIM_SPREAD
        return Fault.COVERED if strange else None

    def _settling(self, change: _Change | None) -> bool:
        """Whether the picture has less noise than ever and may be freezing: the first picture that
        an encoder makes of a frozen one still differs from those after it."""
        usual = self._own.quiet
        known = self._own.ripe and usual >= _NOISY
        return known and change is not None and change.median <= _SETTLING * usual

    def _frozen(
        self, change: _Change | None, sizes_stand_still: bool, limits: Limits
    ) -> Fault | None:
        """Equal pictures are not enough: at night nothing moves, and some cameras remove all noise.
        But their GOPs are never exactly as large as each other."""
        if change is None:
            return None
        usual = self._own.quiet
        if self._own.ripe and usual >= _NOISY:
            frozen = change.median <= limits.quiet * usual and change.most <= usual
        else:
            frozen = sizes_stand_still and change.median <= _EQUAL and change.most <= _ALMOST_EQUAL
        return Fault.FROZEN if frozen else None


def _blank(features: Features, limits: Limits) -> Fault | None:
    """The faults that are recognised without a baseline."""
    if features.dark >= limits.dark and features.spread <= limits.black_spread:
        return Fault.BLACK
    if features.bright >= limits.bright and features.spread <= limits.bright_spread:
        return Fault.OVEREXPOSED
    return Fault.COVERED if features.spread <= limits.empty_spread else None


def _deviation(
    likeness: Likeness, structure: float, baseline: Baseline, limits: Limits
) -> Fault | None:
    if likeness.agreement < limits.agreement:
        if structure < limits.structure:
            return Fault.COVERED
        return Fault.MOVED if baseline.tells_views_apart else None
    blurred = baseline.textured and likeness.sharpness < limits.sharpness
    return Fault.BLURRED if blurred else None
