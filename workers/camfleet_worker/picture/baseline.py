# SPDX-License-Identifier: Apache-2.0
"""What a camera's healthy pictures have in common, and how a picture compares with it. Pure.

The judge keeps one for each light. Learning is slow, so that shadows may wander and leaves may
fall; it happens with healthy pictures only, so that no fault is ever learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camfleet_worker.picture.features import Features, Map

RIPE_LOOKS = 6
_COMPARABLE_LOOKS = 2
MEMORY_S = 30 * 60.0
"""What is older has faded; shadows take longer to wander across a cell."""
_CLIP = 2.0
"""Edges count up to so many deviations: a white shirt is not worth more than a door frame."""
_TEXTURED = 0.8
_FLAT = 0.3
"""Quantiles: the cells with most texture tell how sharp the picture is, the flat ones the noise."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A picture against a baseline; 1 is as usual."""

    agreement: float
    """How well its edges lie where they usually do."""
    structure: float
    """How strong its edges are, wherever they lie."""
    sharpness: float
    """Texture where there usually is some, at the contrast that the picture has."""


class Baseline:
    """The mean of healthy pictures."""

    def __init__(self) -> None:
        self.quiet = 0.0
        """By how much half of the cells change at least from one picture to the next: noise."""
        self._looks = self._changes = 0
        self._seen_at = 0.0
        self._edges: Map | None = None
        self._texture: Map | None = None
        self._agreement = 1.0
        self._structure = 0.0

    @property
    def ripe(self) -> bool:
        """Whether enough pictures were seen to hold others to them."""
        return self._looks >= RIPE_LOOKS

    def learn(self, features: Features, change: float | None, now: float) -> None:
        """Take a healthy picture in. `change`: of the median cell since the picture before."""
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
        """Compare; None where there is nothing to compare with, or not of this size."""
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
        """False where nothing stands still: a sea, a crowd, leaves."""
        return self._agreement >= 0.25

    @property
    def textured(self) -> bool:
        """False where the picture was never sharp enough to lose anything by a blur."""
        if self._texture is None:
            return False
        flat, most = np.quantile(self._texture, (_FLAT, 0.9))
        return bool(most - flat > 50.0)

    def _begin(self, features: Features) -> None:
        """The first picture, or the first of another size."""
        self.quiet, self._agreement = 0.0, 1.0
        self._looks = self._changes = 0
        self._edges, self._texture = features.edges.copy(), features.texture.copy()
        self._structure = _strength(features.edges, _limit(features.edges))

    def _fits(self, features: Features) -> bool:
        return self._edges is not None and self._edges.shape == features.edges.shape

    def _rate(self, now: float) -> float:
        return min(0.5, max(1 / (self._looks + 1), (now - self._seen_at) / MEMORY_S))

    def _learn_agreement(self, features: Features) -> None:
        """Lower at once, higher slowly: a busy quarter of an hour must not come as a surprise."""
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
    """Of clipped edges; steps have no mean worth taking off."""
    a, b = _clipped(one).ravel(), _clipped(other).ravel()
    return float(a @ b / (np.sqrt((a @ a) * (b @ b)) + 1e-6))


def _slope(one: Map, usual: Map) -> float:
    """How much of the usual contrast the picture has."""
    limit = np.float32(_limit(usual))
    a, b = np.clip(one, -limit, limit).ravel(), np.clip(usual, -limit, limit).ravel()
    return float(a @ b / (b @ b + 1e-6))


def _texture(texture: Map, usual: Map) -> float:
    """Medians, because people walk through some cells; less the flat cells, which hold noise."""
    most, least = usual >= np.quantile(usual, _TEXTURED), usual <= np.quantile(usual, _FLAT)
    own = float(np.median(texture[most]) - np.median(texture[least]))
    whole = float(np.median(usual[most]) - np.median(usual[least]))
    return max(0.0, own) / max(1.0, whole)
