# SPDX-License-Identifier: Apache-2.0
"""Names of recorded objects: the key layout of ONVIF's object-storage recording format.

ONVIF Recording Control specification, annex "Object storage recording format":

    [prefix/]YYYY-MM-DD/HH/MM-SS[.frac]Z.<counter>.mp4        a segment, named by its first access
    unit [prefix/]YYYY-MM-DD/HH/MM-SS[.frac]Z.<counter>.mp4_end    empty: the end of a span

All in UTC. A span is a run of segments without a gap; its counter starts at 0, and the end object
carries the counter after the last segment's. So a day is deleted by its prefix, and gaps are found
by listing names alone.

Pure: called by the recording sink, by retention and by readers of a volume. It opens no file.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from camfleet_worker.base.moments import EPOCH, SECOND_US, utc

EXTENSION = "mp4"
_END = "_end"

_KEY = re.compile(
    r"(?:(?P<prefix>.+)/)?(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"/(?P<hour>[0-9]{2})/(?P<minute>[0-9]{2})-(?P<second>[0-9]{2})(?:\.(?P<frac>[0-9]{1,6}))?Z"
    r"\.(?P<counter>[0-9]{1,9})\.mp4(?P<end>_end)?"
)


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """One object of a recording: a segment, or the end of a span.

    `at_us` is microseconds since the epoch: of a segment its first access unit, of an end object
    the end of the last access unit.
    """

    prefix: str
    at_us: int
    counter: int
    end: bool = False

    def __str__(self) -> str:
        at = utc(self.at_us)
        lead = f"{self.prefix}/" if self.prefix else ""
        # Six digits always: names then sort as times do.
        return (
            f"{lead}{at:%Y-%m-%d/%H/%M-%S}.{at.microsecond:06d}Z"
            f".{self.counter}.{EXTENSION}{_END if self.end else ''}"
        )


@dataclass(frozen=True, slots=True)
class Span:
    """Segments without a gap between them; `end_us` is None where no end object was written."""

    segments: tuple[ObjectKey, ...]
    end_us: int | None

    @property
    def start_us(self) -> int:
        """When its first access unit was taken."""
        return self.segments[0].at_us


def camera_prefix(namespace: str, camera: str, uid: str) -> str:
    """Where a camera's recordings lie on a volume: `<namespace>/<camera>.<start of uid>`.

    The name, because people look for it; the uid, because a camera that was deleted and declared
    again under the same name may be another device. A camera's name holds no dot.
    """
    return f"{namespace}/{camera}.{uid.replace('-', '')[:8]}"


def parse_key(text: str) -> ObjectKey | None:
    """The key that `text` spells, or None for any other name."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    minute, second, hour = int(match["minute"]), int(match["second"]), int(match["hour"])
    # Second 60 is allowed by the annex (leap seconds).
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        day = datetime.strptime(match["date"], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    if day < EPOCH:
        return None
    seconds = (day - EPOCH) // timedelta(seconds=1) + hour * 3600 + minute * 60 + second
    fraction_us = int((match["frac"] or "0").ljust(6, "0"))
    return ObjectKey(
        prefix=match["prefix"] or "",
        at_us=seconds * SECOND_US + fraction_us,
        counter=int(match["counter"]),
        end=match["end"] is not None,
    )


def is_day(name: str) -> bool:
    """Whether a folder's name is that of a UTC day."""
    return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", name) is not None


def segment_is_over(start_us: int, at_us: int, segment_s: int) -> bool:
    """Whether a key frame at `at_us` begins a new segment.

    Cuts lie on a grid of UTC, so that the segments of all cameras of a site stand side by side; a
    segment may be shorter than the grid at the start of a span, and longer by up to one GOP.
    """
    grid_us = segment_s * SECOND_US
    return at_us // grid_us > start_us // grid_us


def spans(keys: Iterable[ObjectKey]) -> list[Span]:
    """The spans of one prefix, by start. Keys may come in any order.

    A span whose beginning was deleted by retention begins with the first segment still there.
    """
    open_spans: list[list[ObjectKey]] = []
    closed: list[Span] = []
    # An end and the start of the next span may share an instant: the end comes first.
    for key in sorted(keys, key=lambda key: (key.at_us, not key.end, key.counter)):
        # The latest span that this key continues. Two may be open: when our clock was set back, a
        # new span begins before the end of the one before.
        candidates = (span for span in reversed(open_spans) if span[-1].counter + 1 == key.counter)
        span = next(candidates, None)
        if key.end:
            if span is not None:
                open_spans.remove(span)
                closed.append(Span(tuple(span), key.at_us))
        elif span is not None and key.counter > 0:
            span.append(key)
        else:
            open_spans.append([key])
    closed.extend(Span(tuple(span), None) for span in open_spans)
    return sorted(closed, key=lambda span: span.start_us)
