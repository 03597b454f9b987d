# SPDX-License-Identifier: Apache-2.0
"""How long a relay of any protocol waits for a monitoring system.

A relay gets them as an argument; a worker uses the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RelayTimings:
    """Seconds."""

    connect_s: float = 5.0
    """For TCP to connect to one address."""
    answer_s: float = 10.0
    """For a name to resolve, for the TLS handshake, and for each answer."""
    progress_s: float = 10.0
    """A connection on which the peer acknowledges no octet for so long is dead."""
    too_slow_s: float = 30.0
    """After access units were dropped, this long until the relay is called well again."""


DEFAULT_TIMINGS = RelayTimings()
