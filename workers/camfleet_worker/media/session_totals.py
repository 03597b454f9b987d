# SPDX-License-Identifier: Apache-2.0
"""Adds up the counters of a camera's sessions.

Called by the supervisor at each scrape and at the end of a session. A counter that is added to
StreamCounters is summed without a change here; a field that is no count is named below.
"""

from __future__ import annotations

from dataclasses import fields

from camfleet_worker.media.counters import StreamCounters

_OF_THE_SESSION = frozenset({"camera_clock_offset_s", "drift_ppm", "drift_s"})
"""Fields that describe the current session and mean nothing for one that is over."""
_MOMENTS = frozenset({"last_access_unit_monotonic"})


def added(past: StreamCounters, session: StreamCounters) -> StreamCounters:
    """The counters of all sessions before, with those of the one that runs or has just ended."""
    made = StreamCounters()
    for field in fields(StreamCounters):
        before, now = getattr(past, field.name), getattr(session, field.name)
        if field.name in _OF_THE_SESSION:
            total = now
        elif field.name in _MOMENTS:
            total = max(before, now)
        else:
            total = before + now
        setattr(made, field.name, total)
    return made
