# SPDX-License-Identifier: Apache-2.0
"""Reading a volume: spans, gaps, and one playable file of an interval, from real recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice, pairwise
from pathlib import Path

import av
import pytest

from access_units import access_units
from camera_simulator.footage import prepared_clip
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.recordings.__main__ import main
from camfleet_worker.recordings.listing import time_text

START_S = 1_700_000_040.0
CAMERA = "phu-yen/gate"
SECOND = 90_000


def volume_with(
    root: Path,
    *runs: list[AccessUnit],
    uid: str = "0a1b2c3d",
    segment_s: int = 5,
    format_changes_per_hour: int = 60,
) -> Path:
    """A volume on which each run was recorded, one after the other."""
    writer = VolumeWriter(VolumeSettings(root), wall=lambda: START_S)
    writer.start()
    settings = RecordingSettings(
        f"{CAMERA}.{uid}", segment_s=segment_s, format_changes_per_hour=format_changes_per_hour
    )
    sink = RecordingSink(settings, writer)
    for unit in (unit for run in runs for unit in run):
        sink.push(unit)
    sink.close()
    assert writer.close(within_s=10)
    return root


def run(name: str = "240p-h264", offset_s: float = 0, seconds: float = 20) -> list[AccessUnit]:
    clip = prepared_clip(name)
    units = access_units(clip, START_S + offset_s, first_pts=int(offset_s * SECOND))
    return list(islice(units, int(seconds * SECOND / clip.ticks_per_frame)))


def times(start_s: float, end_s: float) -> list[str]:
    return [
        "--from",
        time_text(int((START_S + start_s) * 1e6)),
        "--to",
        time_text(int((START_S + end_s) * 1e6)),
    ]


def export(root: Path, start_s: float, end_s: float, camera: str = CAMERA) -> Path:
    out = root.parent / "out.mp4"
    said = ["export", camera, str(out), "--volume", str(root), *times(start_s, end_s)]
    assert main(said) == 0
    return out


def packets(path: Path) -> Iterator[tuple[bytes, float]]:
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size and packet.pts is not None and packet.time_base is not None:
                yield bytes(packet), float(packet.pts * packet.time_base)


def decoded(path: Path) -> list[tuple[float, int]]:
    with av.open(str(path)) as container:
        return [(frame.time or 0.0, frame.height) for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["240p-h264", "240p-h265"])
def test_an_interval_is_exported_whole_across_segments(tmp_path: Path, name: str) -> None:
    units = run(name)
    out = export(volume_with(tmp_path / "volume", units), 3, 17)
    found = list(packets(out))
    first = max(i for i, u in enumerate(units) if u.key and u.arrived_at <= START_S + 3)
    wanted = [u for u in units[first:] if u.arrived_at < START_S + 17]
    assert [data for data, _ in found] == [unit.data for unit in wanted]
    for (_, at), unit in zip(found, wanted, strict=True):
        assert at == pytest.approx(unit.arrived_at - wanted[0].arrived_at, abs=0.001)
    shown = decoded(out)
    assert len(shown) == len(wanted)
    assert [at for at, _ in shown] == sorted(at for at, _ in shown)


def test_the_file_says_when_it_begins(tmp_path: Path) -> None:
    out = export(volume_with(tmp_path / "volume", run()), 0, 5)
    with av.open(str(out)) as container:
        said = datetime.fromisoformat(container.metadata["creation_time"])
    assert said == datetime.fromtimestamp(int(START_S), UTC)


def test_pictures_with_b_frames_are_shown_in_order(tmp_path: Path) -> None:
    units = run("240p-h264-b")
    out = export(volume_with(tmp_path / "volume", units), 0, 15)
    shown = [at for at, _ in decoded(out)]
    assert len(shown) >= 15 * 25 - 3
    steps = {round(b - a, 2) for a, b in pairwise(shown)}
    assert steps == {0.04}


@pytest.mark.parametrize("end_s", [15.0, 15.04, 15.08, 15.12, 15.16])
def test_an_interval_that_ends_among_b_frames_shows_every_picture_before_its_end(
    tmp_path: Path, end_s: float
) -> None:
    out = export(volume_with(tmp_path / "volume", run("240p-h264-b")), 5, end_s)
    wanted = round((end_s - 5) * 25)
    shown = [round(at * 25) for at, _ in decoded(out)]
    assert shown[:wanted] == list(range(wanted))
    assert len(shown) <= wanted + 1, "one shown later stays where earlier ones refer to it"


def test_a_change_of_picture_size_goes_on_in_the_same_file(tmp_path: Path) -> None:
    small, large = run(seconds=8), run("360p-h264", offset_s=8, seconds=8)
    out = export(volume_with(tmp_path / "volume", small, large), 0, 16)
    heights = [height for _, height in decoded(out)]
    assert (heights.count(240), heights.count(360)) == (200, 200)


def test_parameter_sets_that_changed_in_band_end_with_their_segment(tmp_path: Path) -> None:
    clips = ("240p-h264", "360p-h264")
    groups = [run(clips[turn % 2], offset_s=turn, seconds=1) for turn in range(16)]
    root = volume_with(
        tmp_path / "volume", list(chain(*groups)), segment_s=4, format_changes_per_hour=0
    )
    shown = decoded(export(root, 0, 16))
    assert [height for _, height in shown] == ([240] * 25 + [360] * 25) * 8


def test_another_codec_begins_another_file(tmp_path: Path) -> None:
    old, new = run(seconds=8), run("240p-h265", offset_s=8, seconds=8)
    out = export(volume_with(tmp_path / "volume", old, new), 0, 16)
    assert len(decoded(out)) == len(decoded(out.with_stem("out-2"))) == 200


def test_a_gap_stays_a_gap_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = volume_with(tmp_path / "volume", run(seconds=5), run(offset_s=15, seconds=5))
    shown = [at for at, _ in decoded(export(root, 0, 20))]
    assert max(b - a for a, b in pairwise(shown)) == pytest.approx(10, abs=0.1)
    assert "not recorded: 2023-11-14T22:14:05" in capsys.readouterr().err
    assert main(["list", CAMERA, "--json", "--volume", str(root), *times(0, 20)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in rows] == ["recorded", "gap", "recorded"]
    assert rows[1]["from"].startswith("2023-11-14T22:14:05.0")


def test_a_torn_last_segment_is_exported_as_far_as_it_goes(tmp_path: Path) -> None:
    root = volume_with(tmp_path / "volume", run(seconds=10))
    last = sorted(root.rglob("*.mp4"))[-1]
    last.write_bytes(last.read_bytes()[:-40_000])
    shown = decoded(export(root, 0, 10))
    assert 120 <= len(shown) < 250


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "phu-yen/nobody", "out.mp4", *times(0, 5)], "There is phu-yen/gate"),
        (["export", CAMERA, "out.mp4", *times(3600, 3700)], "No picture of this camera"),
    ],
)
def test_an_export_without_recordings_is_an_error_and_leaves_no_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    root = volume_with(tmp_path / "volume", run(seconds=5))
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--volume", str(root)]) == 1
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["volume"]


def test_two_devices_of_one_name_are_never_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = volume_with(tmp_path / "volume", run(seconds=5))
    volume_with(root, run(seconds=5), uid="ffffffff")
    said = ["export", CAMERA, str(tmp_path / "out.mp4"), "--volume", str(root), *times(0, 5)]
    assert main(said) == 1
    assert "gate.0a1b2c3d, gate.ffffffff" in capsys.readouterr().err
    assert len(decoded(export(root, 0, 5, "phu-yen/gate.ffffffff"))) == 125


def test_a_time_without_an_offset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", CAMERA, "out.mp4", "--from", "2026-05-01T07:00:00", "--to", "x"])
    assert "no time with an offset" in capsys.readouterr().err
