# SPDX-License-Identifier: Apache-2.0
"""`make bench-fleet`: hundreds of cameras lose their line and get it back.

Measured: declared → Ready; line cut for all cameras and restored → all Ready, frames of all;
the same for one site; connects a second against the budgets; logins; writes to the API server.
"""

from __future__ import annotations

import time
from collections import Counter
from ipaddress import IPv4Network

from ..figures import Figures, percentile
from .connects import Connect, busiest_second
from .running_fleet import CONNECTS_PER_WORKER, RECEIVED, Failed, RunningFleet, say

GOAL_S = 60.0
PATIENCE_S = 240.0


class LineCut:
    """The measurement on one fleet."""

    def __init__(self, fleet: RunningFleet, cut_s: float, settle_s: float) -> None:
        self._fleet = fleet
        self._cut_s, self._settle_s = cut_s, settle_s
        self._wanted = fleet.declared.opening
        self.figures = Figures()

    def run(self) -> Figures:
        self._all_ready()
        self._rest("at rest")
        self._everything_is_cut()
        self._settle()
        self._one_site_is_cut()
        self._logins()
        return self.figures

    def _all_ready(self) -> None:
        fleet, begin = self._fleet, time.monotonic()
        say(f"declaring {len(fleet.declared.cameras)} cameras")
        fleet.declare()
        declared = time.monotonic()
        say("declared")

        def done() -> bool:
            fleet.start_workers()
            return fleet.watch.ready() >= self._wanted

        try:
            fleet.wait("all cameras Ready", done, PATIENCE_S)
        except Failed:
            self._name_missing()
            raise
        histories = fleet.watch.cameras
        took = [histories[n].ready[-1][0] - histories[n].created for n in self._wanted]
        last = max(histories[n].ready[-1][0] for n in self._wanted)
        add = self.figures.add
        add("cameras, of which with a password that opens", f"{len(histories)}, {len(took)}")
        add("sites, workers", f"{fleet.declared.sites}, {len(fleet.workers)}")
        add("declaring all objects, s", f"{declared - begin:.1f}")
        add("first object → all Ready, s", f"{last - begin:.1f}", "60")
        add("Camera created → Ready, p50 / p95 / max, s", _spread(took))
        # Asking a camera by ONVIF takes one token and a dozen connections, one for each call.
        self._accepted("start", begin, last)

    def _name_missing(self) -> None:
        missing = self._wanted - self._fleet.watch.ready()
        said = Counter(self._fleet.watch.cameras[n].now for n in missing)
        say(f"{len(missing)} cameras are not Ready: {dict(said)}, such as {sorted(missing)[:5]}")

    def _settle(self) -> None:
        say(f"settling for {self._settle_s:.0f} s")
        time.sleep(self._settle_s)

    def _rest(self, when: str) -> None:
        """Let backoffs be forgotten, and see what a quiet fleet writes."""
        requests, begin = self._fleet.api_requests(), time.monotonic()
        self._settle()
        self._writes(when, begin, requests)

    def _everything_is_cut(self) -> None:
        fleet = self._fleet
        requests, begin = fleet.api_requests(), time.monotonic()
        say("cutting the line")
        fleet.network.cut(fleet.network.cameras)
        time.sleep(self._cut_s)
        down = self._wanted - fleet.watch.ready()
        self.figures.add("line cut: Cameras that say so before it is back", str(len(down)))
        self._writes("line cut", begin, requests)
        requests, restored = fleet.api_requests(), time.monotonic()
        self._return("all", self._wanted, fleet.network.cameras)
        self._writes("return", restored, requests)
        self._budgets("cut", begin, restored)
        self._budgets("return", restored, time.monotonic())
        self._accepted("return", restored, time.monotonic())

    def _one_site_is_cut(self) -> None:
        fleet = self._fleet
        inside = {c.name for c in fleet.declared.cameras if c.site == "site00"}
        others = self._wanted - inside
        lost, writes = fleet.lost_frames(), time.monotonic()
        sessions = fleet.source.counters()
        say("cutting the line of one site")
        fleet.network.cut(fleet.network.site(0))
        time.sleep(self._cut_s)
        self._return("one site", inside & self._wanted, fleet.network.site(0))
        again, after = fleet.lost_frames(), fleet.source.counters()
        missed = sum(abs(again[n] - lost[n]) for n in others)
        reconnected = sum(after[n]["sessions"] - sessions[n]["sessions"] for n in others)
        written = fleet.watch.writes_between(writes, time.monotonic())
        add = self.figures.add
        add("one site: frames lost by the others", str(missed), "0")
        add("one site: sessions lost by the others", str(reconnected), "0")
        add("one site: writes to Cameras of the others", str(sum(written[n] for n in others)), "0")
        self.figures.demand(not missed and not reconnected, "a site's cut line touched others")

    def _return(self, what: str, cameras: set[str], cut: IPv4Network) -> None:
        fleet = self._fleet
        before, sessions = fleet.by_camera(RECEIVED), fleet.source.counters()
        was_down = cameras - fleet.watch.ready()
        restored = time.monotonic()
        fleet.network.restore(cut)
        say(f"line restored, {len(was_down)} Cameras are not Ready")
        flowing: dict[str, float] = {}

        def done() -> bool:
            now, received = time.monotonic(), fleet.by_camera(RECEIVED)
            for name in cameras - flowing.keys():
                if received.get(name, 0) > before.get(name, 0):
                    flowing[name] = now - restored
            return len(flowing) == len(cameras) and fleet.watch.ready() >= cameras

        add, demand = self.figures.add, self.figures.demand
        try:
            fleet.wait("cameras back", done, PATIENCE_S)
        except Failed as failed:
            self._name_missing()
            demand(met=False, failure=f"{what}: {failed}")
        add(f"{what} back: frames flow, p50 / p95 / max, s", _spread([*flowing.values()]), "60")
        anew = fleet.source.counters()
        fallen = sum(anew[n]["sessions"] > sessions[n]["sessions"] for n in cameras)
        add(f"{what} back: sessions begun anew", str(fallen))
        since = [fleet.watch.cameras[n].ready_since(restored) for n in was_down]
        took = [at - restored for at in since if at is not None]
        add(f"{what} back: {len(was_down)} Ready, p50 / p95 / max, s", _spread(took), "60")
        demand(max([*flowing.values(), *took, 0.0]) <= GOAL_S, f"{what}: back later than 60 s")

    def _budgets(self, when: str, begin: float, end: float) -> None:
        """The most connects in any second, of any site and of any worker."""
        begun = self._fleet.connects.begun(begin, end)
        site, worker = self._peaks(begun)
        allowed = self._fleet.declared.connects_per_s
        self.figures.add(f"{when}: connects begun", str(len(begun)))
        goal = f"{allowed} / {CONNECTS_PER_WORKER:.0f}"
        self.figures.add(
            f"{when}: the same a second, worst site / worker", f"{site} / {worker}", goal
        )
        # One more: a token is taken some milliseconds before the SYN leaves.
        within = site <= allowed + 1 and worker <= CONNECTS_PER_WORKER + 1
        self.figures.demand(within, f"{when}: {site} connects/s to a site, {worker} by a worker")

    def _accepted(self, when: str, begin: float, end: float) -> None:
        """What cameras and line saw: connects that were under way are accepted too."""
        taken = self._fleet.connects.accepted(begin, end)
        site, worker = self._peaks(taken)
        self.figures.add(f"{when}: TCP connections accepted", str(len(taken)))
        self.figures.add(f"{when}: the same a second, worst site / worker", f"{site} / {worker}")

    def _peaks(self, connects: list[Connect]) -> tuple[int, int]:
        sites, shards = self._fleet.declared.site_of, self._fleet.shard_of()
        shard_at = {one.host: shards.get(one.name, "") for one in self._fleet.declared.cameras}
        by_site = busiest_second(connects, lambda camera: sites[camera])
        by_worker = busiest_second(connects, lambda camera: shard_at[camera])
        return max([0, *by_site.values()]), max([0, *by_worker.values()])

    def _logins(self) -> None:
        fleet, counters = self._fleet, self._fleet.source.counters()
        refused = max(one["refused"] for one in counters.values())
        locked = sum(one["locked"] > 0 for one in counters.values())
        spent = max(camera.attempts for camera in fleet.watch.cameras.values())
        strangers = {c.name for c in fleet.declared.cameras if not c.opens}
        said = Counter(fleet.watch.cameras[n].now[1] for n in strangers)
        add, demand = self.figures.add, self.figures.demand
        add("refused logins, worst account", str(refused), "2")
        add("unproven attempts written, worst account", str(spent), "2")
        add("accounts locked", str(locked), "0")
        if strangers:
            add("wrong passwords: what their Cameras say", _counts(said), "CredentialsRejected")
            demand(set(said) == {"CredentialsRejected"}, f"wrong passwords are told as {said}")
        self.figures.note("Events", _counts(fleet.events()))
        demand(refused <= 2 and spent <= 2, "more than two attempts with one account")
        demand(not locked, f"{locked} accounts locked")

    def _writes(self, when: str, begin: float, before: dict[str, int]) -> None:
        """What it cost the API server. A change is a write that changed the object."""
        now, after = time.monotonic(), self._fleet.api_requests()
        changes = self._fleet.watch.writes_between(begin, now)
        spent = Counter(after)
        spent.subtract(before)
        written = {
            name: count
            for name, count in spent.items()
            if count and not name.startswith(("GET ", "LIST ", "WATCH ")) and "lease" not in name
        }
        cameras = len(self._fleet.declared.cameras)
        total = sum(changes.values())
        add = self.figures.add
        add(
            f"{when}: changes a Camera, mean / max",
            f"{total / cameras:.2f} / {max(changes.values())}",
        )
        self.figures.note(f"{when}: writes in {now - begin:.0f} s", _counts(Counter(written)))


def _spread(values: list[float]) -> str:
    shown = (percentile(values, share) for share in (0.5, 0.95, 1.0))
    return " / ".join(f"{value:.1f}" for value in shown) if values else "none"


def _counts(counted: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in Counter(counted).most_common()) or "none"


def measure(
    sites: int, cameras_per_site: int, strangers: int, cut_s: float, settle_s: float, per_shard: int
) -> int:
    """Print the table; 1 if cameras did not come back in time, or an account was locked."""
    with RunningFleet(sites, cameras_per_site, strangers, per_shard) as fleet:
        say(f"cameras at {fleet.network.cameras}, cluster {fleet.will.instance}")
        figures = LineCut(fleet, cut_s, settle_s).run()
    return figures.print()
