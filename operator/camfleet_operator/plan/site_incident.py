# SPDX-License-Identifier: Apache-2.0
"""Detects that a site has lost its power or its line: its devices failed together. Pure.

`site_status` calls it for every Site; `event_aggregation` asks which reasons an incident explains.
The only memory is the Site's own condition Reachable, so a new leader goes on where the last one
stopped. Devices are counted, not cameras: a recorder that fails with sixteen cameras is still one
device.

An incident begins when at least three devices, and four fifths of those that answered before,
failed within a minute; it ends when more than half of them answer again. The distance between the
two limits avoids a write at each change of an unstable line. Cameras of which nothing is known,
such as those of a lost worker, are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from camfleet_api.conditions import (
    Condition,
    ConditionType,
    Effect,
    Reason,
    condition_of,
    reasons_with,
)
from camfleet_api.device_address import DeviceAddress
from camfleet_api.site import Network
from camfleet_operator.observed import Camera
from camfleet_operator.plan.resolve import mapped_device

TOGETHER = timedelta(seconds=60)
"""Workers notice within 10 to 30 s, one after the other, and write within a budget."""
LEAST_DEVICES = 3
"""Two devices that fail within a minute may be chance, or have one switch."""

EXPLAINED = reasons_with(Effect.SITE_WIDE)
"""Reasons of a camera's Ready that its site's incident explains."""


@dataclass(frozen=True, slots=True)
class _Device:
    """The state of one device, from the conditions of its cameras."""

    fell_at: datetime | None
    """When the last of its cameras failed; None while one of them streams."""
    reached_at: datetime | None
    """The latest time at which one of its Reachable cameras became so."""

    def answers_since(self, began: datetime) -> bool:
        """Whether it streams or was reached again. Reachable=False comes later than the stop of a
        stream, so Reachable=True from before the incident proves nothing."""
        return self.fell_at is None or (self.reached_at is not None and self.reached_at > began)


@dataclass(frozen=True, slots=True)
class Reach:
    """The reach of a site, from the conditions of its cameras."""

    incident_since: datetime | None
    answers: bool
    """Whether any device answers."""
    known: bool
    """Whether anything is known of any device."""


def site_reach(
    stored: Condition | None, cameras: Sequence[Camera], network: Network | None
) -> Reach:
    """The site's reach, given its condition Reachable as stored."""
    devices = _devices(cameras, network)
    answers = any(device.fell_at is None for device in devices)
    return Reach(_incident_since(stored, cameras, devices), answers, bool(devices))


def is_in_incident(conditions: Iterable[Condition]) -> bool:
    """Whether a Site's conditions contain an incident that has not ended."""
    reachable = condition_of(conditions, ConditionType.REACHABLE)
    return reachable is not None and reachable.reason == Reason.SITE_UNREACHABLE


def _incident_since(
    stored: Condition | None, cameras: Sequence[Camera], devices: Sequence[_Device]
) -> datetime | None:
    if stored is None or stored.reason != Reason.SITE_UNREACHABLE:
        return _began(devices)
    if not cameras or _is_over(devices, stored.last_transition_time):
        return None
    return stored.last_transition_time


def _began(devices: Sequence[_Device]) -> datetime | None:
    """When devices began to fail together, if they did. Those that failed earlier do not count.

    An incident that would end at once does not begin: devices that were reached again and whose
    streams stopped after that would otherwise begin and end one at each plan.
    """
    falls = sorted(device.fell_at for device in devices if device.fell_at is not None)
    up = len(devices) - len(falls)
    for earlier, start in enumerate(falls):
        together = sum(start <= fall <= start + TOGETHER for fall in falls)
        fallen = len(falls) - earlier
        many = together >= LEAST_DEVICES and 5 * fallen >= 4 * (fallen + up)
        if many and not _is_over(devices, start):
            return start
    return None


def _is_over(devices: Sequence[_Device], began: datetime) -> bool:
    answering = sum(device.answers_since(began) for device in devices)
    away = sum(
        device.fell_at is not None and device.fell_at >= began and not device.answers_since(began)
        for device in devices
    )
    return answering > away


def _devices(cameras: Iterable[Camera], network: Network | None) -> list[_Device]:
    """Every device of which a camera of the site knows something."""
    members: dict[DeviceAddress, list[Camera]] = defaultdict(list)
    for camera in cameras:
        if camera.spec is not None and _is_known(camera):
            members[mapped_device(camera.spec, network)].append(camera)
    return [_device(group) for group in members.values()]


def _device(cameras: Sequence[Camera]) -> _Device:
    falls = [_fell_at(camera) for camera in cameras]
    fallen = [fall for fall in falls if fall is not None]
    reached = [
        one.last_transition_time
        for camera in cameras
        if (one := condition_of(camera.status.conditions, ConditionType.REACHABLE))
        and one.status == "True"
    ]
    return _Device(
        max(fallen) if len(fallen) == len(falls) else None, max(reached) if reached else None
    )


def _is_known(camera: Camera) -> bool:
    reachable = condition_of(camera.status.conditions, ConditionType.REACHABLE)
    return reachable is not None and reachable.status != "Unknown"


def _fell_at(camera: Camera) -> datetime | None:
    """When the camera failed in a way that a lost line explains; None if it did not.

    A stream first stops and later its device is not reached, so Reachable has a later time
    than Ready. Ready alone has too early a time where the camera was not Ready before.
    """
    reachable = condition_of(camera.status.conditions, ConditionType.REACHABLE)
    streaming = condition_of(camera.status.conditions, ConditionType.STREAMING)
    fall = next(
        (
            one
            for one in (reachable, streaming)
            if one is not None and one.status == "False" and one.reason in EXPLAINED
        ),
        None,
    )
    if fall is None:
        return None
    ready = condition_of(camera.status.conditions, ConditionType.READY)
    if ready is not None and ready.status == "False":
        before = fall.last_transition_time - ready.last_transition_time
        if timedelta() <= before <= TOGETHER:
            return ready.last_transition_time
    return fall.last_transition_time
