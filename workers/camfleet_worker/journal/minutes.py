# SPDX-License-Identifier: Apache-2.0
"""Good minutes: a key frame arrived, the picture could be used, and the sink took it. Pure.

Asked by whoever counts availability, for one sink at a time: at the camera and at the monitoring
system are two figures, never one. Excluding planned minutes is for whoever divides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from camfleet_worker.journal.period import Period, State
from camfleet_worker.media_types.causes import Cause

MINUTE_US = 60_000_000


class Verdict(StrEnum):
    """Only good counts as up."""

    GOOD = "good"
    NOT_GOOD = "notGood"
    UNKNOWN = "unknown"


class Shortfall(StrEnum):
    """What a minute lacks, or what is not known of it."""

    NO_KEY_FRAME = "noKeyFrame"
    KEY_FRAMES_UNKNOWN = "keyFramesUnknown"
    PICTURE_UNHEALTHY = "pictureUnhealthy"
    NOT_TAKEN = "notTaken"
    TAKING_UNKNOWN = "takingUnknown"


UNKNOWNS = frozenset({Shortfall.KEY_FRAMES_UNKNOWN, Shortfall.TAKING_UNKNOWN})
"""All that a minute lacks of which nothing was seen."""


@dataclass(frozen=True, slots=True)
class Minute:
    """The verdict on one minute, with what it lacks and the causes of the gaps in it."""

    start_us: int
    verdict: Verdict
    shortfalls: frozenset[Shortfall]
    causes: frozenset[Cause]


def judge(
    start_us: int,
    sink: Iterable[Period],
    key_frames: int | None,
    *,
    picture_healthy: bool | None = None,
) -> Minute:
    """Judge the minute that begins at `start_us` by one sink's periods.

    `key_frames`: decodable ones that arrived, None where nobody counted. `picture_healthy`: None
    where nobody watches the picture, which takes nothing from the minute.
    """
    end_us = start_us + MINUTE_US
    here = [p for p in sink if p.start_us < end_us and p.end_us > start_us]
    lacks = _key_frame_shortfalls(key_frames) | _sink_shortfalls(here, start_us, end_us)
    if picture_healthy is False:
        lacks |= {Shortfall.PICTURE_UNHEALTHY}
    causes = frozenset(p.condition.cause for p in here if p.condition.cause is not None)
    return Minute(start_us, _verdict(lacks), lacks, causes)


def _key_frame_shortfalls(key_frames: int | None) -> frozenset[Shortfall]:
    if key_frames is None:
        return frozenset({Shortfall.KEY_FRAMES_UNKNOWN})
    return frozenset() if key_frames > 0 else frozenset({Shortfall.NO_KEY_FRAME})


def _sink_shortfalls(here: list[Period], start_us: int, end_us: int) -> frozenset[Shortfall]:
    """Something taken is enough; nothing taken is certain only where gaps fill the minute."""
    if any(p.condition.state is State.SPAN for p in here):
        return frozenset()
    down_until_us = start_us
    gaps = (p for p in here if p.condition.state is State.GAP)
    for gap in sorted(gaps, key=lambda gap: gap.start_us):  # those of two workers may overlap
        if gap.start_us > down_until_us:
            break
        down_until_us = max(down_until_us, gap.end_us)
    whole = down_until_us >= end_us
    return frozenset({Shortfall.NOT_TAKEN if whole else Shortfall.TAKING_UNKNOWN})


def _verdict(lacks: frozenset[Shortfall]) -> Verdict:
    if not lacks:
        return Verdict.GOOD
    return Verdict.UNKNOWN if lacks <= UNKNOWNS else Verdict.NOT_GOOD
