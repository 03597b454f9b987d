# SPDX-License-Identifier: Apache-2.0
"""Which shard holds which camera, with the fewest moves. Pure.

A shard's name is made of its placement and a number, so that a lost response or a second leader
makes no second shard. Order of wishes: capacity holds; who has a place keeps it; the cameras of one
device stand together, for they share an account that must not be locked; a site's cameras stand
together; few shards.

A split that exists is not healed by moving cameras that run, because each move is a break of its
stream; `login_order` makes it safe. A camera that lost its place (paused, stopped, declared anew,
placement changed) goes back to its device where there is room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

PREFIX = "ingest"


@dataclass(frozen=True, slots=True)
class Item:
    """A camera that wants a place. `placement` is None when it is unknown (its Site vanished):
    such a camera stays where it is."""

    uid: str
    site: str
    device: str
    placement: str | None


@dataclass(slots=True)
class Packing:
    """The shard of each camera, and those that found none."""

    shard_of: dict[str, str] = field(default_factory=dict)
    unplaced: set[str] = field(default_factory=set)


def shard_name(placement: str, number: int) -> str:
    """Name of the n-th shard of a placement."""
    return f"{PREFIX}-{placement}-{number}"


def pack(
    items: Iterable[Item], present: Mapping[str, str], capacity: int, shards_per_placement: int
) -> Packing:
    """A shard for each item. `present` is the shard each uid has now, of whatever placement."""
    floor = _Floor(capacity)
    waiting: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=_stay_order):
        shard = present.get(item.uid)
        if shard is not None and _may_stay(item, shard) and floor.rooms[shard] > 0:
            floor.place(item, shard)
        elif item.placement is not None:
            waiting[item.placement].append(item)
        else:
            floor.packing.unplaced.add(item.uid)
    for placement, group in sorted(waiting.items()):
        names = [shard_name(placement, number) for number in range(shards_per_placement)]
        left = [item for unit in _units(group) for item in floor.join_device(unit, names)]
        for site in _by_site(left):
            missing = sum(len(unit) for unit in site)
            for unit in site:
                floor.place_unit(unit, names, missing)
                missing -= len(unit)
    return floor.packing


class _Floor:
    """The shards while they fill."""

    def __init__(self, capacity: int) -> None:
        self.packing = Packing()
        self.rooms: dict[str, int] = defaultdict(lambda: capacity)
        self._sites: dict[str, set[str]] = defaultdict(set)
        self._devices: dict[str, set[str]] = defaultdict(set)

    def place(self, item: Item, shard: str) -> None:
        """Put one camera into a shard that has room."""
        self.packing.shard_of[item.uid] = shard
        self.rooms[shard] -= 1
        self._sites[item.site].add(shard)
        self._devices[item.device].add(shard)

    def join_device(self, unit: list[Item], names: list[str]) -> list[Item]:
        """Place cameras beside others of their device that run; those without room are left."""
        left = list(unit)
        for name in sorted(self._devices[unit[0].device] & {*names}):
            while left and self.rooms[name] > 0:
                self.place(left.pop(0), name)
        return left

    def place_unit(self, unit: list[Item], names: list[str], missing: int) -> None:
        """Place cameras of one device, in one shard where any has room for all; else in as few
        parts as possible. `missing` is how many cameras of the site still look for a place."""
        left = list(unit)
        while left:
            shard = self._fitting(unit[0].site, len(left), names, missing)
            shard = shard or max(names, key=lambda name: self.rooms[name])
            part = left[: self.rooms[shard]]
            if not part:
                self.packing.unplaced |= {item.uid for item in left}
                return
            for item in part:
                self.place(item, shard)
            left = left[len(part) :]

    def _fitting(self, site: str, count: int, names: list[str], missing: int) -> str | None:
        """A shard with room for so many: with their site, else for all of the site, else any."""
        homes = self._sites[site]
        fitting = [name for name in names if self.rooms[name] >= count]
        order = sorted(
            fitting, key=lambda name: (name not in homes, self.rooms[name] < missing)
        )  # Stable: the first by number among equals.
        return order[0] if order else None


def _stay_order(item: Item) -> tuple[bool, str, str, str]:
    """Who is served first where a shard became too small: whole devices, by site."""
    return item.placement is not None, item.site, item.device, item.uid


def _units(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cameras by device, also where a device's cameras belong to several sites."""
    units: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        units[item.device].append(item)
    return iter(units.values())


def _by_site(items: Iterable[Item]) -> Iterator[list[list[Item]]]:
    """The devices of each site, the largest first: they are the hardest to place whole."""
    sites: dict[str, list[list[Item]]] = defaultdict(list)
    for unit in _units(items):
        sites[unit[0].site].append(unit)
    for _, units in sorted(sites.items()):
        yield sorted(units, key=lambda unit: -len(unit))


def _may_stay(item: Item, shard: str) -> bool:
    return item.placement is None or shard.startswith(f"{PREFIX}-{item.placement}-")
