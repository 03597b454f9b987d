# SPDX-License-Identifier: Apache-2.0
"""PID 1: restarts at once within a limit, forwards SIGTERM, reaps what is left to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.parent import RESTARTS, WITHIN_S, RestartLimit
from eventually import eventually

WORKERS = Path(__file__).parents[4] / "workers"


def parent_of(child: str, folder: Path) -> subprocess.Popen[bytes]:
    """A parent process whose child runs this script; it appends a line a start to `starts`."""
    script = folder / "child.py"
    start = "import pathlib\npathlib.Path('starts').open('a').write('x')\n"
    script.write_text(start + textwrap.dedent(child))
    code = (
        "import sys\nfrom camfleet_worker.parent import Parent\n"
        f"sys.exit(Parent([sys.executable, {str(script)!r}]).run())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(WORKERS)},
        stderr=subprocess.DEVNULL,
    )


def starts(folder: Path) -> int:
    path = folder / "starts"
    return len(path.read_text()) if path.exists() else 0


def test_a_child_that_dies_is_started_again_until_the_limit(tmp_path: Path) -> None:
    assert parent_of("raise SystemExit(3)", tmp_path).wait(timeout=60) == 1
    assert starts(tmp_path) == RESTARTS + 1


def test_a_child_that_ends_well_ends_the_container(tmp_path: Path) -> None:
    assert parent_of("", tmp_path).wait(timeout=30) == 0
    assert starts(tmp_path) == 1


def test_sigterm_reaches_the_child_and_its_code_is_the_containers(tmp_path: Path) -> None:
    child = """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        pathlib.Path('listens').touch()
        signal.pause()
    """
    parent = parent_of(child, tmp_path)
    eventually(lambda: (tmp_path / "listens").exists(), within_s=30)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(timeout=30) == 7
    assert starts(tmp_path) == 1


def test_a_child_killed_from_outside_is_started_again(tmp_path: Path) -> None:
    child = """
        import os, signal, sys
        if len(pathlib.Path('starts').read_text()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert parent_of(child, tmp_path).wait(timeout=30) == 0
    assert starts(tmp_path) == 2


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60))
def test_no_window_holds_more_restarts_than_the_limit(times: list[float]) -> None:
    limit = RestartLimit()
    allowed = [at for at in sorted(times) if limit.allows(at)]
    for at in allowed:
        assert sum(at <= other < at + WITHIN_S for other in allowed) <= RESTARTS


def test_restarts_are_allowed_again_after_the_window() -> None:
    limit = RestartLimit(restarts=2, within_s=60)
    assert [limit.allows(at) for at in (0, 1, 2, 59, 60)] == [True, True, False, False, True]


@pytest.mark.parametrize("module", ["camfleet_worker.parent"])
def test_the_parent_imports_nothing_of_the_worker(module: str) -> None:
    code = f"import sys, {module}; print([m for m in sys.modules if m.startswith('camfleet')])"
    out = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(WORKERS)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert out.strip() == "['camfleet_worker', 'camfleet_worker.parent']"
