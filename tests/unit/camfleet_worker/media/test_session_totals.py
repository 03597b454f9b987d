# SPDX-License-Identifier: Apache-2.0
"""A camera's counters go on over its reconnects."""

from __future__ import annotations

from dataclasses import fields

from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.session_totals import added

OF_THE_SESSION = {"camera_clock_offset_s", "drift_ppm", "drift_s"}
MOMENT = "last_access_unit_monotonic"


def counted(first: int) -> StreamCounters:
    """Every field with a value of its own."""
    numbered = enumerate(fields(StreamCounters), first)
    return StreamCounters(**{field.name: number for number, field in numbered})


def test_every_counter_survives_a_reconnect() -> None:
    past, session = counted(100), counted(1)
    together = added(past, session)
    for field in fields(StreamCounters):
        before, now = getattr(past, field.name), getattr(session, field.name)
        total = getattr(together, field.name)
        if field.name in OF_THE_SESSION:
            assert total == now, f"{field.name} describes the session that runs"
        elif field.name == MOMENT:
            assert total == before, "the later of the two"
        else:
            assert total == before + now, field.name


def test_the_cameras_clock_is_unknown_after_a_session() -> None:
    ended = added(counted(1), StreamCounters())
    assert ended.camera_clock_offset_s is None
    assert ended.drift_ppm is None
    assert ended.drift_s == 0.0
