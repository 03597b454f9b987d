# SPDX-License-Identifier: Apache-2.0
"""A label inside every picture that a camera sends: which camera, which number, what hash, when.

A clip goes round and round, so hashes of its pictures come again and again; a label makes each
picture that was sent one of a kind. It is an SEI message of unregistered user data (ITU-T H.264
section D.1.7, H.265 section D.2.7) before the picture's first slice: it is part of the access unit,
and whoever passes access units on passes it on. In plain ASCII no emulation prevention is needed.

Read by the frame accounting of measurements, on disk and at the monitoring system.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from camera_simulator.clips import AccessUnit, Codec, frame_hash, is_picture

_UUID = b"camfleet-picture"
_USER_DATA = 5
_STOP_BIT = b"\x80"
_SEI_HEADER: dict[Codec, bytes] = {"h264": b"\x06", "h265": b"\x4e\x01"}
_HASH_DIGITS = 16
_FOUND_BEFORE = 8 + len(_UUID)
"""Headers of unit and message are shorter than 8 octets."""


@dataclass(frozen=True)
class Label:
    """What a picture says of itself."""

    camera: str
    number: int
    """Of all pictures that the camera has labelled, from 0."""
    picture: str
    """The first digits of `frame_hash` of its slices."""
    sent_s: float
    """When it was put into packets, seconds since the epoch."""

    def __str__(self) -> str:
        return f"{self.camera}/{self.number}/{self.picture}/{self.sent_s:.3f}"

    def describes(self, sha256: str) -> bool:
        """Whether slices with that `frame_hash` are the ones that it was put before."""
        return sha256.startswith(self.picture)


def parse_label(text: str) -> Label | None:
    """None for any other text."""
    parts = text.split("/")
    if len(parts) != 4 or not parts[1].isdecimal():
        return None
    return Label(parts[0], int(parts[1]), parts[2], float(parts[3]))


def label_of(units: Iterable[bytes]) -> Label | None:
    """The label among the NAL units of an access unit; None where there is none."""
    for unit in units:
        at = unit.find(_UUID, 0, _FOUND_BEFORE)
        if at >= 0:
            return parse_label(unit[at + len(_UUID) :].removesuffix(_STOP_BIT).decode("ascii"))
    return None


class Labeller:
    """Numbers the pictures of one camera, across its sessions."""

    def __init__(self, camera: str) -> None:
        self.count = 0
        self._camera = camera

    def labelled(self, frame: AccessUnit, codec: Codec) -> AccessUnit:
        """The access unit with the next label before its first slice."""
        digest = frame_hash(frame.units, codec)[:_HASH_DIGITS]
        text = str(Label(self._camera, self.count, digest, time.time()))
        self.count += 1
        payload = _UUID + text.encode("ascii")
        message = bytes([_USER_DATA, len(payload)]) + payload
        unit = _SEI_HEADER[codec] + message + _STOP_BIT
        first = next(n for n, one in enumerate(frame.units) if is_picture(one, codec))
        return AccessUnit((*frame.units[:first], unit, *frame.units[first:]), frame.key)
