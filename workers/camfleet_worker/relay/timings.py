# SPDX-License-Identifier: Apache-2.0
"""How long a relay of any protocol waits for a monitoring system.

A relay gets them as an argument; a worker uses the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelayTimings:
    """The waits of a relay, in seconds."""

    connect_s: float = 5.0
    """The deadline of a TCP connect to one address."""
    answer_s: float = 10.0
    """The deadline for resolving a name, for the TLS handshake, and for each answer."""
    progress_s: float = 10.0
    """A connection on which the peer acknowledges no octet for this time is dead."""
    too_slow_s: float = 30.0
    """How long after the last drop of access units the relay is reported as working again."""


DEFAULT_TIMINGS = RelayTimings()
