# SPDX-License-Identifier: Apache-2.0
"""B-frames: decoding times for access units that do not arrive in the order they are shown. Pure.

Called by the media loop with what the timeline says of each access unit. No access unit waits for
another: where up to N access units are shown after one that follows them, an access unit is decoded
at the time at which the one N places before it is shown (ITU-T H.264 section C.4.5.3 has the same
N). So decoding times rise, none lies behind its presentation time, and streams without B-frames,
whose N is 0, are decoded when they are shown.

N comes from the SPS. Where the SPS is silent the access units tell: the picture order count of the
first access unit behind a key frame, less that of the key frame, says whether others are to be
shown before it, and a B-frame whose time steps back tells that it was overlooked. Steps back that
no B-frame explains are a clock's, and pressed into order.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from bisect import insort
from collections import deque

from camfleet_worker.media_types.access_unit import Reordering, VideoFormat
from camfleet_worker.rtp.slice_header import is_b_picture, picture_order_count

_GAP_90K = 5 * 90_000
"""Presentation time that leaps further leaves the window: the decoding times leap along."""
_SPACING_90K = 90_000 // 25
"""Between decoding times before the first access unit of all, where no presentation time gives
them."""
_ORDER_STEP = 2
"""Between picture order counts of frames that follow each other: fields have their own (ITU-T
H.264 section 8.2.1). Cameras that count frames instead show it by an odd difference."""
_MOST_LEARNT = 4
"""Pyramids of four levels span sixteen access units; what seems to reorder more is a clock."""


class DisplayOrder:
    """One camera's; outlives sessions, so that what was learnt of the camera is kept."""

    def __init__(self) -> None:
        self._format: VideoFormat | None = None
        self._reordering = Reordering()
        self._window = ReorderWindow()
        self._behind_key = False
        self._key_count: int | None = None
        """Picture order count of the last key frame, where it is needed and can be read."""
        self._since_key: deque[int] = deque(maxlen=_MOST_LEARNT + 1)
        self.depth = 0
        """How many access units are taken to be shown after one that follows them."""

    def place(
        self, data: bytes, key: bool, video: VideoFormat, rising: int, taken: int
    ) -> tuple[int, int]:
        """Presentation time and decoding time.

        `taken` is the access unit's time on the timeline, `rising` the same pressed into order.
        """
        if video is not self._format:
            self._take_format(video)
        if self._reordering.most:
            self._learn(data, key, taken)
        if not self.depth:
            pts = self._window.in_order(rising)
            return pts, pts
        return self._window.reordered(taken, key, self.depth)

    def _take_format(self, video: VideoFormat) -> None:
        self._format = video
        if video.reordering != self._reordering:
            self._reordering = video.reordering
            self.depth = video.reordering.declared or 0

    def _learn(self, data: bytes, key: bool, taken: int) -> None:
        """Find out, or find that more access units change places than was said or known."""
        silent = self._reordering.declared is None and not self.depth
        behind_key, self._behind_key = self._behind_key, key
        shown_before = self._shown_before(data) if behind_key and silent and not key else 0
        if key:
            self._since_key.clear()
            self._key_count = self._order_count(data) if silent else None
        elif shown_before:
            self._allow(shown_before)
        elif taken < self._window.floor and self.depth < self._reordering.most:
            if is_b_picture(data):
                later = sum(other > taken for other in self._since_key)
                self._allow(later if later <= _MOST_LEARNT else 0)
            else:
                self._since_key.clear()  # the clock has stepped back, not the order
        self._since_key.append(taken)

    def _allow(self, depth: int) -> None:
        self.depth = max(self.depth, min(depth, self._reordering.most, _MOST_LEARNT))

    def _shown_before(self, data: bytes) -> int:
        """How many access units are still to come that are shown between a key frame and the access
        unit behind it; 0 where that is not known, or where it is shown before the key frame."""
        count, fields = self._order_count(data), self._reordering.slices
        if count is None or self._key_count is None or fields is None:
            return 0
        modulus = 1 << fields.order_bits
        later = (count - self._key_count) % modulus
        if later >= modulus // 2:
            return 0
        return later - 1 if later % 2 else max(later // _ORDER_STEP - 1, 0)

    def _order_count(self, data: bytes) -> int | None:
        fields = self._reordering.slices
        return picture_order_count(data, fields) if fields else None


class ReorderWindow:
    """The times that have not been given out as decoding times yet, at most the depth of them.

    All differ and lie above `floor`, the last decoding time. So the least of them always rises,
    and lies behind no presentation time.
    """

    def __init__(self) -> None:
        self.floor = -_GAP_90K
        self._waiting: list[int] = []

    def in_order(self, pts: int) -> int:
        """The time at which the next access unit is both decoded and shown."""
        newest = self.floor
        if self._waiting:
            newest = self._waiting.pop()
            self._waiting.clear()
        self.floor = pts if pts > newest else newest + 1
        return self.floor

    def reordered(self, pts: int, key: bool, depth: int) -> tuple[int, int]:
        """Presentation time, pressed where it would lie behind the decoding time, and that.

        A key frame is shown after everything before it (H.264 section 3.69, H.265 section 3.74).
        """
        waiting = self._waiting
        newest = waiting[-1] if waiting else self.floor
        pts = max(pts, (newest if key else self.floor) + 1)
        leap = pts - newest > _GAP_90K
        if leap or (key and len(waiting) != depth):
            self._fill_below(pts, depth)
        self._fill_above_floor(pts, depth)
        while pts in waiting:
            pts += 1
        insort(waiting, pts)
        self.floor = waiting.pop(0)
        return pts, self.floor

    def _fill_below(self, pts: int, depth: int) -> None:
        """Nothing waits any more: decoding begins shortly before this access unit is shown."""
        spacing = min(_SPACING_90K, (pts - self.floor - 1) // depth)
        self._waiting[:] = range(pts - depth * spacing, pts, spacing) if spacing else ()

    def _fill_above_floor(self, pts: int, depth: int) -> None:
        """Times for what is known to change places only now: as low as any access unit to come."""
        waiting = self._waiting
        del waiting[: max(len(waiting) - depth, 0)]
        time, spacing = self.floor, max((pts - self.floor) // (depth + 1) ** 2, 1)
        while len(waiting) < depth:
            time += spacing
            if time not in waiting:
                insort(waiting, time)
