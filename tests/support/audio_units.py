# SPDX-License-Identifier: Apache-2.0
"""Audio as a source hands it to its sinks, beside the pictures of access_units.py; for the tests of
sinks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from camera_simulator.rtsp.audio import audio_track
from camera_simulator.settings import Audio
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.sink import AudioSink

_TICK_90K = 9_000
"""What the media loop delivers at once: the pictures of a tick, then their audio."""


def audio_format(codec: Audio = "aac") -> AudioFormat:
    """What a source would say of the simulator's tone."""
    track = audio_track(codec)
    return AudioFormat(AudioCodec(codec.upper()), track.clock_hz, 1, track.config)


def prepared_audio(
    start_s: float = 1_700_000_000.0, first_pts: int = 0, audio: AudioFormat | None = None
) -> Iterator[AudioUnit]:
    """The tone in AAC, round and round without end; no two units of a round are alike."""
    track, audio = audio_track("aac"), audio or audio_format()
    for number in count():
        pts = number * track.unit_ticks * 90_000 // track.clock_hz
        data = track.units[number % len(track.units)]
        yield AudioUnit(data, first_pts + pts, start_s + pts / 90_000, audio)


def push_side_by_side(
    sink: AudioSink, pictures: Iterable[AccessUnit], audio_units: Iterable[AudioUnit]
) -> None:
    """As the media loop does: of each tick the pictures first, then the audio."""
    rest = iter(audio_units)
    audio = next(rest, None)
    tick_90k: int | None = None
    for picture in pictures:
        at = picture.dts_90k
        tick_90k = at + _TICK_90K if tick_90k is None else tick_90k
        while at >= tick_90k:
            while audio is not None and audio.pts_90k < tick_90k:
                sink.push_audio(audio)
                audio = next(rest, None)
            tick_90k += _TICK_90K
        sink.push(picture)
