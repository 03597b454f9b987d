# SPDX-License-Identifier: Apache-2.0
"""What became of every picture that a camera sent: the arithmetic of the proofs.

A camera numbers its pictures from 0 across its sessions, so what it sent is known from how many
there were, and what it did not send (while it was off) has no number. A place where pictures are
looked for (files, a monitoring system) is a list of sightings in the order in which they lie there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from camera_simulator.rtsp.labels import Label


@dataclass(frozen=True)
class Sighting:
    """One picture where it was looked for. `label` is None where it carries none."""

    label: Label | None
    sha256: str
    """`frame_hash` of its slices as they are there."""
    key: bool
    at_s: float = 0.0
    """When the place says it was taken, seconds since the epoch; 0 where it says nothing."""


@dataclass(frozen=True)
class Account:
    """Pictures of one camera in one place. Every number but `sent` and `found` should be 0."""

    sent: int
    found: int
    before: int
    """Sent before the first one found."""
    lost: tuple[int, ...]
    """Sent after the first one found, and not there."""
    doubled: int
    disordered: int
    """Behind a picture that was sent later."""
    altered: int
    """Without label, with that of another camera, or with other octets than sent."""

    @property
    def exact(self) -> bool:
        """Every picture from the first one found, once, in order, octet for octet."""
        return not (self.lost or self.doubled or self.disordered or self.altered)

    def __str__(self) -> str:
        return (
            f"{self.found} of {self.sent}: {len(self.lost)} lost, {self.doubled} doubled, "
            f"{self.disordered} out of order, {self.altered} altered"
        )


def account(camera: str, sent: int, sightings: Sequence[Sighting]) -> Account:
    """Hold what was found against the `sent` pictures that the camera has labelled."""
    own = [
        sighting.label.number
        for sighting in sightings
        if sighting.label is not None
        and sighting.label.camera == camera
        and sighting.label.describes(sighting.sha256)
    ]
    there = set(own)
    first = min(there, default=sent)
    disordered, newest = 0, -1
    for number in own:
        disordered += number < newest
        newest = max(newest, number)
    return Account(
        sent=sent,
        found=len(sightings),
        before=first,
        lost=tuple(number for number in range(first, sent) if number not in there),
        doubled=len(own) - len(there),
        disordered=disordered,
        altered=len(sightings) - len(own),
    )


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers that follow on each other, as (first, how many)."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][0] + found[-1][1]:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((number, 1))
    return found


def undecodable(sightings: Sequence[Sighting]) -> int:
    """Pictures that follow neither the one sent before them nor are key frames."""
    if not sightings:
        return 0
    wrong = int(not sightings[0].key)
    for before, after in pairwise(sightings):
        follows = (
            before.label is not None
            and after.label is not None
            and after.label.number == before.label.number + 1
        )
        wrong += not (follows or after.key)
    return wrong


@dataclass(frozen=True)
class AudioAccount:
    """Audio units in one place: the tone in order, with holes where it was silent."""

    found: int
    holes: int
    """Places where the tone does not go on with its next unit."""
    foreign: int
    """Units that are not of the tone."""


def account_of_audio(tone: Sequence[str], heard: Sequence[str]) -> AudioAccount:
    """`tone`: hashes of its units, all different, sent round and round."""
    places = {sha256: place for place, sha256 in enumerate(tone)}
    known = [places[sha256] for sha256 in heard if sha256 in places]
    holes = sum((b - a) % len(tone) != 1 for a, b in pairwise(known))
    return AudioAccount(len(known), holes, len(heard) - len(known))
