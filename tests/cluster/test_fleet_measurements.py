# SPDX-License-Identifier: Apache-2.0
"""The measurements of whole fleets, small: `make bench-fleet` in a minute, and what a killed one
leaves behind. Each is a process with a cluster of its own, as their targets start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventually import eventually

ROOT = Path(__file__).parents[2]


@contextmanager
def measurement(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m benchmarks.fleet`; its table goes to `table`, its progress to `progress`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT / "tests")])}
    with (folder / "table").open("w") as table, (folder / "progress").open("w") as progress:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fleet", *arguments],
            env=environment,
            stdout=table,
            stderr=progress,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


@pytest.mark.timeout(240)
def test_a_small_fleet_that_loses_its_line_comes_back_within_its_budgets(tmp_path: Path) -> None:
    """The cut is longer than the ten seconds after which a worker gives a silent session up."""
    size = ("--sites=2", "--cameras=8", "--per-worker=8", "--strangers=1")
    with measurement(tmp_path, "line-cut", *size, "--cut-s=13", "--settle-s=0") as process:
        status = process.wait(220)
    table = (tmp_path / "table").read_text()
    assert status == 0, table + (tmp_path / "progress").read_text()
    assert re.search(r"all back: sessions begun anew +15\n", table)
    assert re.search(r"accounts locked +0 +0\n", table)
    assert re.search(r"one site: frames lost by the others +0 +0\n", table)


def test_a_measurement_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    def progress() -> str:
        return (tmp_path / "progress").read_text()

    with measurement(tmp_path, "flapping", "--sites=1", "--cameras=2", "--minutes=5") as process:
        eventually(lambda: re.search(r"worker \S+ started", progress()), within_s=60)
        number = re.findall(r"cluster fleet-(\d+)", progress())[0]
        left = [
            Path(f"/run/netns/camfleet-source{number}"),
            Path(f"/sys/class/net/camfleet-src{number}"),
            Path(f"/dev/shm/camfleet-fleet-{number}"),
            Path(f"/run/netns/camfleet-fleet-{number}"),
        ]
        assert all(path.exists() for path in left)
        # A process that is being executed has no environment for a moment (proc(5), environ).
        eventually(lambda: _processes_that_name(f"camfleet-fleet-{number}"))
        process.kill()
        process.wait(10)
        eventually(lambda: not any(path.exists() for path in left), within_s=60)
        assert not _processes_that_name(f"camfleet-fleet-{number}")


def _processes_that_name(text: str) -> list[str]:
    """Processes with this text in their environment: the workers, whose folders are named so."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and text.encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:
            continue  # it is gone, or nobody may look
    return found
