# SPDX-License-Identifier: Apache-2.0
"""Judges minutes: in a good one a key frame arrived, was usable, and the sink took it. Pure.

`recordings availability` uses it, for one sink at a time: availability at the camera and at the
monitoring system are two figures, never one. Minutes with planned gaps have a verdict of their own;
the reader of the figures decides whether to leave them out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from camfleet_api.cause import Cause
from camfleet_worker.journal.period import Period, State

MINUTE_US = 60_000_000


class Verdict(StrEnum):
    """The verdict on a minute; only a good one counts as up."""

    GOOD = "good"
    NOT_GOOD = "notGood"
    PLANNED = "planned"
    """The minute is not good, and all that it lacks was planned."""
    UNKNOWN = "unknown"


class Shortfall(StrEnum):
    """What a minute lacks, or what is not known about it."""

    NO_KEY_FRAME = "noKeyFrame"
    KEY_FRAMES_UNKNOWN = "keyFramesUnknown"
    PICTURE_UNHEALTHY = "pictureUnhealthy"
    NOT_TAKEN = "notTaken"
    TAKING_UNKNOWN = "takingUnknown"


UNKNOWNS = frozenset({Shortfall.KEY_FRAMES_UNKNOWN, Shortfall.TAKING_UNKNOWN})
"""The shortfalls of a minute that no worker watched."""


@dataclass(frozen=True, slots=True)
class Minute:
    """The verdict on one minute, its shortfalls, and the causes of the sink's gaps in it."""

    start_us: int
    verdict: Verdict
    shortfalls: frozenset[Shortfall]
    causes: frozenset[Cause]


def judge(
    start_us: int,
    sink: Iterable[Period],
    key_frames: int | None,
    picture: Iterable[Period] = (),
) -> Minute:
    """Judge the minute that begins at `start_us` by one sink's periods.

    `key_frames`: how many decodable ones arrived, None where that was not counted. `picture`: the
    periods of usable. Without them the picture takes nothing from the minute; a minute with an
    unusable picture, even for a part of it, is not good.
    """
    end_us = start_us + MINUTE_US
    here = _within(sink, start_us, end_us)
    lacks = _key_frame_shortfalls(key_frames) | _sink_shortfalls(here, start_us, end_us)
    causes = _causes(here)
    unhealthy = _causes(_within(picture, start_us, end_us))
    if unhealthy:
        lacks |= {Shortfall.PICTURE_UNHEALTHY}
    return Minute(start_us, _verdict(lacks, causes | unhealthy), lacks, causes)


def _within(periods: Iterable[Period], start_us: int, end_us: int) -> list[Period]:
    return [p for p in periods if p.start_us < end_us and p.end_us > start_us]


def _causes(periods: Iterable[Period]) -> frozenset[Cause]:
    """The causes of the gaps among the periods."""
    return frozenset(p.condition.cause for p in periods if p.condition.cause is not None)


def _key_frame_shortfalls(key_frames: int | None) -> frozenset[Shortfall]:
    if key_frames is None:
        return frozenset({Shortfall.KEY_FRAMES_UNKNOWN})
    return frozenset() if key_frames > 0 else frozenset({Shortfall.NO_KEY_FRAME})


def _sink_shortfalls(here: list[Period], start_us: int, end_us: int) -> frozenset[Shortfall]:
    """What the sink lacks: one span is enough, and nothing is certain before gaps fill a minute."""
    if any(p.condition.state is State.SPAN for p in here):
        return frozenset()
    down_until_us = start_us
    gaps = (p for p in here if p.condition.state is State.GAP)
    for gap in sorted(gaps, key=lambda gap: gap.start_us):  # gaps of two workers may overlap
        if gap.start_us > down_until_us:
            break
        down_until_us = max(down_until_us, gap.end_us)
    whole = down_until_us >= end_us
    return frozenset({Shortfall.NOT_TAKEN if whole else Shortfall.TAKING_UNKNOWN})


def _verdict(lacks: frozenset[Shortfall], causes: frozenset[Cause]) -> Verdict:
    if not lacks:
        return Verdict.GOOD
    if lacks <= UNKNOWNS:
        return Verdict.UNKNOWN
    return Verdict.PLANNED if causes == {Cause.PLANNED} else Verdict.NOT_GOOD
