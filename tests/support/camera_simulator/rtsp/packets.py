# SPDX-License-Identifier: Apache-2.0
"""A clip as RTP packets, cut once when it is loaded and stamped for each session when they are
sent.

H.264 by RFC 6184 (single NAL unit and FU-A, packetization-mode 1), H.265 by RFC 7798 (single and
FU). One access unit becomes one template: its interleaved packets one after the other, with
channel, sequence number, timestamp and SSRC still empty. Stamping copies the template and fills
those in: that copy is the whole cost of a frame, apart from the system call that sends it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from camera_simulator.clips import AccessUnit, Clip, Codec
from camera_simulator.settings import Payloads

PAYLOAD_TYPE = 96
MAX_PAYLOAD_BYTES = 1400
"""What a camera on Ethernet sends: below the MTU, also when it plays over TCP."""

_HEADER = struct.Struct(
    "!sBHBBHII"
)  # '$', channel, length, V/P/X/CC, M/PT, sequence, timestamp, SSRC
_STAMP = struct.Struct("!HII")
_STAMP_AT = 6  # the sequence number's place in the interleaved packet
_INTERLEAVED_BYTES = 4
_RTP_HEADER_BYTES = 12


@dataclass(frozen=True)
class FramePackets:
    """One access unit as interleaved packets: the template, and where each packet begins in it."""

    template: bytes
    offsets: tuple[int, ...]
    key: bool
    payload_bytes: int

    def stamped(self, channel: int, sequence: int, timestamp: int, ssrc: int) -> bytes:
        """The packets of this frame as one session sends them; sequence numbers count on from
        `sequence`."""
        packets = bytearray(self.template)
        for number, offset in enumerate(self.offsets):
            packets[offset + 1] = channel
            at = offset + _STAMP_AT
            _STAMP.pack_into(
                packets, at, (sequence + number) & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
            )
        return bytes(packets)


def packetise(clip: Clip) -> tuple[FramePackets, ...]:
    """Every frame of the clip, in order."""
    return tuple(_frame_packets(frame, clip.codec) for frame in clip.frames)


def packetised(frame: AccessUnit, codec: Codec, how: Payloads) -> FramePackets:
    """One access unit in packets as firmware makes them (quirk 34)."""
    units = frame.units
    if how == "annex-b":
        units = (b"\0\0\0\1".join(units),)
    payloads: list[tuple[bytes, bool]] = []
    for unit in units:
        cut = list(payloads_of(unit, codec))
        if how == "empty-packets":
            cut = [part for payload in cut for part in (payload, b"")]
        if how == "changing-fragment-type" and len(cut) > 1:
            cut = [cut[0], *(_of_another_type(part, codec) for part in cut[1:])]
        payloads += [(payload, payload is cut[-1]) for payload in cut]
    if how in ("aggregated", "aggregated-padded") and len(units) > 1:
        payloads = _aggregated(units, codec, padding=4 if how == "aggregated-padded" else 0)
    last = len(payloads) - 1
    marked = [
        how != "no-marker" and (number == last or (how == "marker-on-each-unit" and ends))
        for number, (_, ends) in enumerate(payloads)
    ]
    return _as_packets([payload for payload, _ in payloads], marked, frame.key)


def _aggregated(units: tuple[bytes, ...], codec: Codec, padding: int) -> list[tuple[bytes, bool]]:
    """All but the last unit in one packet: STAP-A (RFC 6184 §5.7.1), AP (RFC 7798 §4.4.2).

    `padding`: octets of zero behind them.
    """
    head = b"\x78" if codec == "h264" else b"\x60\x01"
    body = b"".join(struct.pack("!H", len(unit)) + unit for unit in units[:-1])
    rest = list(payloads_of(units[-1], codec))
    return [(head + body + bytes(padding), True), *((part, part is rest[-1]) for part in rest)]


def _of_another_type(payload: bytes, codec: Codec) -> bytes:
    """A later fragment whose header names another NAL unit type than the first one's."""
    at = 1 if codec == "h264" else 2
    return payload[:at] + bytes([payload[at] & 0xC0 | 2]) + payload[at + 1 :]


def _frame_packets(frame: AccessUnit, codec: Codec) -> FramePackets:
    payloads = [payload for unit in frame.units for payload in payloads_of(unit, codec)]
    marked = [number == len(payloads) - 1 for number in range(len(payloads))]
    return _as_packets(payloads, marked, frame.key)


def _as_packets(payloads: list[bytes], marked: list[bool], key: bool) -> FramePackets:
    """`marked` says which packets carry the marker: the last of the picture (RFC 6184 §5.1)."""
    template = bytearray()
    offsets = []
    for payload, last in zip(payloads, marked, strict=True):
        offsets.append(len(template))
        marker = 0x80 if last else 0
        length = _RTP_HEADER_BYTES + len(payload)
        template += _HEADER.pack(b"$", 0, length, 0x80, marker | PAYLOAD_TYPE, 0, 0, 0)
        template += payload
    return FramePackets(bytes(template), tuple(offsets), key, sum(map(len, payloads)))


def payloads_of(unit: bytes, codec: Codec, limit: int = MAX_PAYLOAD_BYTES) -> Iterator[bytes]:
    """One NAL unit as RTP payloads: itself when it fits, else fragments."""
    if len(unit) <= limit:
        yield unit
    elif codec == "h264":
        indicator = (unit[0] & 0xE0) | 28  # RFC 6184 §5.8, FU-A: F and NRI kept
        yield from _fragments(bytes([indicator]), unit[0] & 0x1F, unit[1:], limit)
    else:
        header = bytes(
            [(unit[0] & 0x81) | (49 << 1), unit[1]]
        )  # RFC 7798 §4.4.3: type 49, rest kept
        yield from _fragments(header, (unit[0] >> 1) & 0x3F, unit[2:], limit)


def _fragments(prefix: bytes, kind: int, data: bytes, limit: int) -> Iterator[bytes]:
    room = limit - len(prefix) - 1
    for start in range(0, len(data), room):
        first = 0x80 if start == 0 else 0
        last = 0x40 if start + room >= len(data) else 0
        yield prefix + bytes([first | last | kind]) + data[start : start + room]


def sender_report(
    channel: int, ssrc: int, unix_s: float, timestamp: int, packets: int, octets: int
) -> bytes:
    """An RTCP sender report with CNAME (RFC 3550 §6.4.1, §6.5.1), interleaved on `channel`."""
    ntp = unix_s + 2_208_988_800  # seconds from 1900 to 1970
    whole = int(ntp)
    report = struct.pack(
        "!BBHIIIIII",
        0x80,
        200,
        6,
        ssrc,
        whole & 0xFFFFFFFF,
        int((ntp - whole) * (1 << 32)) & 0xFFFFFFFF,
        timestamp & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    name = b"camera"
    description = struct.pack("!IBB", ssrc, 1, len(name)) + name
    description += b"\x00" * (4 - len(description) % 4)
    description = struct.pack("!BBH", 0x81, 202, len(description) // 4) + description
    compound = report + description
    return struct.pack("!sBH", b"$", channel, len(compound)) + compound
