# SPDX-License-Identifier: Apache-2.0
"""The RTMP messages of a publisher, without any I/O: handshake, chunks, five commands, FLV tags.

Called by the RTMP publisher, which owns the socket. Sections are those of Adobe's RTMP
specification 1.0 (chunks section 5.3, commands section 7). It implements only the part for a
publisher: each FLV tag becomes one message, and of the server's commands results and status are
read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from camfleet_worker.relay.rtmp import amf0
from camfleet_worker.relay.rtmp.amf0 import AmfValue
from camfleet_worker.relay.rtmp.flv import SCRIPT_DATA, FlvTag

HANDSHAKE_BYTES = 1536
_VERSION = b"\x03"

_SET_CHUNK_SIZE = 1
_USER_CONTROL = 4
_COMMAND_AMF3 = 17
_COMMAND = 20
_PING, _PONG = 6, 7

_OUR_CHUNK_BYTES = 65_536
_CONTROL_STREAM, _COMMAND_STREAM, _MEDIA_STREAM = 2, 3, 4
_MAX_MESSAGE_BYTES = 1 << 20
"""A server's messages to a publisher are short; a longer one is not RTMP."""


class RtmpError(ValueError):
    """The peer sent something that is no RTMP."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the server."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """A command or an answer to one."""

    name: str
    transaction: float
    values: tuple[AmfValue, ...]
    unread: bytes = b""
    """From the first value on that cannot be read."""

    @property
    def code(self) -> str:
        """The status code inside, such as NetStream.Publish.Start, or nothing."""
        for value in self.values:
            if isinstance(value, dict) and isinstance(code := value.get("code"), str):
                return code
        return ""


def hello() -> bytes:
    """C0 and C1 (section 5.2): version, time 0, zero, random octets."""
    return _VERSION + bytes(8) + os.urandom(HANDSHAKE_BYTES - 8)


def rtmp_version(octet: bytes) -> bytes:
    """S0 as it came; RtmpError where that is a character (section 5.2.2: 32 to 255 are not allowed,
    so that RTMP differs from protocols of text)."""
    if octet[0] >= 32:
        raise RtmpError("answers by a protocol of text")
    return octet


def echo(server_hello: bytes) -> bytes:
    """C2: what the server sent as S1."""
    return server_hello[1 : 1 + HANDSHAKE_BYTES]


def message(
    kind: int, body: bytes, timestamp_ms: int = 0, stream: int = 0, chunk_stream: int = 0
) -> bytes:
    """One message in chunks of our size. Always a full header: simple, and cheap at this size."""
    chunk_stream = chunk_stream or _COMMAND_STREAM
    timestamp_ms &= 0xFFFFFFFF
    extended = struct.pack("!I", timestamp_ms) if timestamp_ms >= 0xFFFFFF else b""
    head = (
        bytes((chunk_stream,))
        + min(timestamp_ms, 0xFFFFFF).to_bytes(3, "big")
        + len(body).to_bytes(3, "big")
        + bytes((kind,))
        + stream.to_bytes(4, "little")
        + extended
    )
    parts = [head, body[:_OUR_CHUNK_BYTES]]
    for at in range(_OUR_CHUNK_BYTES, len(body), _OUR_CHUNK_BYTES):
        parts += (bytes((0xC0 | chunk_stream,)), extended, body[at : at + _OUR_CHUNK_BYTES])
    return b"".join(parts)


def set_chunk_size() -> bytes:
    """Announce our chunk size; until then it is 128."""
    size = struct.pack("!I", _OUR_CHUNK_BYTES)
    return message(_SET_CHUNK_SIZE, size, chunk_stream=_CONTROL_STREAM)


def command(name: str, transaction: int, *values: AmfValue, stream: int = 0) -> bytes:
    """One command (section 7)."""
    body = b"".join(amf0.encode(value) for value in (name, float(transaction), *values))
    return message(_COMMAND, body, stream=stream)


def pong(ping: Message) -> bytes | None:
    """The answer to a ping (section 7.1.7), or None where that message is none."""
    if ping.kind != _USER_CONTROL or ping.body[:2] != struct.pack("!H", _PING):
        return None
    answer = struct.pack("!H", _PONG) + ping.body[2:6]
    return message(_USER_CONTROL, answer, chunk_stream=_CONTROL_STREAM)


def is_control(item: Message) -> bool:
    """Whether a message steers the connection (sections 5.4, 7.1.7): what it says is acted on by
    those that send more than one stream."""
    return 1 <= item.kind <= 6


def as_command(item: Message) -> Command | None:
    """The command in a message; None where it holds none, or none that can be read.

    Servers send commands that nobody awaits, some without a transaction. Of a command whose values
    cannot all be read, those before the first unreadable one count.
    """
    if item.kind == _COMMAND:
        body = item.body
    elif item.kind == _COMMAND_AMF3 and item.body[:1] == b"\0":
        body = item.body[1:]  # AMF0 behind an octet (section 7.1.1); real AMF3 is not spoken to us
    else:
        return None
    found, unread = amf0.read(body)
    values = tuple(found)
    if not values or not isinstance(values[0], str):
        return None
    if len(values) > 1 and isinstance(values[1], float):
        return Command(values[0], values[1], values[2:], unread)
    return Command(values[0], 0.0, values[1:], unread)


def media(tag: FlvTag, stream: int) -> bytes:
    """The message of one FLV tag."""
    body = tag.body
    if tag.kind == SCRIPT_DATA:
        body = amf0.encode("@setDataFrame") + body
    return message(tag.kind, body, tag.at_ms, stream, _MEDIA_STREAM)


@dataclass(slots=True)
class _Incoming:
    """The state of one chunk stream."""

    kind: int = 0
    length: int = 0
    extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class ChunkReader:
    """Joins the server's chunks to messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._chunk_bytes = 128
        self._streams: dict[int, _Incoming] = {}

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole after these octets. RtmpError."""
        self._buffer += data
        while (taken := self._next()) is not None:
            size, whole = taken
            del self._buffer[:size]
            if whole is None:
                continue
            if whole.kind == _SET_CHUNK_SIZE:
                self._chunk_bytes = max(1, int.from_bytes(whole.body[:4], "big") & 0x7FFFFFFF)
            yield whole

    def _next(self) -> tuple[int, Message | None] | None:
        """Size of the first chunk and the message it completes, or None while it is not whole."""
        buffer = self._buffer
        if not buffer:
            return None
        layout, number = buffer[0] >> 6, buffer[0] & 0x3F
        at = 1 + {0: 1, 1: 2}.get(number, 0)
        if len(buffer) < at:
            return None
        if number < 2:
            number = 64 + int.from_bytes(buffer[1:at], "little")
        head_bytes = (11, 7, 3, 0)[layout]
        head = bytes(buffer[at : at + head_bytes])
        at += head_bytes
        if len(head) < head_bytes:
            return None
        known = self._streams.setdefault(number, _Incoming())
        length = int.from_bytes(head[3:6], "big") if layout < 2 else known.length
        kind = head[6] if layout < 2 else known.kind
        extended = head[:3] == b"\xff\xff\xff" if layout < 3 else known.extended
        at += 4 if extended else 0
        if length > _MAX_MESSAGE_BYTES:
            raise RtmpError("a message without end")
        size = min(self._chunk_bytes, length - len(known.body))
        if len(buffer) < at + size:
            return None
        known.kind, known.length, known.extended = kind, length, extended
        known.body += buffer[at : at + size]
        if len(known.body) < length:
            return at + size, None
        whole = Message(kind, bytes(known.body))
        known.body.clear()
        return at + size, whole
