# SPDX-License-Identifier: Apache-2.0
"""The accounting of the proofs: whatever happens to a picture is found, and by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.benchmarks.ingest_proof.account import (
    Sighting,
    account,
    account_of_audio,
    runs,
    undecodable,
)

from camera_simulator.rtsp.labels import Label

GOP = 5
TONE = ["a", "b", "c", "d"]


def sightings(numbers: Sequence[int], camera: str = "gate") -> list[Sighting]:
    return [
        Sighting(Label(camera, number, f"{number:04}", 0.0), f"{number:04}beef", number % GOP == 0)
        for number in numbers
    ]


@given(st.integers(1, 50), st.integers(0, 60))
def test_what_is_whole_from_its_first_picture_on_is_exact(sent: int, first: int) -> None:
    found = account("gate", sent, sightings(range(first, sent)))
    assert found.exact
    assert (found.before, found.found) == (min(first, sent), max(0, sent - first))


@given(st.sets(st.integers(0, 40)))
def test_every_number_is_found_lost_or_before(there: set[int]) -> None:
    found = account("gate", 41, sightings(sorted(there)))
    assert found.before + len(found.lost) + found.found == 41
    assert set(found.lost).isdisjoint(there)


def test_pictures_missing_at_the_end_are_lost() -> None:
    found = account("gate", 10, sightings([0, 1, 2, 5, 6, 7]))
    assert found.lost == (3, 4, 8, 9)
    assert runs(found.lost) == [(3, 2), (8, 2)]
    assert not found.exact


def test_doubled_pictures_and_those_out_of_order_are_counted_apart() -> None:
    found = account("gate", 4, sightings([0, 1, 1, 3, 2]))
    assert (found.doubled, found.disordered, found.lost) == (1, 1, ())
    assert not found.exact


def test_other_octets_other_cameras_and_no_label_are_alterations() -> None:
    first, second, third = sightings([0, 1, 2])
    changed = [
        first,
        replace(second, sha256="feed"),
        replace(third, label=None),
        *sightings([3], camera="yard"),
    ]
    found = account("gate", 4, changed)
    assert (found.altered, found.lost) == (3, (1, 2, 3))


def test_a_gap_may_end_with_a_key_frame_only() -> None:
    assert undecodable(sightings([0, 1, 2, 5, 6, 10])) == 0
    assert undecodable(sightings([0, 1, 3, 4])) == 1
    assert undecodable(sightings([1, 2])) == 1
    assert undecodable([]) == 0


def test_a_tone_has_a_hole_where_it_does_not_go_on() -> None:
    assert account_of_audio(TONE, ["c", "d", "a", "b"]).holes == 0
    assert account_of_audio(TONE, ["c", "d", "b", "c"]).holes == 1
    noise = account_of_audio(TONE, ["a", "hiss", "b"])
    assert (noise.found, noise.holes, noise.foreign) == (2, 0, 1)
