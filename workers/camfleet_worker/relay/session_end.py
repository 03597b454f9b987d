# SPDX-License-Identifier: Apache-2.0
"""The end of a relay's session or attempt: counted, and named in the log once sessions end again
and again.

Called by the relays with what has ended it.
"""

from __future__ import annotations

import logging

from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.sink_state import SinkCounters
from camfleet_worker.relay.reconnect import SHORT_IN_A_ROW, Reconnect

log = logging.getLogger(__name__)


def note_end(reconnect: Reconnect, now: float, error: IngestError, counters: SinkCounters) -> None:
    """Let the relay wait, and count a session that did not last. `now`: monotonic seconds."""
    before = reconnect.short_sessions
    reconnect.failed(now, error.retry)
    if reconnect.short_sessions <= before:
        return
    counters.short_sessions += 1
    if reconnect.short_sessions == SHORT_IN_A_ROW:
        log.warning(
            "sessions at the monitoring system end within a minute, again and again",
            extra={"cause": error.detail},
        )
