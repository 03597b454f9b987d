# SPDX-License-Identifier: Apache-2.0
"""One part that nobody can read, beside parts that are right: what the right ones give stays.

A target here takes the octets of the unreadable part. It reads a right input, reads it again with
that part inside, and raises BrokenPromise where another value comes out. What would make another
right part of it (a line that begins a medium, a start code) is taken out of the octets first.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from camfleet_worker.login.challenges import parse_challenges
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.receiver import StreamReceiver
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.envelope import Operation, SoapCodec
from camfleet_worker.onvif.transport import HttpAnswer
from camfleet_worker.relay.rtmp import amf0, messages
from camfleet_worker.rtsp.client import PlayingStream
from camfleet_worker.rtsp.headers import InterleavedIds
from camfleet_worker.rtsp.sdp import MediaSection, parse_description
from camfleet_worker.rtsp.session import RtspSession
from fuzzer.promise import BrokenPromise
from fuzzer.sockets import closed_socket

RECORDINGS = Path(__file__).parent / "recordings"

_MOST_LINES = 100
_UNREADABLE_MEDIUM = "m=application/TP-LINK 0 RTP/AVP smart/1/90000"
_MOST_OCTETS = 60_000


def beside_a_medium(data: bytes) -> None:
    """A medium whose line cannot be read, with any attributes, before and behind the others."""
    lines = data.decode("utf-8", "replace").splitlines()[:_MOST_LINES]
    part = [_UNREADABLE_MEDIUM, *(line for line in lines if not line.strip().startswith("m"))]
    for right in _descriptions():
        whole = right.rstrip("\r\n").split("\r\n")
        first = next(at for at, line in enumerate(whole) if line.startswith("m="))
        for at in (first, len(whole)):
            text = "\r\n".join([*whole[:at], *part, *whole[at:]])
            _same("the description", _read_media(text), _read_media(right))


@functools.cache
def _descriptions() -> tuple[str, ...]:
    return tuple(file.read_bytes().decode() for file in sorted(RECORDINGS.glob("sdp-*.bin")))


def _read_media(text: str) -> tuple[str, list[MediaSection]]:
    description = parse_description(text.encode())
    known = [one for one in description.media if one.kind in ("video", "audio")]
    return description.control, known


def beside_a_challenge(data: bytes) -> None:
    """An element that cannot be read, before a challenge and at its end."""
    part = re.sub(r'[",=\\]', "", " ".join(data[:300].decode("latin-1").split()))
    right = 'Digest realm="camera", nonce="n1", qop="auth"'
    for header in (f"{right}, {part}", f"{part}, {right}"):
        found = [one for one in parse_challenges([header]) if one.scheme.lower() == "digest"]
        wanted = {"realm": "camera", "nonce": "n1", "qop": "auth"}
        if not any(wanted.items() <= one.parameters.items() for one in found):
            raise BrokenPromise(f"no challenge in {header!r}")


def beside_a_value(data: bytes) -> None:
    """Values of AMF0 that cannot be read, behind those that are awaited."""
    values: tuple[amf0.AmfValue, ...] = ("onStatus", 0.0, None, {"code": "NetStream.Publish.Start"})
    body = b"".join(amf0.encode(value) for value in values)
    read = messages.as_command(messages.Message(20, body + data))
    _same("the status", None if read is None else read.code, "NetStream.Publish.Start")


def beside_a_command(data: bytes) -> None:
    """A message of any kind before the one that is awaited."""
    kind = data[0] if data else 0
    if kind == 1:
        return  # the size of chunks: what comes behind is read by it
    awaited = messages.command("_result", 1, None, {"code": "NetConnection.Connect.Success"})
    said = messages.set_chunk_size() + messages.message(kind, data[1:_MOST_OCTETS]) + awaited
    commands = [messages.as_command(one) for one in messages.ChunkReader().feed(said)]
    codes = [one.code for one in commands if one is not None and one.name == "_result"]
    _same("the answers", codes[-1:], ["NetConnection.Connect.Success"])


def beside_a_text(data: bytes) -> None:
    """The name of a profile in octets that XML does not have, or of another encoding."""
    part = data[:300].translate(None, b"<>&")
    head, body = _profiles()
    changed = re.sub(rb"(<tt:Name>)[^<]*(</tt:Name>)", lambda m: m[1] + part + m[2], body)
    _same("the profiles", _tokens(head, changed), _tokens(head, body))


@functools.cache
def _profiles() -> tuple[bytes, bytes]:
    for file in sorted(RECORDINGS.glob("soap-*.bin")):
        for said in file.read_bytes().split(b"HTTP/1.1 ")[1:]:
            head, _, body = said.partition(b"\r\n\r\n")
            if b"GetProfilesResponse" in body and b"<tt:Name>" in body:
                return head, body
    raise FileNotFoundError("no recording of GetProfiles: python -m fuzzer.record")


_loop: asyncio.AbstractEventLoop | None = None
_codec: SoapCodec | None = None


def _tokens(head: bytes, body: bytes) -> list[str]:
    global _codec, _loop
    if _codec is None or _loop is None:
        _codec, _loop = SoapCodec(), asyncio.new_event_loop()
    answer = HttpAnswer(200, (), "", "application/soap+xml", "", body)
    return _loop.run_until_complete(_read_profiles(_codec, answer))


async def _read_profiles(codec: SoapCodec, answer: HttpAnswer) -> list[str]:
    opened = await codec.open(answer)
    profiles, _ = await codec.read(Operation(wsdl.MEDIA1, "GetProfiles"), opened)
    return [profile.token for profile in profiles]


def beside_a_picture(data: bytes) -> None:
    """NAL units of types that mean nothing to us, between pictures."""
    part = re.sub(rb"\x00\x00+\x01", b"", data[:1000])
    for codec, head in ((Codec.H264, b"\x1f"), (Codec.H264, b"\x0c"), (Codec.H265, b"\x46\x01")):
        _same("the pictures", _pictures(codec, head + part), _pictures(codec, None))


def _pictures(codec: Codec, part: bytes | None) -> list[bytes]:
    playing = PlayingStream(
        closed_socket(), RtspSession(None), InterleavedIds(0, 1), codec, 96, _sets(codec), b""
    )
    receiver = StreamReceiver(playing, StreamCounters(), lambda message: None)
    said = bytearray(b"".join(_frames(codec, part)))
    receiver.consume(memoryview(said), len(said), 5.0)
    return [unit.data for unit in receiver.take_access_units()]


@functools.cache
def _sets(codec: Codec) -> tuple[bytes, ...]:
    recorded = (RECORDINGS / f"sdp-{codec.value.lower()}.bin").read_bytes()
    return parse_description(recorded).media[0].parameter_sets


@functools.cache
def _packets(codec: Codec) -> tuple[bytes, ...]:
    data = (RECORDINGS / f"stream-{codec.value.lower()}.bin").read_bytes()
    packets: list[bytes] = []
    at = 0
    while at + 4 <= len(data) and data[at] == 0x24 and len(packets) < 60:
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0 and end <= len(data):
            packets.append(data[at + 4 : end])
        at = end
    return tuple(packets)


def _frames(codec: Codec, part: bytes | None) -> Iterator[bytes]:
    """The recorded packets, with the part as one of its own before each picture."""
    number, before = 0, b""
    for packet in _packets(codec):
        timestamp = packet[4:8]
        if part is not None and timestamp != before:
            yield _frame(packet[:1] + bytes((packet[1] & 0x7F,)), number, packet[4:12] + part)
            number += 1
        yield _frame(packet[:2], number, packet[4:])
        number, before = number + 1, timestamp


def _frame(head: bytes, number: int, rest: bytes) -> bytes:
    packet = head + (number & 0xFFFF).to_bytes(2, "big") + rest
    return b"$\0" + len(packet).to_bytes(2, "big") + packet


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise BrokenPromise(f"{what} became {found!r:.500}")
