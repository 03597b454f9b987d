# SPDX-License-Identifier: Apache-2.0
"""What a fault is: a name, one sentence, its evidence and the settings that it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PlayedBy = Literal["both", "replay", "onvif", "vms", "worker"]
"""Which part shows it: the ONVIF device (before either RTSP server), the replay server, or both
servers. "vms" and "worker" are faults of the monitoring system and of our own side, in which
no camera has a part."""


@dataclass(frozen=True)
class Fault:
    """One way in which a camera can be wrong."""

    name: str
    sentence: str
    played_by: PlayedBy
    changes: Mapping[str, Any]
    evidence: str = ""
    """Issue threads, as owner/repository#number."""
    quirk: int | None = None
    """Row of quirks.py that it reproduces."""
