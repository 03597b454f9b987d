# SPDX-License-Identifier: Apache-2.0
"""What a camera's healthy pictures have in common, and how a picture compares with it. Pure.

The judge keeps one baseline for day and one for night. Learning is slow, so that shadows may move
and leaves may fall. Only healthy pictures are learnt, so that no fault ever becomes usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camfleet_worker.picture.features import Features, Map

RIPE_LOOKS = 6
_COMPARABLE_LOOKS = 2
MEMORY_S = 30 * 60.0
"""The time constant of learning; a shadow takes longer than this to cross a cell."""
_CLIP = 2.0
"""An edge counts for at most this many deviations, so a white shirt weighs no more than a door."""
_TEXTURED = 0.8
_FLAT = 0.3
"""Quantile of the flat cells. They show the noise; the cells with most texture show sharpness."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a picture compares with a baseline; 1 is as usual."""

    agreement: float
    """How well its edges lie where they usually do."""
    structure: float
    """How strong its edges are, wherever they lie."""
    sharpness: float
    """How much of the usual texture is left, corrected by the contrast of the picture."""


class Baseline:
    """The slow mean of a camera's healthy pictures in one light."""

    def __init__(self) -> None:
        self.quiet = 0.0
        """The median change of a cell from one picture to the next, which is noise."""
        self._looks = self._changes = 0
        self._seen_at = 0.0
        self._edges: Map | None = None
        self._texture: Map | None = None
        self._agreement = 1.0
        self._structure = 0.0

    @property
    def ripe(self) -> bool:
        """Whether enough pictures were learnt to judge others by them."""
        return self._looks >= RIPE_LOOKS

    def learn(self, features: Features, change: float | None, now: float) -> None:
        """Learn a healthy picture. `change` is the median change of a cell since the last one."""
        if self._edges is None or self._texture is None or not self._fits(features):
            self._begin(features)
        else:
            rate = self._rate(now)
            self._learn_agreement(features)
            self._edges += np.float32(rate) * (features.edges - self._edges)
            self._texture += np.float32(rate) * (features.texture - self._texture)
            strength = _strength(features.edges, _limit(self._edges))
            self._structure += rate * (strength - self._structure)
        if change is not None:
            self._changes += 1
            self.quiet += max(1 / self._changes, self._rate(now)) * (change - self.quiet)
        self._looks += 1
        self._seen_at = now

    def likeness(self, features: Features) -> Likeness | None:
        """Compare a picture; None before enough pictures of its size were learnt."""
        if self._edges is None or self._texture is None:
            return None
        if self._looks < _COMPARABLE_LOOKS or not self._fits(features):
            return None
        strength = _strength(features.edges, _limit(self._edges))
        contrast = max(0.1, _slope(features.edges, self._edges))
        texture = _texture(features.texture, self._texture)
        return Likeness(
            agreement=_correlation(features.edges, self._edges) / max(0.05, self._agreement),
            structure=strength / max(0.01, self._structure),
            sharpness=texture / contrast**2,
        )

    @property
    def tells_views_apart(self) -> bool:
        """False where nothing in the picture stands still: the sea, a crowd, leaves."""
        return self._agreement >= 0.25

    @property
    def textured(self) -> bool:
        """False where the picture was never sharp enough to lose anything by a blur."""
        if self._texture is None:
            return False
        flat, most = np.quantile(self._texture, (_FLAT, 0.9))
        return bool(most - flat > 50.0)

    def _begin(self, features: Features) -> None:
        """Start with the first picture, or with the first picture of another size."""
        self.quiet, self._agreement = 0.0, 1.0
        self._looks = self._changes = 0
        self._edges, self._texture = features.edges.copy(), features.texture.copy()
        self._structure = _strength(features.edges, _limit(features.edges))

    def _fits(self, features: Features) -> bool:
        return self._edges is not None and self._edges.shape == features.edges.shape

    def _rate(self, now: float) -> float:
        return min(0.5, max(1 / (self._looks + 1), (now - self._seen_at) / MEMORY_S))

    def _learn_agreement(self, features: Features) -> None:
        """Agreement falls at once and rises slowly, so that a busy quarter of an hour is usual."""
        assert self._edges is not None
        now = _correlation(features.edges, self._edges)
        rate = 0.5 if now < self._agreement else 0.05
        self._agreement += rate * (now - self._agreement)


def _limit(edges: Map) -> float:
    return float(_CLIP * edges.std()) + 0.01


def _strength(edges: Map, limit: float) -> float:
    return float(np.minimum(np.abs(edges), np.float32(limit)).mean())


def _clipped(edges: Map) -> NDArray[np.float32]:
    limit = np.float32(_limit(edges))
    return np.clip(edges, -limit, limit)


def _correlation(one: Map, other: Map) -> float:
    """The correlation of clipped edges. Steps have no mean that would have to be subtracted."""
    a, b = _clipped(one).ravel(), _clipped(other).ravel()
    return float(a @ b / (np.sqrt((a @ a) * (b @ b)) + 1e-6))


def _slope(one: Map, usual: Map) -> float:
    """How much of the usual contrast the picture has."""
    limit = np.float32(_limit(usual))
    a, b = np.clip(one, -limit, limit).ravel(), np.clip(usual, -limit, limit).ravel()
    return float(a @ b / (b @ b + 1e-6))


def _texture(texture: Map, usual: Map) -> float:
    """How much of the usual texture is left: medians, because people walk through some cells, less
    the texture of flat cells, which is noise."""
    most, least = usual >= np.quantile(usual, _TEXTURED), usual <= np.quantile(usual, _FLAT)
    own = float(np.median(texture[most]) - np.median(texture[least]))
    whole = float(np.median(usual[most]) - np.median(usual[least]))
    return max(0.0, own) / max(1.0, whole)
