# SPDX-License-Identifier: Apache-2.0
"""Audio in an exported file: all that lies on the volume, at its time, in one file with the
pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise, takewhile
from pathlib import Path

import av
import pytest

from access_units import access_units
from audio_units import audio_format, prepared_audio, push_side_by_side
from camera_simulator.footage import prepared_clip
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.recordings.__main__ import main
from camfleet_worker.recordings.listing import time_text

START_S = 1_700_000_040.0
CAMERA = "phu-yen/gate"
STEREO = dataclasses.replace(audio_format(), channels=2, config=b"\x14\x10")


@dataclass(frozen=True)
class Run:
    """What one worker recorded: pictures from `begin_s` on, and audio where a format is named."""

    begin_s: float
    end_s: float
    audio: AudioFormat | None = None
    clip: str = "240p-h264"

    @property
    def pictures(self) -> list[AccessUnit]:
        begin = int(self.begin_s * 90_000)
        units = access_units(prepared_clip(self.clip), START_S + self.begin_s, begin)
        return list(islice(units, int((self.end_s - self.begin_s) * 25)))

    @property
    def audio_units(self) -> list[AudioUnit]:
        if self.audio is None:
            return []
        begin = int(self.begin_s * 90_000)
        units = prepared_audio(START_S + self.begin_s, begin, self.audio)
        return list(takewhile(lambda unit: unit.pts_90k < self.end_s * 90_000, units))


def volume_with(root: Path, *runs: Run) -> Path:
    for each in runs:
        writer = VolumeWriter(VolumeSettings(root), wall=lambda: START_S)
        writer.start()
        sink = RecordingSink(RecordingSettings(f"{CAMERA}.0a1b2c3d", segment_s=5), writer)
        if each.audio_units:
            sink.push_audio(each.audio_units[0])  # it has heard audio before
        push_side_by_side(sink, each.pictures, each.audio_units)
        sink.close()
        assert writer.close(within_s=10)
    return root


def export(root: Path, start_s: float, end_s: float) -> Path:
    out = root.parent / "out.mp4"
    begin, end = (time_text(int((START_S + at_s) * 1e6)) for at_s in (start_s, end_s))
    said = ["export", CAMERA, str(out), "--volume", str(root), "--from", begin, "--to", end]
    assert main(said) == 0
    return out


def heard_in(path: Path) -> list[tuple[bytes, float]]:
    """Audio of a file, and when it is heard in it."""
    with av.open(str(path)) as container:
        return [
            (bytes(packet), float((packet.pts or 0) * (packet.time_base or 0)))
            for packet in container.demux(audio=0)
            if packet.size
        ]


def shown_in(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)]


@pytest.mark.parametrize("clip", ["240p-h264", "240p-h265", "240p-h264-b"])
def test_audio_goes_along_across_segments_at_its_time(tmp_path: Path, clip: str) -> None:
    recorded = Run(0, 20, audio_format(), clip)
    out = export(volume_with(tmp_path / "volume", recorded), 6, 14)
    first_s, found = 6.0, heard_in(out)
    wanted = [unit for unit in recorded.audio_units if 6 <= unit.pts_90k / 90_000 < 14]
    assert [data for data, _ in found] == [unit.data for unit in wanted]
    for (_, at_s), unit in zip(found, wanted, strict=True):
        assert at_s == pytest.approx(unit.pts_90k / 90_000 - first_s, abs=1e-3)
    shown = shown_in(out)
    assert len(shown) >= 8 * 25
    assert shown == sorted(shown)
    with av.open(str(out)) as container:
        said = datetime.fromisoformat(container.metadata["creation_time"])
        assert sum(frame.samples for frame in container.decode(audio=0)) == 1024 * len(found)
    assert said == datetime.fromtimestamp(int(START_S + first_s), UTC)


def test_stretches_without_audio_are_silent_in_the_same_file(tmp_path: Path) -> None:
    root = volume_with(
        tmp_path / "volume", Run(0, 7), Run(7, 14, audio_format()), Run(14, 16), Run(20, 24, STEREO)
    )
    out = export(root, 0, 16)
    assert not out.with_stem("out-2").exists()
    assert len(shown_in(out)) == 16 * 25
    times = [at_s for _, at_s in heard_in(out)]
    assert times[0] == pytest.approx(7, abs=0.001)
    assert 13.8 < times[-1] < 14
    assert {round(b - a, 3) for a, b in pairwise(times)} == {0.064}


def test_audio_announced_and_never_sent_begins_no_other_file(tmp_path: Path) -> None:
    silent = Run(4, 8, audio_format())
    root = volume_with(tmp_path / "volume", Run(0, 4))
    writer = VolumeWriter(VolumeSettings(root), wall=lambda: START_S)
    writer.start()
    sink = RecordingSink(RecordingSettings(f"{CAMERA}.0a1b2c3d", segment_s=5), writer)
    sink.push_audio(dataclasses.replace(silent.audio_units[0], pts_90k=0))
    push_side_by_side(sink, silent.pictures, [])
    sink.close()
    assert writer.close(within_s=10)
    out = export(root, 0, 8)
    assert len(shown_in(out)) == 200
    assert not out.with_stem("out-2").exists()


def test_audio_in_another_format_begins_another_file(tmp_path: Path) -> None:
    root = volume_with(tmp_path / "volume", Run(0, 7, audio_format()), Run(7, 14, STEREO))
    out = export(root, 0, 14)
    first, second = heard_in(out), heard_in(out.with_stem("out-2"))
    assert len(first) + len(second) > 210
    assert second[0][1] == pytest.approx(0, abs=0.001)
    assert len(shown_in(out)) == len(shown_in(out.with_stem("out-2"))) == 175
