# SPDX-License-Identifier: Apache-2.0
"""Decides which shard has which camera, with the fewest moves. Pure.

A shard's name is made of its placement and a number, so that a lost response or a second leader
makes no second shard. The rules in their order: capacity is not exceeded; a camera that has a shard
keeps it; the cameras of one device are together, because they share an account that must not be
locked; a site's cameras are together; there are few shards.

A device that is split over shards stays so, because moving a running camera breaks its stream;
`login_order` makes the split safe. A camera that lost its place (paused, stopped, declared again,
placement changed) goes back to its device where there is room.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from camfleet_api.device_address import DeviceAddress

_SHARD_NAME = re.compile(r"ingest-(.+)-[0-9]+")


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """A camera that needs a shard. `placement` is None when it is unknown (its Site was deleted):
    such a camera stays where it is."""

    uid: str
    site: str
    device: DeviceAddress
    placement: str | None


@dataclass(slots=True)
class Packing:
    """The shard of each camera, and the cameras without one."""

    shard_of: dict[str, str] = field(default_factory=dict)
    unplaced: set[str] = field(default_factory=set)


def shard_name(placement: str, number: int) -> str:
    """Name of the n-th shard of a placement."""
    return f"ingest-{placement}-{number}"


def placement_of(shard: str) -> str | None:
    """The placement in a name that `shard_name` built; None for any other name."""
    match = _SHARD_NAME.fullmatch(shard)
    return match[1] if match else None


def pack(
    requests: Iterable[PlacementRequest],
    present: Mapping[str, str],
    capacity: int,
    shards_per_placement: int,
) -> Packing:
    """A shard for each request. `present` is the shard of each uid now, of any placement."""
    bins = _Bins(capacity)
    waiting: dict[str, list[PlacementRequest]] = defaultdict(list)
    for request in sorted(requests, key=_stay_order):
        shard = present.get(request.uid)
        if shard is not None and _may_stay(request, shard) and bins.free[shard] > 0:
            bins.place(request, shard)
        elif request.placement is not None:
            waiting[request.placement].append(request)
        else:
            bins.packing.unplaced.add(request.uid)
    for placement, wanting in sorted(waiting.items()):
        names = [shard_name(placement, number) for number in range(shards_per_placement)]
        left = [one for group in _by_device(wanting) for one in bins.join_device(group, names)]
        for site in _by_site(left):
            missing = sum(len(group) for group in site)
            for group in site:
                bins.place_device(group, names, missing)
                missing -= len(group)
    return bins.packing


class _Bins:
    """The shards while they are filled; `free` is how many more cameras each may hold."""

    def __init__(self, capacity: int) -> None:
        self.packing = Packing()
        self.free: dict[str, int] = defaultdict(lambda: capacity)
        self._sites: dict[str, set[str]] = defaultdict(set)
        self._devices: dict[DeviceAddress, set[str]] = defaultdict(set)

    def place(self, request: PlacementRequest, shard: str) -> None:
        """Put one camera into a shard that has room."""
        self.packing.shard_of[request.uid] = shard
        self.free[shard] -= 1
        self._sites[request.site].add(shard)
        self._devices[request.device].add(shard)

    def join_device(
        self, group: list[PlacementRequest], names: list[str]
    ) -> list[PlacementRequest]:
        """Place cameras in the shards of their device; returns those without room."""
        left = list(group)
        for name in sorted(self._devices[group[0].device] & {*names}):
            while left and self.free[name] > 0:
                self.place(left.pop(0), name)
        return left

    def place_device(self, group: list[PlacementRequest], names: list[str], missing: int) -> None:
        """Place cameras of one device, in one shard where any has room for all; else in as few
        parts as possible. `missing` is how many cameras of the site still look for a place."""
        left = list(group)
        while left:
            shard = self._fitting(group[0].site, len(left), names, missing)
            shard = shard or max(names, key=lambda name: self.free[name])
            part = left[: self.free[shard]]
            if not part:
                self.packing.unplaced |= {request.uid for request in left}
                return
            for request in part:
                self.place(request, shard)
            left = left[len(part) :]

    def _fitting(self, site: str, count: int, names: list[str], missing: int) -> str | None:
        """A shard with room for so many: with their site, else for all of the site, else any."""
        homes = self._sites[site]
        fitting = [name for name in names if self.free[name] >= count]
        order = sorted(
            fitting, key=lambda name: (name not in homes, self.free[name] < missing)
        )  # Stable: the first by number among equals.
        return order[0] if order else None


def _stay_order(request: PlacementRequest) -> tuple[bool, str, DeviceAddress, str]:
    """The order of placing where a shard became too small: whole devices, by site."""
    return request.placement is not None, request.site, request.device, request.uid


def _by_device(requests: Iterable[PlacementRequest]) -> Iterator[list[PlacementRequest]]:
    """Cameras by device, also where a device's cameras belong to several sites."""
    devices: dict[DeviceAddress, list[PlacementRequest]] = defaultdict(list)
    for request in requests:
        devices[request.device].append(request)
    return iter(devices.values())


def _by_site(requests: Iterable[PlacementRequest]) -> Iterator[list[list[PlacementRequest]]]:
    """The devices of each site, the largest first, because they need the most room."""
    sites: dict[str, list[list[PlacementRequest]]] = defaultdict(list)
    for group in _by_device(requests):
        sites[group[0].site].append(group)
    for _, devices in sorted(sites.items()):
        yield sorted(devices, key=lambda group: -len(group))


def _may_stay(request: PlacementRequest, shard: str) -> bool:
    return request.placement is None or request.placement == placement_of(shard)
