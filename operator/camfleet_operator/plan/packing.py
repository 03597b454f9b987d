# SPDX-License-Identifier: Apache-2.0
"""Which shard holds which camera, with the fewest moves. Pure.

A shard's name is made of its placement and a number, so that a lost response or a second leader
makes no second shard. Order of wishes: capacity holds; who has a place keeps it; a site's cameras
stand together; few shards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PREFIX = "ingest"


@dataclass(frozen=True, slots=True)
class Item:
    """A camera that wants a place. `placement` is None when it is unknown (its Site vanished):
    such a camera stays where it is."""

    uid: str
    site: str
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
    result = Packing()
    rooms: dict[str, int] = defaultdict(lambda: capacity)
    homes: dict[str, set[str]] = defaultdict(set)
    waiting: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda one: (one.placement is not None, one.site, one.uid)):
        shard = present.get(item.uid)
        if shard is not None and _may_stay(item, shard) and rooms[shard] > 0:
            _place(item, shard, result, rooms, homes)
        elif item.placement is not None:
            waiting[item.placement, item.site].append(item)
        else:
            result.unplaced.add(item.uid)
    for (placement, site), group in sorted(waiting.items()):
        names = [shard_name(placement, number) for number in range(shards_per_placement)]
        for item, shard in zip(group, _targets(group, names, homes[site], rooms), strict=False):
            _place(item, shard, result, rooms, homes)
        result.unplaced |= {one.uid for one in group if one.uid not in result.shard_of}
    return result


def _may_stay(item: Item, shard: str) -> bool:
    return item.placement is None or shard.startswith(f"{PREFIX}-{item.placement}-")


def _place(
    item: Item,
    shard: str,
    result: Packing,
    rooms: dict[str, int],
    homes: dict[str, set[str]],
) -> None:
    result.shard_of[item.uid] = shard
    rooms[shard] -= 1
    homes[item.site].add(shard)


def _targets(
    group: list[Item], names: list[str], homes: set[str], rooms: dict[str, int]
) -> Iterable[str]:
    """A place for each of a site's cameras: with their site, else together, else wherever."""
    at_home = [name for name in names if name in homes and rooms[name] > 0]
    missing = len(group) - sum(rooms[name] for name in at_home)
    away = [name for name in names if name not in homes]
    together = [name for name in away if rooms[name] >= missing]
    order = at_home + (together[:1] if missing > 0 else []) + [n for n in away if rooms[n] > 0]
    for name in dict.fromkeys(order):
        # `rooms` shrinks while the caller places, so the count is taken before.
        for _ in range(rooms[name]):
            yield name
