# SPDX-License-Identifier: Apache-2.0
"""Clips as the access units that a source hands to its sinks; for the tests of sinks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from camera_simulator.clips import Clip, is_parameter_set, nal_type
from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat

_DECODED_BEFORE = 2
"""Pictures by which the clips with B-frames are decoded before they are shown: a
pyramid's depth."""


def video_format(clip: Clip) -> VideoFormat:
    """What a source would say of this clip."""
    return VideoFormat(Codec(clip.codec.upper()), clip.parameter_sets, clip.width, clip.height)


def access_units(
    clip: Clip,
    start_s: float = 1_700_000_000.0,
    first_pts: int = 0,
    video: VideoFormat | None = None,
    origin_s: float | None = None,
) -> Iterator[AccessUnit]:
    """The clip in a circle without end, each picture arriving when it is due.

    The timeline agrees with that, unless its origin is told.
    """
    formats = itertools.repeat(video) if video else _formats(clip)
    origin_at = start_s - first_pts / 90_000 if origin_s is None else origin_s
    for number, in_force in zip(count(), formats, strict=False):
        frame = clip.frames[number % len(clip.frames)]
        due = number * clip.ticks_per_frame
        pts = clip.shown_at(number) * clip.ticks_per_frame
        dts = due - _DECODED_BEFORE * clip.ticks_per_frame if clip.shown else due
        yield AccessUnit(
            data=b"".join(
                len(unit).to_bytes(4, "big") + unit
                for unit in frame.units
                if not is_parameter_set(unit, clip.codec)
            ),
            key=frame.key,
            pts_90k=first_pts + pts,
            arrived_at=start_s + due / 90_000,
            origin_at=origin_at,
            format=in_force,
            composition_offset_90k=pts - dts,
        )


def _formats(clip: Clip) -> Iterator[VideoFormat]:
    """The format in force for each access unit: the same object while no parameter set changes."""
    video = video_format(clip)
    for frame in itertools.cycle(clip.frames):
        in_band = {nal_type(unit, clip.codec): unit for unit in frame.units}
        sets = tuple(in_band.get(nal_type(unit, clip.codec), unit) for unit in video.parameter_sets)
        if sets != video.parameter_sets:
            video = replace(video, parameter_sets=sets)
        yield video
