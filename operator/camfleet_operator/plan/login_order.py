# SPDX-License-Identifier: Apache-2.0
"""Decides which worker tries an account first, if a device has cameras in several shards. Pure.

Each worker makes at most two attempts for an account; two independent workers make four, and
cameras lock accounts after five. So one shard leads for each account, that is one (device address,
credentials), and every camera of the account in another shard names the first Camera of the leading
one in `loginAfter`: its worker tries no login before that Camera's status shows that the device
accepted the account.

The lead does not change while the leading shard has a camera of the account: a change would let two
workers lead until both have read their lists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from operator import attrgetter

from camfleet_api.device_address import DeviceAddress
from camfleet_api.ingest_shard import ShardCamera
from camfleet_api.policy import CredentialsRef
from camfleet_operator.plan.resolve import Entry

Account = tuple[DeviceAddress, CredentialsRef]


def with_login_order(
    entries: Mapping[str, list[Entry]],
    listed: Mapping[str, tuple[str, Entry]],
    still_held: Callable[[str], bool],
) -> dict[str, tuple[Entry, ...]]:
    """The entries of each shard, by name, with `loginAfter` set or removed.

    `listed` is each uid's shard and entry now. `still_held` returns whether the worker of a
    Camera's former shard may still run it.
    """
    members: dict[Account, list[tuple[str, Entry]]] = defaultdict(list)
    for shard, lines in entries.items():
        for entry in lines:
            if (account := _account(entry.camera)) is not None:
                members[account].append((shard, entry))
    after: dict[str, str] = {}
    for group in members.values():
        after |= _followers(group, listed, still_held)
    return {
        shard: tuple(
            _entry_after(entry, after.get(entry.uid))
            for entry in sorted(lines, key=attrgetter("camera.name"))
        )
        for shard, lines in entries.items()
    }


def _account(camera: ShardCamera) -> Account | None:
    return None if camera.credentials is None else (camera.device, camera.credentials)


def _followers(
    group: list[tuple[str, Entry]],
    listed: Mapping[str, tuple[str, Entry]],
    still_held: Callable[[str], bool],
) -> dict[str, str]:
    """By uid, the Camera for which cameras outside the leading shard wait."""
    present = [(shard, listed[entry.uid]) for shard, entry in group if entry.uid in listed]
    leads = {
        line.uid
        for shard, (place, line) in present
        if line.camera.login_after is None and place == shard
    }
    waited_for = {line.camera.login_after for _, (_, line) in present}
    leaving = sorted(name for name in waited_for if name is not None and still_held(name))
    if leaving and not leads:
        # The former leader may still try logins; no shard leads until it has acknowledged.
        return {entry.uid: leaving[0] for _, entry in group}
    leader, first = min(group, key=lambda one: (one[1].uid not in leads, one[1].camera.name))
    return {entry.uid: first.camera.name for shard, entry in group if shard != leader}


def _entry_after(entry: Entry, first: str | None) -> Entry:
    if entry.camera.login_after == first:
        return entry
    return Entry(entry.camera.model_copy(update={"login_after": first}), entry.policy)
