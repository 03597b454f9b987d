# SPDX-License-Identifier: Apache-2.0
"""Audio that waits: bounded, counted, and gone with the pictures it belongs to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.audio_queue import AudioQueue
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.sink_state import SinkCounters

PCMU = AudioFormat(AudioCodec.PCMU, 8_000, 1)
STEPS = st.lists(
    st.tuples(st.sampled_from(["push", "take", "drop"]), st.none() | st.integers(0, 60))
)


@given(STEPS)
def test_it_is_bounded_and_counts_everything(steps: list[tuple[str, int | None]]) -> None:
    counters = SinkCounters()
    queue = AudioQueue(100, counters)
    pushed, taken = 0, []
    for step, number in steps:
        if step == "push":
            queue.push(AudioUnit(bytes(number or 1), pushed, 0.0, PCMU))
            pushed += 1
        elif step == "take":
            taken += [unit.pts_90k for unit in queue.take(number)]
        else:
            queue.drop_before(number)
        assert queue.bytes <= 100
    taken += [unit.pts_90k for unit in queue.take(None)]
    assert len(taken) + counters.dropped_audio_units == pushed
    assert taken == sorted(taken)


def test_audio_leaves_with_its_picture_and_goes_with_its_gop() -> None:
    queue = AudioQueue(1000, SinkCounters())
    for pts in range(0, 100, 10):
        queue.push(AudioUnit(b"1", pts, 0.0, PCMU))
    assert [unit.pts_90k for unit in queue.take(20)] == [0, 10, 20]
    queue.drop_before(60)
    assert [unit.pts_90k for unit in queue.take(None)] == [60, 70, 80, 90]
