# SPDX-License-Identifier: Apache-2.0
"""Decides whether an address still has the same device, and whether two addresses have one device.

Pure; the supervisor calls it after a resolve or a re-check. A camera's identity is its declared
object; the identifiers that a device returns are hints. A serial number may be zero, the same for a
whole model or garbled by an update; an endpoint reference may change; the first network interface
may be the same in every unit of a series (quirks 23, 24). So no single hint decides against two
others, a hint without meaning is not weighed at all, and the firmware version never counts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from camfleet_api.camera import DeviceStatus
from camfleet_worker.resolve.text import listed, printable

MAX_SHOWN = 40
"""How many characters of an identifier a sentence shows; the Camera's status has it whole."""

MIN_PART = 8
"""A serial number of at least this length that is part of another one is the same: updates add the
model before it or shorten it."""

_MEANINGLESS = frozenset({"unknown", "none", "null", "na", "default", "serialnumber", "sn", "test"})
_COUNTING = "01234567890123456789"


class Likeness(StrEnum):
    """Whether the device at an address is the same as before."""

    SAME = "same"
    UNKNOWN = "unknown"
    """The hints contradict each other, or there are none: no reason for an alarm."""
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result, and for CHANGED the sentence that names the old device and the new one."""

    likeness: Likeness
    detail: str = ""

    @property
    def changed(self) -> bool:
        """Whether another device answers."""
        return self.likeness is Likeness.CHANGED


@dataclass(frozen=True, slots=True)
class SharedIdentity:
    """Two or more declared devices that answer with the same identity."""

    devices: tuple[str, ...]
    """Their addresses as given to `shared`, sorted."""
    identifier: str
    """The identifier that they have in common, in words for a person."""

    def detail_for(self, device: str) -> str:
        """The sentence for one of them, which names the others."""
        others = listed(tuple(other for other in self.devices if other != device))
        return f"{self.identifier} is the answer of {others} too"


def judge(before: DeviceStatus, now: DeviceStatus, declared_serial: str | None = None) -> Verdict:
    """Compare the identity that answered before with the one that answers now.

    `declared_serial` is the Camera's spec.serialNumber. It decides: a device with this number is
    the right one whatever answered before, and a device with another number is the wrong one.
    """
    if declared_serial and _serial(now.serial_number):
        if _plain(declared_serial) == _plain(now.serial_number):
            return Verdict(Likeness.SAME)
        return Verdict(
            Likeness.CHANGED,
            f"Serial number {_shown(declared_serial)} is declared and "
            f"{_shown(now.serial_number)} answers",
        )
    if declared_serial and _plain(declared_serial) == _plain(now.serial_number):
        return Verdict(Likeness.SAME)  # declared by a person, though too simple to be weighed
    likeness = _likeness(before, now)
    if likeness is not Likeness.CHANGED:
        return Verdict(likeness)
    return Verdict(likeness, _exchange(before, now))


def shared(identities: Mapping[str, DeviceStatus]) -> tuple[SharedIdentity, ...]:
    """Groups of declared devices, by address (host and port), that answer with one identity.

    The channels of one recorder are one device and must be given as one. Devices that only have a
    serial number in common and differ in the rest are a series, not clones.
    """
    groups: dict[str, set[str]] = {}
    for one, other in _twins(identities):
        joined = groups.get(one, {one}) | groups.get(other, {other})
        for member in joined:
            groups[member] = joined
    distinct = {tuple(sorted(group)) for group in groups.values()}
    return tuple(
        SharedIdentity(devices, _common_identifier(identities[devices[0]], identities[devices[1]]))
        for devices in sorted(distinct)
    )


def merged(before: DeviceStatus | None, now: DeviceStatus) -> DeviceStatus:
    """The identity to remember of an unchanged device: identifiers missing now are kept.

    An operation that fails once must neither cause a status write nor remove its last answer.
    """
    if before is None:
        return now
    kept = ("manufacturer", "model", "serial_number", "endpoint_reference", "mac_address")
    return now.model_copy(
        update={name: getattr(now, name) or getattr(before, name) for name in kept}
    )


def _likeness(before: DeviceStatus, now: DeviceStatus) -> Likeness:
    """Weigh the hints: more of them are equal, or more of them differ."""
    hints = [hint for hint in _hints(before, now) if hint is not None]
    score = sum(1 if hint else -1 for hint in hints)
    if score > 0:
        return Likeness.SAME
    if score < 0 or _other_make(before, now):
        return Likeness.CHANGED
    return Likeness.UNKNOWN


def _hints(before: DeviceStatus, now: DeviceStatus) -> Iterator[bool | None]:
    """For each identifier, whether it is equal; None where one side has none with a meaning."""
    yield _alike_serials(_serial(before.serial_number), _serial(now.serial_number))
    yield _alike(_mac(before.mac_address), _mac(now.mac_address))
    yield _alike(_endpoint(before.endpoint_reference), _endpoint(now.endpoint_reference))


def _alike(before: str, now: str) -> bool | None:
    return before == now if before and now else None


def _alike_serials(before: str, now: str) -> bool | None:
    short, long = sorted((before, now), key=len)
    if len(short) >= MIN_PART and short in long:
        return True
    return _alike(before, now)


def _other_make(before: DeviceStatus, now: DeviceStatus) -> bool:
    """Whether maker and model both differ; an update may rename one of them."""
    return (
        _alike(_plain(before.manufacturer), _plain(now.manufacturer)) is False
        and _alike(_plain(before.model), _plain(now.model)) is False
    )


def _exchange(before: DeviceStatus, now: DeviceStatus) -> str:
    """The sentence with old and new device, by the first identifier that differs."""
    pairs = (
        ("serial number", before.serial_number, now.serial_number, _serial),
        ("MAC address", before.mac_address, now.mac_address, _mac),
        ("endpoint reference", before.endpoint_reference, now.endpoint_reference, _endpoint),
    )
    for kind, old, new, weighed in pairs:
        if _alike(weighed(old), weighed(new)) is False:
            return f"The device with {kind} {_shown(old)} was here before, {_shown(new)} answers"
    old, new = f"{before.manufacturer} {before.model}", f"{now.manufacturer} {now.model}"
    return f"A {_shown(old)} was here before, a {_shown(new)} answers"


def _twins(identities: Mapping[str, DeviceStatus]) -> Iterator[tuple[str, str]]:
    """Pairs of addresses that look like one device; each pair has a hint in common."""
    by_hint: dict[tuple[str, str], list[str]] = defaultdict(list)
    for device, identity in identities.items():
        for hint in (
            ("serial", _serial(identity.serial_number)),
            ("mac", _mac(identity.mac_address)),
            ("endpoint", _endpoint(identity.endpoint_reference)),
        ):
            if hint[1]:
                by_hint[hint].append(device)
    for devices in by_hint.values():
        for at, one in enumerate(devices):
            for other in devices[at + 1 :]:
                if _likeness(identities[one], identities[other]) is Likeness.SAME:
                    yield one, other


def _common_identifier(one: DeviceStatus, other: DeviceStatus) -> str:
    """The first identifier that two devices have in common."""
    if _alike(_serial(one.serial_number), _serial(other.serial_number)):
        return f"Serial number {_shown(one.serial_number)}"
    if _alike(_mac(one.mac_address), _mac(other.mac_address)):
        return f"MAC address {_shown(one.mac_address)}"
    return f"Endpoint reference {_shown(one.endpoint_reference)}"


def _serial(value: str) -> str:
    """A serial number that can be weighed, or ""."""
    plain = _plain(value)
    if len(plain) < 4 or len(set(plain)) < 2 or plain in _MEANINGLESS or plain in _COUNTING:
        return ""
    return plain


def _mac(value: str) -> str:
    """An EUI-48 that can be weighed, or "" for zero, the broadcast and a group address."""
    digits = re.sub(r"[^0-9a-f]", "", value.lower())
    if len(digits) != 12 or len(set(digits)) < 2 or int(digits[1], 16) & 1:
        return ""
    return digits


def _endpoint(value: str) -> str:
    """An endpoint reference that can be weighed, or "", as for the nil UUID (RFC 9562, 5.9)."""
    plain = _plain(value.lower().replace("urn:", "").replace("uuid:", ""))
    return plain if len(plain) >= 8 and len(set(plain)) > 2 else ""


def _plain(value: str) -> str:
    """Letters and digits in one case: makers write the same number with and without hyphens."""
    return "".join(char for char in value.casefold() if char.isalnum())


def _shown(value: str) -> str:
    return printable(value, MAX_SHOWN) or "(none)"
