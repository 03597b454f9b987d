# SPDX-License-Identifier: Apache-2.0
"""`make bench-flapping`: some cameras of a worker come and go for an hour; the others must not
care.

Measured: what the worker's process holds (memory, files, tasks, threads) and whether it grows; what
it holds when all is quiet again, against before; frames of the healthy cameras. The product's own
time constants are those of the field.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from ..figures import Figures, slope, slope_error
from .running_fleet import RunningFleet, say
from .worker import Worker

SAMPLE_EVERY_S = 30.0
SETTLE_S = 60.0
"""What asking the cameras by ONVIF has left behind is collected by then."""
WARM_UP = 1 / 6
"""Of the time: pools fill and caches grow before it is worth fitting a line."""
QUIET_S = 150.0
"""From the last fault until the worker is looked at: the longest backoff and the minute of healthy
stream after which it is forgotten."""
GOOD_S = (5.0, 90.0)
BAD_S = (2.0, 40.0)

HEALED = {"power": True, "freeze": False, "stream_dies_after_s": 0.0, "rtsp_refuses": ""}
FAULTS: dict[str, dict[str, Any]] = {
    "switched off": {"power": False},
    "frozen": {"freeze": True},
    "resets": {"stream_dies_after_s": 0.5},
    "refuses": {"rtsp_refuses": "SETUP", "stream_dies_after_s": 0.5},
    "unplugged": {},
}
"""What befalls a camera; unplugged: its packets vanish."""


@dataclass(frozen=True)
class Sample:
    """What the worker's process holds at one moment."""

    at_s: float
    rss_mb: float
    anonymous_mb: float
    """Heap and stacks. What is mapped from files moves with the processes that map it too."""
    files: int
    threads: int
    tasks: int

    @classmethod
    def of(cls, worker: Worker, at_s: float) -> Sample:
        process = Path(f"/proc/{worker.child}")
        memory = (process / "smaps_rollup").read_text()
        threads = re.search(r"^Threads:\s+(\d+)", (process / "status").read_text(), re.MULTILINE)
        assert threads
        return cls(
            at_s,
            _megabytes(memory, "Rss"),
            _megabytes(memory, "Anonymous"),
            len(list((process / "fd").iterdir())),
            int(threads[1]),
            int(worker.metrics().whole("camfleet_worker_tasks")),
        )

    def line(self) -> str:
        """For the log."""
        memory = f"RSS {self.rss_mb:.1f} MB, anonymous {self.anonymous_mb:.1f} MB"
        held = f"{self.files} files, {self.tasks} tasks, {self.threads} threads"
        return f"{self.at_s:.0f} s: {memory}, {held}"


BOUNDS: dict[str, tuple[str, float, float]] = {
    "rss_mb": ("RSS, MB", 3.0, 15.0),
    "anonymous_mb": ("heap and stacks, MB", 3.0, 15.0),
    "files": ("file descriptors", 3.0, 2.0),
    "tasks": ("asyncio tasks", 3.0, 2.0),
    "threads": ("threads", 1.0, 8.0),
}
"""Name; growth an hour beyond its error that is a leak; growth over the whole run. The error is
two standard errors of the fitted line: files and tasks come and go with each fault."""


class Flapping:
    """The measurement on one fleet of one worker."""

    def __init__(self, fleet: RunningFleet, share: float, during_s: float, seed: int) -> None:
        self._fleet, self._during_s = fleet, during_s
        self._random = random.Random(seed)
        every = sorted(one.name for one in fleet.declared.cameras)
        self._restless = set(self._random.sample(every, round(share * len(every))))
        self._healthy = set(every) - self._restless
        self._address = {one.name: IPv4Network(one.host) for one in fleet.declared.cameras}
        self._fault: dict[str, str] = {}
        self._next = {name: self._random.uniform(0, GOOD_S[1]) for name in self._restless}
        self._befallen: Counter[str] = Counter()
        self._samples: list[Sample] = []
        self.figures = Figures()

    def run(self) -> Figures:
        fleet = self._fleet
        fleet.declare()
        every = self._healthy | self._restless
        self._until_ready(every)
        time.sleep(SETTLE_S)
        (self._worker,) = fleet.workers
        child = self._worker.child
        before, lost = Sample.of(self._worker, 0.0), self._accounts()
        say(f"all {len(every)} Ready, {len(self._restless)} begin to flap: {before.line()}")
        self._flap()
        self._heal_all()
        self._until_ready(every)
        time.sleep(QUIET_S)
        after = Sample.of(self._worker, self._during_s)
        say(f"quiet again: {after.line()}")
        self._growth(before, after)
        self._frames(lost, self._accounts())
        self.figures.demand(self._worker.child == child, "the worker was restarted")
        return self.figures

    def _until_ready(self, names: set[str]) -> None:
        def ready() -> bool:
            self._fleet.start_workers()
            return self._fleet.watch.ready() >= names

        self._fleet.wait("all cameras Ready", ready, 240)

    def _flap(self) -> None:
        begin = time.monotonic()
        sample_at = 0.0
        while (now := time.monotonic() - begin) < self._during_s:
            if now >= sample_at:
                self._samples.append(Sample.of(self._worker, now))
                say(f"{self._samples[-1].line()}, {len(self._fault)} cameras broken")
                sample_at += SAMPLE_EVERY_S
            self._befall(now)
            time.sleep(0.2)

    def _befall(self, now: float) -> None:
        """Break and heal whose time has come."""
        changes: dict[str, dict[str, Any]] = {}
        for name in sorted(name for name, at in self._next.items() if now >= at):
            if name in self._fault:
                changes[name] = self._heal(name)
                self._next[name] = now + self._random.uniform(*GOOD_S)
            else:
                fault = self._fault[name] = self._random.choice(sorted(FAULTS))
                self._befallen[fault] += 1
                changes[name] = FAULTS[fault]
                if fault == "unplugged":
                    self._fleet.network.cut(self._address[name])
                self._next[name] = now + self._random.uniform(*BAD_S)
        if changes:
            self._fleet.source.change(changes)

    def _heal(self, name: str) -> dict[str, Any]:
        if self._fault.pop(name) == "unplugged":
            self._fleet.network.restore(self._address[name])
        return HEALED

    def _heal_all(self) -> None:
        self._fleet.source.change({name: self._heal(name) for name in list(self._fault)})

    def _accounts(self) -> dict[str, tuple[int, int, int]]:
        """Of each camera: frames that did not arrive, packets lost, sessions so far."""
        frames = self._fleet.lost_frames()
        packets = self._fleet.by_camera("camfleet_ingest_lost_packets_total")
        sessions = self._fleet.source.counters()
        return {name: (frames[name], packets[name], sessions[name]["sessions"]) for name in frames}

    def _frames(
        self, before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]
    ) -> None:
        grown = [
            sum(abs(after[name][column] - before[name][column]) for name in self._healthy)
            for column in range(3)
        ]
        counters = self._fleet.source.counters()
        sent = sum(counters[name]["frames_sent"] for name in self._healthy)
        add, demand = self.figures.add, self.figures.demand
        add("healthy cameras: frames sent", str(sent))
        for what, count in zip(("frames", "packets", "sessions"), grown, strict=True):
            add(f"healthy cameras: {what} lost", str(count), "0")
            demand(count == 0, f"healthy cameras lost {count} {what}")
        refused = max(one["refused"] for one in counters.values())
        add("refused logins, worst account", str(refused), "0")
        demand(refused == 0, "a login was refused")
        faults = ", ".join(f"{count} {fault}" for fault, count in sorted(self._befallen.items()))
        sessions = sum(after[name][2] - before[name][2] for name in self._restless)
        add("flapping cameras: faults", faults)
        add("flapping cameras: sessions", str(sessions))
        changes = self._fleet.watch.writes_between(0.0, time.monotonic())
        hours = self._during_s / 3600
        worst = max(changes[name] for name in self._restless)
        add("changes of the worst Camera object", f"{worst} in {hours:.2f} h", "10 + 12/h + start")
        bugs = int(self._worker.metrics().whole("camfleet_worker_bugs_total"))
        add("bugs counted by the worker", str(bugs), "0")
        demand(bugs == 0, "the worker counted bugs")

    def _growth(self, before: Sample, after: Sample) -> None:
        fitted = [s for s in self._samples if s.at_s >= WARM_UP * self._during_s]
        self.figures.add("samples, of which fitted", f"{len(self._samples)}, {len(fitted)}")
        for name, (told, an_hour, in_all) in BOUNDS.items():
            points = [(s.at_s / 3600, float(getattr(s, name))) for s in fitted]
            grows, error = slope(points), 2 * slope_error(points)
            of_points = [y for _, y in points] or [0.0]
            self.figures.add(
                f"{told}: growth an hour (least … most)",
                f"{grows:+.2f} ± {error:.2f} ({min(of_points):.0f} … {max(of_points):.0f})",
                f"≤ {an_hour:.0f} beyond its error",
            )
            self.figures.demand(grows - error <= an_hour, f"{told} grow by {grows:.1f} an hour")
            first, last = getattr(before, name), getattr(after, name)
            self.figures.add(
                f"{told}: before → quiet again", f"{first:.0f} → {last:.0f}", f"≤ +{in_all:.0f}"
            )
            self.figures.demand(last - first <= in_all, f"{told}: {first:.0f} became {last:.0f}")


def _megabytes(smaps: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", smaps, re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def measure(sites: int, cameras_per_site: int, share: float, during_s: float, seed: int) -> int:
    """Print the table; 1 if something grew, or a healthy camera lost a frame."""
    with RunningFleet(sites, cameras_per_site) as fleet:
        say(f"cameras at {fleet.network.cameras}, cluster {fleet.will.instance}")
        figures = Flapping(fleet, share, during_s, seed).run()
    return figures.print()
