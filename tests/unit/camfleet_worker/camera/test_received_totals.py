# SPDX-License-Identifier: Apache-2.0
"""Counters of a camera never fall, whatever its sessions do."""

from __future__ import annotations

from camfleet_worker.camera.received_totals import ReceivedTotals
from camfleet_worker.media.counters import StreamCounters


def test_the_counts_of_a_session_stay_when_it_has_ended() -> None:
    totals = ReceivedTotals()
    first = StreamCounters()
    totals.begin(first)
    first.bytes, first.access_units = 1000, 25
    assert totals.total.bytes == 1000
    totals.end()
    assert totals.total.bytes == 1000
    second = StreamCounters(bytes=1)
    totals.begin(second)
    assert (totals.total.bytes, totals.total.access_units) == (1001, 25)
