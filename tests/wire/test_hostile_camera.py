# SPDX-License-Identifier: Apache-2.0
"""A camera that is an enemy: floods, endless things and slow drips on the RTSP port. Memory stays
bounded, the session ends with its reason, and the cameras beside it lose nothing."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from camera_simulator import CameraSettings, Simulator
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.rtsp.client import StreamTarget, open_stream
from eventually import eventually_async
from hostile_peer import HostilePeer

PASSWORD = "p@ss#w0rd%/:"
MEBIBYTE = 1024 * 1024
MOST_GROWTH_BYTES = 96 * MEBIBYTE
"""What one hostile camera may cost, the buffers of its own side, which is this process, included.
The floods are longer than that."""
FLOOD_BYTES = 160 * MEBIBYTE


class Ears:
    """Why the session ended."""

    def __init__(self) -> None:
        self.errors: list[IngestError] = []

    def first_key_frame(self, video_format: VideoFormat) -> None:
        """Not asked here."""

    def ended(self, error: IngestError) -> None:
        self.errors.append(error)


class Counting:
    """A sink that keeps the size of what came and no more."""

    name = "counting"
    condition = ConditionType.RECORDING

    def __init__(self) -> None:
        self.largest = 0
        self.units = 0

    def push(self, unit: AccessUnit) -> None:
        self.units += 1
        self.largest = max(self.largest, len(unit.data))

    def tick(self, now: float) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
def loop() -> Iterator[MediaLoop]:
    running = MediaLoop(tick_s=0.02)
    running.start()
    yield running
    running.stop()
    assert running.counters.stream_faults == 0


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def frame(sequence: int, payload: bytes, timestamp: int = 0, channel: int = 0) -> bytes:
    packet = struct.pack("!BBHII", 0x80, 96, sequence & 0xFFFF, timestamp, 0xBAD) + payload
    return struct.pack("!BBH", 0x24, channel, len(packet)) + packet


def flood_of_messages(number: int) -> bytes:
    return b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\n\r\n" % number


def fragments_without_end(number: int) -> bytes:
    # FU-A (RFC 6184 section 5.8): the first starts an IDR slice, none ever ends it.
    return frame(number, bytes((0x7C, 0x85 if number == 0 else 0x05)) + b"\x88" * 60_000)


def one_endless_picture(number: int) -> bytes:
    # Whole slices, one timestamp, never a marker.
    return frame(number, b"\x65\x88" + bytes((number & 0x7F | 0x80,)) * 60_000)


def unknown_packets(number: int) -> bytes:
    return frame(number, b"\x00" * 1000, channel=number & 0xFF | 2)


def a_stream_of_nonsense(number: int) -> bytes:
    return bytes((number + index) % 250 + 3 if index % 7 else 0x24 for index in range(997)) * 20


FLOODS = [
    flood_of_messages,
    fragments_without_end,
    one_endless_picture,
    unknown_packets,
    a_stream_of_nonsense,
]


def writes(
    flood: Callable[[int], bytes], bytes_in_all: int
) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def then(writer: asyncio.StreamWriter) -> None:
        sent = number = 0
        while sent < bytes_in_all:
            data = flood(number)
            writer.write(data)
            await writer.drain()
            sent, number = sent + len(data), number + 1
        await asyncio.Event().wait()

    return then


@pytest.mark.quirk(42)
@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
async def test_a_flood_costs_bounded_memory_and_its_neighbour_no_frame(
    flood: Callable[[int], bytes], loop: MediaLoop, simulator: Simulator
) -> None:
    good = await simulator.add(CameraSettings("good", password=PASSWORD, resolution="240p"))
    neighbour, beside = Counting(), Ears()
    channel = loop.open_feed("good", [neighbour])  # type: ignore[list-item]
    login = Credentials("ingest", PASSWORD, "1")
    target = StreamTarget(good.host, good.rtsp_port, good.stream_path())
    healthy = channel.play(await open_stream(target, login, deadline_s=10), beside)
    await eventually_async(lambda: neighbour.units > 5, within_s=10)

    enemy = Counting()
    before = resident_bytes()
    async with HostilePeer.after_play(writes(flood, 2 * FLOOD_BYTES)) as peer:
        ears = Ears()
        hostile = loop.open_feed("enemy", [enemy])  # type: ignore[list-item]
        stream = await open_stream(StreamTarget("127.0.0.1", peer.port, "/"), None, deadline_s=10)
        session = hostile.play(stream, ears)
        await eventually_async(
            lambda: bool(ears.errors) or session.counters.bytes > FLOOD_BYTES, within_s=60
        )
        grown = resident_bytes() - before
        session.stop()
    assert grown < MOST_GROWTH_BYTES
    assert enemy.largest < 16 * MEBIBYTE
    assert all(error.reason in Reason for error in ears.errors)
    seen = neighbour.units
    await eventually_async(lambda: neighbour.units > seen + 5, within_s=10)
    assert (healthy.counters.lost_packets, healthy.counters.damaged_access_units) == (0, 0)
    assert beside.errors == []
    healthy.stop()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for octet in b"RTSP/1.0 200 OK\r\n" + b"X-Slow: drip\r\n" * 1000:
        writer.write(bytes((octet,)))
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"RTSP/1.0 200 OK\r\n")
    while True:
        writer.write(b"X-More: and more\r\n" * 500)
        await writer.drain()


async def endless_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 999999999\r\n\r\n")
    while True:
        writer.write(b"a=x\r\n" * 1000)
        await writer.drain()


async def endless_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n" * 100)
        await writer.drain()


async def endless_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(frame(0, b"\x00" * 60_000) * 4)
        await writer.drain()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (drip, Reason.TIMEOUT),
        (endless_headers, Reason.PROTOCOL_ERROR),
        (endless_body, Reason.PROTOCOL_ERROR),
        (endless_answers, Reason.TIMEOUT),
        (endless_frames, Reason.TIMEOUT),
    ],
    ids=lambda case: getattr(case, "__name__", None),
)
async def test_a_handshake_without_end_is_not_waited_for(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    reason: Reason,
) -> None:
    before = resident_bytes()
    async with HostilePeer(answer) as peer:
        with pytest.raises(IngestError) as caught:
            await open_stream(StreamTarget("127.0.0.1", peer.port, "/"), None, deadline_s=2)
    assert caught.value.reason is reason
    assert resident_bytes() - before < MOST_GROWTH_BYTES
