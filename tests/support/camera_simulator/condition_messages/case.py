# SPDX-License-Identifier: Apache-2.0
"""What a case is: how its camera is built, what stands in the place of its ports, and its VMS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from camfleet_api.conditions import ConditionType
from camfleet_api.ingest_shard import Relay
from hostile_peer import Answer

OpenVms = Callable[[], AbstractAsyncContextManager["Vms"]]


@dataclass(frozen=True)
class Vms:
    """Where the camera of a case is relayed to, and the login for it."""

    relay: Relay
    secret: Mapping[str, str] = field(default_factory=dict)
    """What the Secret of that name holds; empty for a relay without a Secret."""


@dataclass(frozen=True)
class Case:
    """One thing that is wrong."""

    name: str
    sentence: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the camera as it is installed, its faults among them."""
    later: Mapping[str, Any] = field(default_factory=dict)
    """Settings that change while the camera is off, after it was Ready."""
    password: str = ""
    """What the worker tries; empty for the right one."""
    udp: bool = False
    """Whether the technical profile allows UDP."""
    video: Mapping[str, int] = field(default_factory=dict)
    """What the technical profile demands, where it is not the default."""
    entry: Mapping[str, Any] = field(default_factory=dict)
    """What is declared of the camera, where it is not the default."""
    cameras: int = 1
    """How many such cameras there are."""
    onvif: Answer | None = None
    """What answers at the ONVIF port, where that is no camera."""
    rtsp: Answer | None = None
    vms: OpenVms | None = None
    """Another monitoring system than a healthy one."""
    awaited: ConditionType | None = None
    """A condition that becomes other than True only after a while."""
