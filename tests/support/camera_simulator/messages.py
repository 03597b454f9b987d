# SPDX-License-Identifier: Apache-2.0
"""Requests of HTTP/1.1 and RTSP/1.0 off the wire: both are a start line, headers and a counted
body.

RTSP adds interleaved frames, `$` channel length data (RFC 2326 §10.12), on the same connection.
Used by the HTTP and RTSP connections; knows no method and answers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_MESSAGE_BYTES = 1 << 20


class MessageInvalid(ValueError):
    """The peer speaks something else; the connection is beyond repair."""


@dataclass(frozen=True)
class Message:
    method: str
    target: str
    version: str
    headers: dict[str, str]
    """Names in lower case; of a repeated header the last value counts."""
    body: bytes = b""


@dataclass(frozen=True)
class Interleaved:
    channel: int
    payload: bytes


class MessageReader:
    """Feed it what the socket gave; it yields every message that is complete."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message | Interleaved]:
        self._held += data
        while (part := self._next()) is not None:
            yield part
        if len(self._held) > MAX_MESSAGE_BYTES:
            raise MessageInvalid("a message of more than 1 MiB")

    def _next(self) -> Message | Interleaved | None:
        while (
            self._held[:2] == b"\r\n"
        ):  # RFC 7230 §3.5: empty lines before a request line are forgiven
            del self._held[:2]
        if self._held[:1] == b"$":
            return self._interleaved()
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = _parse_head(bytes(self._held[:end]))
        length = _content_length(head.headers)
        if len(self._held) < end + 4 + length:
            return None
        body = bytes(self._held[end + 4 : end + 4 + length])
        del self._held[: end + 4 + length]
        return Message(head.method, head.target, head.version, head.headers, body)

    def _interleaved(self) -> Interleaved | None:
        if len(self._held) < 4:
            return None
        length = int.from_bytes(self._held[2:4], "big")
        if len(self._held) < 4 + length:
            return None
        frame = Interleaved(self._held[1], bytes(self._held[4 : 4 + length]))
        del self._held[: 4 + length]
        return frame


def _parse_head(head: bytes) -> Message:
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3:
        raise MessageInvalid("not a request line")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise MessageInvalid("a header line without a colon")
        headers[name.strip().lower()] = value.strip()
    return Message(words[0], words[1], words[2], headers)


def _content_length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    if not text.isdigit() or int(text) > MAX_MESSAGE_BYTES:
        raise MessageInvalid("Content-Length is not a length we take")
    return int(text)
