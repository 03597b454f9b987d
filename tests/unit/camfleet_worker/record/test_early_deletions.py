# SPDX-License-Identifier: Apache-2.0
"""A recording that goes before its time is noted with its site, and one whose time was over is
not."""

from __future__ import annotations

from pathlib import Path

import pytest

from camfleet_worker.base.moments import DAY_US, utc
from camfleet_worker.record import declarations
from camfleet_worker.record.early_deletions import EarlyDeletions
from camfleet_worker.record.housekeeping import Housekeeper, VolumeSettings
from camfleet_worker.record.retention import locked

NOW_DAY = 20_000
NOW_S = NOW_DAY * 86_400.0
SEGMENT_BYTES = 1000


def segment(root: Path, camera: str, day: int) -> Path:
    """One recording of a camera, begun at noon of a day."""
    path = root / camera / f"{utc(day * DAY_US):%Y-%m-%d}" / "12" / "00-00Z.1.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(SEGMENT_BYTES))
    return path


def recorded(root: Path, camera: str, site: str, retention_days: int, *ages: int) -> None:
    """Recordings of a camera, some days old."""
    declarations.declare_site(root / camera, site)
    declarations.declare_retention(root / camera, retention_days)
    for age in ages:
        segment(root, camera, NOW_DAY - age)


def keeper(root: Path, max_bytes: int | None = None) -> Housekeeper:
    settings = VolumeSettings(root, max_bytes, room_bytes=2 * SEGMENT_BYTES)
    return Housekeeper(settings, wall=lambda: NOW_S)


def told(housekeeper: Housekeeper, namespace: str = "phu-yen") -> list[tuple[str, float, int]]:
    """What is reported: site, age of the youngest in days, days promised."""
    return [
        (one.site, (utc(NOW_DAY * DAY_US) - one.until).total_seconds() / 86_400, one.retention_days)
        for one in housekeeper.early.of(namespace)
    ]


def test_a_full_disk_that_takes_young_recordings_is_noted_with_the_youngest(tmp_path: Path) -> None:
    recorded(tmp_path, "phu-yen/gate.0a1b2c3d", "hotel", 30, 9, 8, 7)
    housekeeper = keeper(tmp_path)
    assert housekeeper.make_room()
    assert told(housekeeper) == [("hotel", 7.5, 30)]


def test_a_bound_that_takes_young_recordings_is_noted_by_site(tmp_path: Path) -> None:
    recorded(tmp_path, "phu-yen/gate.0a1b2c3d", "hotel", 30, 9, 5)
    recorded(tmp_path, "phu-yen/hall.0a1b2c3d", "school", 14, 8, 2)
    declarations.declare_site_bound(tmp_path / "phu-yen", "school", SEGMENT_BYTES)
    housekeeper = keeper(tmp_path)
    housekeeper.look()
    assert told(housekeeper) == [("school", 7.5, 14)]


def test_what_expires_is_no_loss_whoever_deletes_it(tmp_path: Path) -> None:
    recorded(tmp_path, "phu-yen/gate.0a1b2c3d", "hotel", 3, 9, 8, 1)
    housekeeper = keeper(tmp_path)
    assert housekeeper.make_room(), "a full disk comes before the look of that minute"
    assert told(housekeeper) == []
    housekeeper.look()
    assert told(housekeeper) == []


def test_what_is_being_written_stays_and_is_not_noted(tmp_path: Path) -> None:
    recorded(tmp_path, "phu-yen/gate.0a1b2c3d", "hotel", 30, 9)
    writing = segment(tmp_path, "phu-yen/gate.0a1b2c3d", NOW_DAY - 1)
    housekeeper = keeper(tmp_path)
    with locked(writing):
        assert housekeeper.make_room()
    assert told(housekeeper) == [("hotel", 8.5, 30)]


def test_another_namespace_on_the_volume_is_not_reported_here(tmp_path: Path) -> None:
    recorded(tmp_path, "binh-dinh/gate.0a1b2c3d", "hotel", 30, 9, 8)
    housekeeper = keeper(tmp_path)
    assert housekeeper.make_room()
    assert told(housekeeper, "phu-yen") == []
    assert told(housekeeper, "binh-dinh") == [("hotel", 7.5, 30)]


@pytest.mark.parametrize(("site", "days"), [("", 30), ("Not a site", 30), ("hotel", 10**18)])
def test_what_no_operator_declared_is_not_reported(tmp_path: Path, site: str, days: int) -> None:
    recorded(tmp_path, "phu-yen/gate.0a1b2c3d", site, days, 9, 8)
    housekeeper = keeper(tmp_path)
    assert housekeeper.make_room()
    assert told(housekeeper) == []


def test_a_recording_of_a_clock_that_was_ahead_hides_no_later_loss() -> None:
    early = EarlyDeletions()
    early.note(("phu-yen", "hotel"), (NOW_DAY + 3650) * DAY_US, 30, NOW_DAY * DAY_US)
    early.note(("phu-yen", "hotel"), (NOW_DAY + 1) * DAY_US, 30, (NOW_DAY + 2) * DAY_US)
    (one,) = early.of("phu-yen")
    assert one.until == utc((NOW_DAY + 1) * DAY_US)
