# SPDX-License-Identifier: Apache-2.0
"""What is said in several places is the same everywhere: versions, licence, minutes, sizes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CHART = yaml.safe_load((ROOT / "charts" / "camfleet" / "Chart.yaml").read_text("utf-8"))
TEXTS = [
    file
    for file in (ROOT / "README.md", *ROOT.glob("*/**/*.md"))
    if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)
]


def test_the_minimum_version_of_kubernetes_is_the_same_everywhere() -> None:
    chart = re.fullmatch(r">=(1\.\d+)\.0-0", CHART["kubeVersion"])
    assert chart is not None
    said = {
        file.relative_to(ROOT).as_posix(): set(
            re.findall(r"Kubernetes\s*(?:≥|>=)\s*(1\.\d+)", file.read_text("utf-8"))
        )
        for file in TEXTS
    }
    said = {file: versions for file, versions in said.items() if versions}
    assert {"README.md", "crds/DESIGN.md", "operator/camfleet_operator/DESIGN.md"} <= said.keys()
    assert {file for file, versions in said.items() if versions != {chart[1]}} == set()


def test_the_licence_is_the_same_for_package_chart_and_modules() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert CHART["annotations"]["artifacthub.io/license"] == project["license"]


def test_a_measurement_takes_as_long_as_in_both_lists() -> None:
    minutes = re.compile(r"^\| `make (\S+)` \((\d+) min\)", re.MULTILINE)
    readme = dict(minutes.findall((ROOT / "tests" / "README.md").read_text("utf-8")))
    listed = re.compile(r"^([a-z-]+):.*## .*\((\d+) min\)$", re.MULTILINE)
    makefile = dict(listed.findall((ROOT / "Makefile").read_text("utf-8")))
    both = readme.keys() & makefile.keys()
    assert "bench-fleet" in both
    assert {target for target in both if readme[target] != makefile[target]} == set()


MOST_LINES = 300
LONGER = {
    "crds/camfleet_api/camera.py": "one kind, spec and status, as kubectl explain shows it",
    "crds/camfleet_api/conditions.py": "the table of all reasons, a row each",
    "operator/camfleet_operator/plan/desired.py": "one object a shard needs after the other",
    "operator/camfleet_operator/settings.py": "every setting with its meaning",
    "workers/camfleet_worker/camera/supervisor.py": "the connect loop of a camera and its ends",
    "workers/camfleet_worker/journal/camera_journal.py": "the rules of one journal, read together",
    "workers/camfleet_worker/journal/keeper.py": "all journals of a process and their bounds",
    "workers/camfleet_worker/metrics/families.py": "every metric with its meaning",
    "workers/camfleet_worker/onvif/login.py": "the schemes of a login and how one follows another",
    "workers/camfleet_worker/record/recording.py": "a sink and the life of its segment",
    "workers/camfleet_worker/recordings/export.py": "one export from its files to its file",
    "workers/camfleet_worker/rtp/depacketiser.py": "the payload formats of both codecs (compiled)",
    "workers/camfleet_worker/rtp/parameter_sets.py": "the syntax of both codecs' parameter sets",
    "workers/camfleet_worker/rtsp/message.py": "the grammar of a message and what bounds it",
}
"""Why each of these is still one file; a new one needs a reason too."""


def test_a_file_has_at_most_300_lines_or_a_reason() -> None:
    long = {
        file.relative_to(ROOT).as_posix()
        for folder in ("crds", "operator", "workers")
        for file in (ROOT / folder).rglob("*.py")
        if len(file.read_text("utf-8").splitlines()) > MOST_LINES
    }
    assert long == LONGER.keys()
