# SPDX-License-Identifier: Apache-2.0
"""`make bench-ingest` and `make bench-receive`: what a stream costs, ours beside its peers.

The same cameras (720p25 H.264, 2 Mbit/s, RTSP over TCP, played by the replay server on the first
core) are read by each reader in turn on the second core. Ours is the worker's RTSP client, media
loop and sinks, PyAV's plain loop has a thread a stream, `ffmpeg -c copy` a process a stream. CPU is
user and system time of the reader and its children, memory its proportional set size.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import report
from .comparison import Case, Comparison, Result
from .job import CLIP, LONG_GOP_CLIP, Reader, Task


def main() -> int:
    """The exit status: 0 if every goal was reached."""
    parser = argparse.ArgumentParser("benchmarks.ingest", description=__doc__)
    parser.add_argument("what", choices=["receive", "ingest", "variants", "many"])
    parser.add_argument("--streams", help="comma-separated; 40, or 10,40,100,200 for ingest")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured of each reader")
    parser.add_argument("--rounds", type=int, default=1, help="of which the median counts")
    parser.add_argument("--folder", type=Path, help="for recordings, which are removed again")
    parser.add_argument("--out", type=Path, default=Path(".bench"), help="for table and plot")
    asked = parser.parse_args()
    cases = _cases(asked.what, [int(one) for one in (asked.streams or "").split(",") if one])
    comparison = Comparison(asked.seconds, asked.folder)
    results: list[Result] = []
    for number in range(asked.rounds):
        for result in comparison.results(cases):
            print(f"round {number + 1}: {report.row(result, [])}", file=sys.stderr)
            results.append(result)
    results = report.medians(results)
    report.write(results, asked.out, asked.what)
    missed = report.shortcomings(results)
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


def _cases(what: str, streams: list[int]) -> list[Case]:
    everybody = list(Reader)
    if what == "receive":
        return [Case(who, Task.RECEIVE, n) for n in streams or [40] for who in everybody]
    if what == "ingest":
        return [
            Case(who, task, n)
            for n in streams or [10, 40, 100, 200]
            for task in (Task.RECORD, Task.RELAY)
            for who in everybody
        ]
    if what == "variants":
        return [case for n in streams or [40] for case in _variants(n)]
    # Small streams show what a camera costs apart from its octets.
    return [
        Case(Reader.OURS, Task.RELAY, n, clip)
        for clip in (CLIP, "360p")
        for n in streams or [200, 350, 500]
    ]


def _variants(streams: int) -> list[Case]:
    """What the goals state apart, beside the plain case."""

    def ours(**changes: object) -> Case:
        return Case(Reader.OURS, Task.RELAY, streams, **changes)  # type: ignore[arg-type]

    return [
        *(ours(tick_s=tick) for tick in (0.1, 0.02, 0.05, 0.2, 0.4)),
        ours(protocol="rtsps"),
        ours(protocol="rtmp"),
        ours(clip=LONG_GOP_CLIP),
    ]


if __name__ == "__main__":
    sys.exit(main())
