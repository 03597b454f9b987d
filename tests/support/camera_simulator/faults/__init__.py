# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong with a camera, as data: one registry, read by tests and by the
control door.

A new fault is a new row in one of the modules here, plus at most a new field in settings.py and the
few lines in the one server that reads it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from camera_simulator.faults import address, line, login, media, session
from camera_simulator.faults.fault import Fault, PlayedBy
from camera_simulator.settings import CameraSettings, SettingsInvalid, checked_fields

__all__ = ["FAULTS", "Fault", "PlayedBy", "known_fault", "refuse_unplayable", "with_faults"]

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for module in (login, address, session, media, line)
    for fault in module.FAULTS
}


def with_faults(settings: CameraSettings) -> CameraSettings:
    """The camera as installed, with its faults applied in the order given."""
    changes: dict[str, Any] = {}
    for name in settings.faults:
        changes |= known_fault(name).changes
    return dataclasses.replace(settings, **checked_fields(changes))


def known_fault(name: str) -> Fault:
    fault = FAULTS.get(name)
    if fault is None:
        raise SettingsInvalid(f"unknown fault {name!r}; there are {', '.join(sorted(FAULTS))}")
    return fault


def refuse_unplayable(settings: CameraSettings) -> None:
    """SettingsInvalid when a fault asks for something that this camera's RTSP server cannot do."""
    others = [name for name in settings.faults if known_fault(name).played_by in ("vms", "worker")]
    if others:
        raise SettingsInvalid(f"{', '.join(others)}: no camera plays this")
    if settings.server == "gstreamer":
        wrong = [name for name in settings.faults if known_fault(name).played_by == "replay"]
        if wrong:
            raise SettingsInvalid(f"{', '.join(wrong)}: only the replay server plays this")
