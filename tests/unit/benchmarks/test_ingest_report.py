# SPDX-License-Identifier: Apache-2.0
"""The verdict on what a stream costs: what it lets pass, and what it calls a miss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.benchmarks.ingest.comparison import Case, Result
from tests.benchmarks.ingest.job import Reader, Task
from tests.benchmarks.ingest.report import costs, medians, shortcomings, write

GOOD = Result(
    case=Case(Reader.OURS, Task.RELAY, 10),
    mcore=1.1,
    pss_mb=100.0,
    handled=1.0,
    dropped=0,
    late=0.0,
    source_busy=0.2,
    reader_busy=0.1,
    relayed=1.01,
    coldness=1.5,
)
MORE = replace(GOOD, case=Case(Reader.OURS, Task.RELAY, 110), pss_mb=200.0)


def test_results_that_reach_the_goals_have_no_shortcomings() -> None:
    assert shortcomings([GOOD, MORE]) == []


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (replace(GOOD, mcore=1.3), "1.30 mcore of 1.2"),
        (replace(GOOD, dropped=1), "pictures are missing"),
        (replace(GOOD, handled=0.9), "pictures are missing"),
        (replace(GOOD, late=0.05), "the source was short of time"),
        (replace(GOOD, source_busy=0.95), "the source was short of time"),
        (replace(MORE, pss_mb=300.0), "2.00 MB a stream of 1.5"),
        (replace(MORE, pss_mb=110.0), ""),
    ],
)
def test_each_shortcoming_is_reported(result: Result, told: str) -> None:
    found = shortcomings([GOOD, result])
    assert [told] == [told for line in found if told in line] or (not told and not found)


def test_fixed_and_marginal_costs_are_the_line_through_all_numbers_of_streams() -> None:
    more = replace(MORE, mcore=0.6)
    assert costs([GOOD, more]) == [
        "ours: record and relay: 6 mcore and 0.55 a stream, 90 MB and 1.00 a stream"
    ]


def test_a_fixed_memory_beyond_the_goal_is_reported() -> None:
    heavier = [replace(one, pss_mb=one.pss_mb + 40) for one in (GOOD, MORE)]
    assert shortcomings(heavier) == ["ours: record and relay: 130 MB fixed of 120"]


def test_of_several_rounds_the_one_in_the_middle_counts() -> None:
    rounds = [replace(GOOD, mcore=cost) for cost in (3.0, 1.0, 2.0)]
    assert [one.mcore for one in medians([*rounds, MORE])] == [2.0, MORE.mcore]


def test_table_figures_and_plot_are_written(tmp_path: Path) -> None:
    write([GOOD, MORE, replace(GOOD, case=Case(Reader.FFMPEG, Task.RELAY, 10))], tmp_path, "x")
    assert {path.name for path in tmp_path.iterdir()} == {"x.txt", "x.json", "x.png"}
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert "ffmpeg: record and relay" in (tmp_path / "x.txt").read_text()
