# SPDX-License-Identifier: Apache-2.0
"""The table, the plot and the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from ..figures import slope
from .comparison import Case, Result
from .job import CLIP, Reader, Task

_COLUMNS = (
    f"{'reader and task':38}{'streams':>8}{'mcore/stream':>14}{'of ours':>9}{'MB/stream':>11}"
    f"{'pictures':>10}{'dropped':>9}{'relayed':>9}{'source late':>13}"
    f"{'cores: source, reader':>23}{'cold':>6}"
)
_MOST_MCORE = {Task.RECEIVE: 0.45, Task.RECORD: 1.2, Task.RELAY: 1.2}
_MOST_MCORE_RTMP = 4.0
_MOST_MARGINAL_MB = 1.5
_MOST_FIXED_MB = 120.0
_BUSY = 0.9
"""A source that uses more of its core may itself be what is short."""


def row(result: Result, all_results: Sequence[Result]) -> str:
    """One line of the table."""
    case = result.case
    own = [
        one.mcore
        for one in all_results
        if one.case.reader is Reader.OURS
        and (one.case.task, one.case.streams) == (case.task, case.streams)
        and (one.case.clip, one.case.protocol) == (case.clip, case.protocol)
    ]
    times = f"{result.mcore / own[0]:.1f}x" if own else ""
    return (
        f"{case.name:38}{case.streams:8}{result.mcore:14.2f}{times:>9}"
        f"{result.pss_mb / case.streams:11.2f}{_share(result.handled):>10}{result.dropped:9}"
        f"{_share(result.relayed):>9}{result.late:13.2%}"
        f"{result.source_busy:16.0%}, {result.reader_busy:5.0%}{result.coldness:6.1f}"
    )


def _share(share: float) -> str:
    return "-" if share < 0 else f"{share:.3f}"


def costs(results: Sequence[Result]) -> list[str]:
    """What a process and what each stream more costs, of every reader with several numbers."""
    lines = []
    for name, points in _by_name(results):
        if len(points) > 1:
            mcore, idle = _marginal_and_fixed(points, lambda one: one.mcore * one.case.streams)
            mb, fixed = _marginal_and_fixed(points, lambda one: one.pss_mb)
            lines.append(
                f"{name}: {idle:.0f} mcore and {mcore:.2f} a stream, "
                f"{fixed:.0f} MB and {mb:.2f} a stream"
            )
    return lines


def _marginal_and_fixed(
    points: Sequence[Result], cost: Callable[[Result], float]
) -> tuple[float, float]:
    """The line through all numbers of streams."""
    pairs = [(one.case.streams, cost(one)) for one in points]
    marginal = slope(pairs)
    mean_streams = sum(streams for streams, _ in pairs) / len(pairs)
    return marginal, sum(cost for _, cost in pairs) / len(pairs) - marginal * mean_streams


def shortcomings(results: Sequence[Result]) -> list[str]:
    """What ours was to reach and has not; and where the source was what was short."""
    missed = []
    for one in results:
        case = one.case
        if one.late > 0.01 or one.source_busy > _BUSY:
            missed.append(f"{case.name}, {case.streams} streams: the source was short of time")
        if case.reader is not Reader.OURS or case.clip != CLIP or case.tick_s != 0.1:
            continue
        most = _MOST_MCORE_RTMP if case.protocol == "rtmp" else _MOST_MCORE[case.task]
        if case.protocol != "rtsps" and one.mcore > most:
            missed.append(f"{case.name}, {case.streams} streams: {one.mcore:.2f} mcore of {most}")
        if one.dropped or one.handled < 0.99:
            missed.append(f"{case.name}, {case.streams} streams: pictures are missing")
    for name, points in _by_name(results):
        if len(points) < 2 or points[0].case.reader is not Reader.OURS:
            continue
        marginal, fixed = _marginal_and_fixed(points, lambda one: one.pss_mb)
        if marginal > _MOST_MARGINAL_MB:
            missed.append(f"{name}: {marginal:.2f} MB a stream of {_MOST_MARGINAL_MB}")
        if fixed > _MOST_FIXED_MB:
            missed.append(f"{name}: {fixed:.0f} MB fixed of {_MOST_FIXED_MB:.0f}")
    return missed


def medians(results: Sequence[Result]) -> list[Result]:
    """Of each case the round whose CPU lies in the middle, in the order of the first round."""
    rounds: dict[Case, list[Result]] = {}
    for one in results:
        rounds.setdefault(one.case, []).append(one)
    return [sorted(of, key=lambda one: one.mcore)[len(of) // 2] for of in rounds.values()]


def write(results: Sequence[Result], folder: Path, name: str) -> None:
    """The table as text, the figures as JSON, and both costs over the number of streams as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    table = [_COLUMNS, *(row(one, results) for one in results), "", *costs(results)]
    (folder / f"{name}.txt").write_text("\n".join(table) + "\n")
    (folder / f"{name}.json").write_text(json.dumps([asdict(one) for one in results], indent=1))
    _plot(results).savefig(folder / f"{name}.png", dpi=120)
    print("\n".join(table))
    print(f"\ntable, figures and plot: {folder}/{name}.txt, .json, .png")


def _plot(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(12, 5), layout="constrained")
    cpu, memory_axes = figure.subplots(1, 2)
    for name, points in _by_name(results):
        streams = [one.case.streams for one in points]
        style = "o-" if points[0].case.reader is Reader.OURS else "s--"
        cpu.plot(streams, [one.mcore for one in points], style, label=name)
        per_stream = [one.pss_mb / one.case.streams for one in points]
        memory_axes.plot(streams, per_stream, style, label=name)
    cpu.set(title="CPU", xlabel="streams", ylabel="thousandths of a core a stream", ylim=(0, None))
    memory_axes.set(title="Memory", xlabel="streams", ylabel="MiB a stream (PSS)", yscale="log")
    for axes in (cpu, memory_axes):
        axes.grid(alpha=0.3)
    memory_axes.legend(fontsize="small")
    figure.suptitle("720p25 H.264 at 2 Mbit/s over RTSP/TCP, all readers on one core")
    return figure


def _by_name(results: Sequence[Result]) -> list[tuple[str, list[Result]]]:
    ordered = sorted(results, key=lambda one: (one.case.name, one.case.streams))
    return [(name, list(points)) for name, points in groupby(ordered, lambda one: one.case.name)]
