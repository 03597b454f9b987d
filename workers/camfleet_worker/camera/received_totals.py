# SPDX-License-Identifier: Apache-2.0
"""Adds up what arrived from one camera over all its sessions, for metrics that never decrease.

The supervisor begins and ends sessions; the media loop counts within them.
"""

from __future__ import annotations

from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.session_totals import added


class ReceivedTotals:
    """The sum of the ended sessions, and the current one."""

    def __init__(self) -> None:
        self._past = StreamCounters()
        self._session = StreamCounters()

    def begin(self, session: StreamCounters) -> None:
        """Add a session that has begun; its counters go on changing."""
        self._session = session

    def end(self) -> None:
        """Note that the session has ended."""
        self._past, self._session = self.total, StreamCounters()

    @property
    def total(self) -> StreamCounters:
        """The counts since the camera was assigned."""
        return added(self._past, self._session)
