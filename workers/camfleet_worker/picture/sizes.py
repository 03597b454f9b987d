# SPDX-License-Identifier: Apache-2.0
"""Watches the sizes of access units, without decoding any. Pure; runs on the media loop.

Each access unit of each camera passes through here, so between key frames it only adds up sizes.
"""

from __future__ import annotations

import math
from collections import deque

_GOPS = 4
"""How many GOPs in a row must be equally large to count as standing still."""
_RIPE = 5
_LEAST = 0.12
"""A difference of up to 12 % is always as usual, however equal the GOPs were before."""
_DEVIATIONS = 4.0
_RATE = 0.1


class SizeWatch:
    """Watches the sizes of key frames and of the access units between them."""

    def __init__(self) -> None:
        self._key = self._between = self._count = 0
        self._usual = (_Usual(), _Usual())
        self._last: deque[tuple[int, int]] = deque(maxlen=_GOPS)

    def add(self, size: int) -> None:
        """Add an access unit that is no key frame."""
        self._between += size
        self._count += 1

    def key_frame(self, size: int) -> bool:
        """End a GOP with the next key frame: whether the sizes of both are as usual."""
        as_usual = True
        if self._key:
            mean = self._between // max(1, self._count)
            self._last.append((self._key, mean))
            as_usual = self._usual[1].see(mean)
        self._key, self._between, self._count = size, 0, 0
        return self._usual[0].see(size) and as_usual

    @property
    def standing_still(self) -> bool:
        """Whether the last GOPs were equally large, which noise would prevent."""
        if len(self._last) < _GOPS:
            return False
        return all(
            max(sizes) - min(sizes) <= max(sizes) // 200 for sizes in zip(*self._last, strict=True)
        )


class _Usual:
    """A slow mean of logarithms and of the distance from it."""

    def __init__(self) -> None:
        self._deviation = 0.0
        self._seen = 0
        self._mean = 0.0

    def see(self, size: int) -> bool:
        """Learn a size; False where it is far from the usual, or the usual is not known yet."""
        value = math.log(size + 1)
        most = max(_LEAST, _DEVIATIONS * self._deviation)
        distance = abs(value - self._mean)
        usual = self._seen >= _RIPE and distance <= most
        self._seen += 1
        rate = max(1 / self._seen, _RATE)
        if self._seen > 1:
            # An unusual size is learnt as the edge of the usual, or it would become usual.
            self._deviation += rate * (min(distance, most) - self._deviation)
        self._mean += rate * (value - self._mean)
        return usual
