# SPDX-License-Identifier: Apache-2.0
"""RTSP messages and the interleaved frames between them, without any I/O.

Called by the client while it shakes hands, by the media loop for whatever is not a video packet,
and by the RTSP publisher. Parsing is as tolerant as installed cameras demand and as bounded as an
untrusted peer deserves: a header block, a body and the number of headers have limits, and what
cannot be a message raises MessageError. It judges no status codes and knows no sockets.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from camfleet_worker.base.octets import OCTETS
from camfleet_worker.base.whole_number import whole_number

MAX_HEAD_BYTES = 16 * 1024
"""Start line and headers together; the longest seen from a camera are some 2 KiB."""
MAX_BODY_BYTES = 256 * 1024
"""An SDP takes 1 to 3 KiB; some cameras attach a private blob to it."""

INTERLEAVED = 0x24
"""`$`, the first octet of an interleaved frame (RFC 2326 section 10.12)."""
FRAME_HEAD = struct.Struct("!BBH")
"""`$`, channel, length of the payload."""

_SHORTEST_PACKET_BYTES = 8
"""An empty RTCP receiver report."""

_VERSION = "RTSP/1.0"
_DIGITS = 9
"""Of a sequence number, a status and a length."""
_LINE_END = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\n\r?\n")
_BLANK = b"\r\n"
_METHOD = re.compile(r"[A-Z_]{3,32}")
_FIRST_WORD = re.compile(rb"[A-Za-z_]{1,32}(?:[ /\t]|\Z)")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class MessageError(ValueError):
    """The peer sent what cannot be an RTSP message, or what cannot be repeated in one."""


class OtherProtocolError(MessageError):
    """What the peer sent does not even begin as RTSP does (RFC 2326 sections 7.1 and 10.12)."""


class Headers:
    """Header fields in the order received; names compare without case (RFC 2326 section 4.2)."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = [(name.lower(), value) for name, value in fields]

    def get(self, name: str) -> str | None:
        """The first field of that name."""
        wanted = name.lower()
        return next((value for known, value in self._fields if known == wanted), None)

    def all(self, name: str) -> list[str]:
        """Every field of that name: cameras send one WWW-Authenticate per scheme."""
        wanted = name.lower()
        return [value for known, value in self._fields if known == wanted]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    def __repr__(self) -> str:
        # Names only: a challenge or an Authorization must not reach a log through a repr.
        return f"Headers({', '.join(name for name, _ in self._fields)})"


@dataclass(frozen=True, slots=True)
class Response:
    """A status line, its headers and its body."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def cseq(self) -> int | None:
        """The request this answers, or None where a camera leaves it out."""
        return whole_number(self.headers.get("cseq"), _DIGITS)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, also one that a server sends to us (RFC 2326 section 10, direction S->C)."""

    method: str
    uri: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def cseq(self) -> int | None:
        """The CSeq that the answer has to repeat."""
        return whole_number(self.headers.get("cseq"), _DIGITS)


@dataclass(frozen=True, slots=True)
class Frame:
    """One interleaved frame; `payload` is a copy of its own."""

    channel: int
    payload: bytes


def serialise_request(
    method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b""
) -> bytes:
    """A request as octets. Content-Length is added where there is a body."""
    return _serialise(f"{method} {uri} {_VERSION}", headers, body)


def serialise_response(
    status: int, reason: str, headers: Iterable[tuple[str, str]], body: bytes = b""
) -> bytes:
    """An answer to a server's request."""
    return _serialise(f"{_VERSION} {status} {reason}", headers, body)


def serialise_frame(channel: int, payload: bytes) -> bytes:
    """One interleaved frame (RFC 2326 section 10.12)."""
    return FRAME_HEAD.pack(INTERLEAVED, channel, len(payload)) + payload


def _serialise(start_line: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    lines = [start_line, *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    for line in lines:
        # A line break in a path, a nonce or a user name would smuggle a second request in.
        if _UNSAFE.search(line):
            raise MessageError("a control character cannot stand in an RTSP header")
    return ("\r\n".join(lines) + "\r\n\r\n").encode(errors=OCTETS) + body


def parse_message(
    buffer: bytes | bytearray | memoryview, start: int, end: int
) -> tuple[Request | Response | None, int]:
    """The message that begins at `start`, and where the next one begins.

    Without a message, octets before the position can be dropped; where it does not move, more are
    needed. Line breaks between messages are skipped: some servers send one too many.
    """
    if start < end and buffer[start] in _BLANK:
        while start < end and buffer[start] in _BLANK:
            start += 1
        return None, start
    head = bytes(buffer[start : min(end, start + MAX_HEAD_BYTES)])
    found = _HEAD_END.search(head)
    if found is None:
        if len(head) >= MAX_HEAD_BYTES:
            raise MessageError("the header block does not end")
        _refuse_early(head)
        return None, start
    start_line, headers = _parse_head(head[: found.start()])
    body_length = _body_length(headers)
    body_at = start + found.end()
    if end - body_at < body_length:
        return None, start
    body = bytes(buffer[body_at : body_at + body_length])
    return _message(start_line, headers, body), body_at + body_length


def next_beginning(
    buffer: bytes | bytearray | memoryview, start: int, end: int, channels: Collection[int]
) -> int:
    """Where, from `start` on, a frame of these channels or an answer may begin; `end` for nowhere.

    Firmware leaves octets between two packets that belong to neither. A dollar sign is taken for a
    beginning where channel, length and version (RFC 3550 section 5.1) agree as far as they can be
    seen.
    """
    data = bytes(buffer[start:end])
    at = -1
    while (at := data.find(b"$", at + 1)) >= 0:
        head = data[at : at + 5]
        if len(head) > 1 and head[1] not in channels:
            continue
        if len(head) > 3 and head[2] << 8 | head[3] < _SHORTEST_PACKET_BYTES:
            continue
        if len(head) > 4 and head[4] & 0xC0 != 0x80:
            continue
        break
    answer = data.find(b"RTSP/1.")
    found = [place for place in (at, answer) if place >= 0]
    return start + min(found) if found else end


class MessageReader:
    """Splits a byte stream into responses, requests and interleaved frames.

    For a few messages at a time: the handshake, the replies to a relay. The media loop walks
    video packets by itself and calls parse_message for the rest.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append what was received."""
        self._buffer += data

    def next(self) -> Request | Response | Frame | None:
        """The next whole item, or None until more is fed. Raises MessageError."""
        buffer = self._buffer
        while buffer and buffer[0] != INTERLEAVED:
            message, consumed = parse_message(buffer, 0, len(buffer))
            del buffer[:consumed]
            if message is not None or consumed == 0:
                return message
        return self._next_frame()

    def __iter__(self) -> Iterator[Request | Response | Frame]:
        while (item := self.next()) is not None:
            yield item

    def take_rest(self) -> bytes:
        """The octets that were fed and not read, for the next reader of the socket."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _next_frame(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < FRAME_HEAD.size:
            return None
        _, channel, length = FRAME_HEAD.unpack_from(buffer)
        end = FRAME_HEAD.size + length
        if len(buffer) < end:
            return None
        frame = Frame(channel, bytes(buffer[FRAME_HEAD.size : end]))
        del buffer[:end]
        return frame


def _refuse_early(head: bytes) -> None:
    """Do not wait for the end of something that is no message to begin with."""
    if head and not _FIRST_WORD.match(head):
        raise OtherProtocolError("neither a message nor an interleaved frame")


def _parse_head(head: bytes) -> tuple[str, Headers]:
    # Latin-1 never fails: a camera's name in a Server header may be in any encoding.
    lines = [line.decode("latin-1") for line in _LINE_END.split(head)]
    return lines[0].strip(), Headers(_fields(lines[1:]))


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    name, value = "", ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:  # folded: RFC 2326 section 4.2 by RFC 2068
            value += " " + line.strip()
            continue
        if name:
            yield name, value
        name, colon, value = line.partition(":")
        # A line without a colon is dropped: it is seen from cameras and carries nothing.
        name, value = (name.strip(), value.strip()) if colon else ("", "")
    if name:
        yield name, value


def _body_length(headers: Headers) -> int:
    text = headers.get("content-length")
    if text is None:
        return 0
    length = whole_number(text, _DIGITS)
    if length is None:
        raise MessageError("Content-Length is not a number")
    if length > MAX_BODY_BYTES:
        raise MessageError("the body is longer than any description of a stream")
    return length


def _message(start_line: str, headers: Headers, body: bytes) -> Request | Response:
    parts = start_line.split(None, 2)
    if len(parts) >= 2 and _is_version(parts[0], headers):
        status = whole_number(parts[1], _DIGITS)
        if status is None or not 100 <= status <= 999:
            raise MessageError("the status is not a number")
        return Response(status, parts[2] if len(parts) > 2 else "", headers, body)
    if len(parts) == 3 and parts[2].upper().startswith("RTSP/") and _METHOD.fullmatch(parts[0]):
        return Request(parts[0], parts[1], headers, body)
    raise OtherProtocolError("the first line is not RTSP's")


def _is_version(word: str, headers: Headers) -> bool:
    """Any RTSP version; HTTP's too, where the rest is an RTSP answer (quirk 33)."""
    word = word.upper()
    return word.startswith("RTSP/") or (
        word.startswith("HTTP/") and headers.get("cseq") is not None
    )
