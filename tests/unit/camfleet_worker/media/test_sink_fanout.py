# SPDX-License-Identifier: Apache-2.0
"""Which sinks are given audio, and from when on."""

from __future__ import annotations

from camfleet_api.conditions import ConditionType
from camfleet_worker.media.counters import LoopCounters
from camfleet_worker.media.sink_fanout import SinkFanout
from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState

VIDEO = VideoFormat(Codec.H264, (), 16, 16)
AUDIO = AudioUnit(b"audio", 1, 0.0, AudioFormat(AudioCodec.PCMA, 8000, 1))


def picture(key: bool) -> AccessUnit:
    return AccessUnit(b"picture", key, 0, 0.0, 0.0, VIDEO)


class PictureSink:
    """Takes pictures only."""

    name = "pictures"
    condition = ConditionType.RECORDING

    def __init__(self) -> None:
        self.counters = SinkCounters()
        self.state = SinkState(SinkPhase.WORKING)
        self.pictures = 0

    def push(self, unit: AccessUnit) -> None:
        self.pictures += 1

    def tick(self, now: float) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Nothing is open."""


class AudioSink(PictureSink):
    """Takes both."""

    broken = False

    def __init__(self) -> None:
        super().__init__()
        self.audio: list[AudioUnit] = []

    def push_audio(self, unit: AudioUnit) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        self.audio.append(unit)


def test_audio_begins_behind_a_key_frame_and_goes_to_sinks_that_take_it() -> None:
    deaf, hearing = PictureSink(), AudioSink()
    fanout = SinkFanout("gate", [deaf, hearing], LoopCounters())
    fanout.push(picture(key=False))
    fanout.push_audio(AUDIO)
    assert hearing.audio == []
    fanout.push(picture(key=True))
    fanout.push_audio(AUDIO)
    assert hearing.audio == [AUDIO]
    assert deaf.pictures == hearing.pictures == 1


def test_a_sink_that_joins_later_has_audio_from_its_first_key_frame_on() -> None:
    first, later = AudioSink(), AudioSink()
    fanout = SinkFanout("gate", [first], LoopCounters())
    fanout.push(picture(key=True))
    fanout.replace_sinks([first, later])
    fanout.push_audio(AUDIO)
    assert (len(first.audio), len(later.audio)) == (1, 0)
    fanout.push(picture(key=True))
    fanout.push_audio(AUDIO)
    assert (len(first.audio), len(later.audio)) == (2, 1)
    fanout.replace_sinks([later])
    fanout.push_audio(AUDIO)
    assert (len(first.audio), len(later.audio)) == (2, 2)


def test_a_bug_in_one_sink_takes_the_audio_from_no_other() -> None:
    broken, whole = AudioSink(), AudioSink()
    broken.broken = True
    counters = LoopCounters()
    fanout = SinkFanout("gate", [broken, whole], counters)
    fanout.push(picture(key=True))
    fanout.push_audio(AUDIO)
    fanout.push_audio(AUDIO)
    assert (len(whole.audio), counters.sink_faults) == (2, 1)
    broken.broken = False
    fanout.push(picture(key=True))
    fanout.push_audio(AUDIO)
    assert len(broken.audio) == 1
