# SPDX-License-Identifier: Apache-2.0
"""Values in Adobe's Action Message Format 0, as RTMP commands carry them. Pure.

Sections are those of the AMF0 specification. What a server sends is read as far as it can be: an
answer that we await holds numbers, texts and objects, and others may hold anything.
"""

from __future__ import annotations

import struct

_MOST_DEPTH = 8
_PASSED_OVER_BYTES = {5: 0, 6: 0, 7: 2, 11: 10, 13: 0}
"""Values without a meaning for us, by their size: null, undefined, reference, date, unsupported."""

AmfValue = float | bool | str | None | dict[str, "AmfValue"] | list["AmfValue"]


def encode(value: AmfValue) -> bytes:
    """One value as it is sent."""
    if value is None:
        return b"\x05"
    if isinstance(value, bool):
        return b"\x01" + bytes((value,))
    if isinstance(value, float):
        return b"\x00" + struct.pack("!d", value)
    if isinstance(value, str):
        return b"\x02" + _name(value)
    if isinstance(value, list):
        return b"\x0a" + struct.pack("!I", len(value)) + b"".join(encode(item) for item in value)
    return b"\x03" + _fields(value)


def encode_array(value: dict[str, AmfValue]) -> bytes:
    """An ECMA array (section 2.10), as metadata is one."""
    return b"\x08" + struct.pack("!I", len(value)) + _fields(value)


def _fields(value: dict[str, AmfValue]) -> bytes:
    pairs = (_name(name) + encode(item) for name, item in value.items())
    return b"".join(pairs) + b"\0\0\x09"


def _name(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


class _Unreadable(ValueError):
    """A value of a kind that no answer needs, or one nested too deeply; what follows is lost."""


class _Cut(ValueError):
    """An object that cannot be read to its end; `fields` are those before that place."""

    def __init__(self, fields: dict[str, AmfValue]) -> None:
        super().__init__()
        self.fields = fields


def read(data: bytes) -> tuple[list[AmfValue], bytes]:
    """The values, and of an object the fields, up to the first that cannot be read; and the octets
    from the value in which that is, none where all was read."""
    found: list[AmfValue] = []
    at = 0
    try:
        while at < len(data):
            value, end = _value(data, at, depth=0)
            found.append(value)
            at = end
    except _Cut as cut:
        return [*found, cut.fields], data[at:]
    except (IndexError, struct.error, _Unreadable):
        pass
    return found, data[at:]


def _value(data: bytes, at: int, depth: int) -> tuple[AmfValue, int]:
    """AMF0 section 2; what only its length is known of is None."""
    marker, at = data[at], at + 1
    if depth > _MOST_DEPTH:
        raise _Unreadable
    if marker == 0:
        return struct.unpack_from("!d", data, at)[0], at + 8
    if marker == 1:
        return data[at] != 0, at + 1
    if marker == 2:
        return _text(data, at)
    if marker in (3, 8):
        return _object(data, at + (4 if marker == 8 else 0), depth)
    if marker == 10:
        return _array(data, at, depth)
    if marker in (12, 15):
        return _long_text(data, at)
    if marker == 16:  # an object behind the name of its class
        _, at = _text(data, at)
        return _object(data, at, depth)
    if marker in _PASSED_OVER_BYTES:
        return None, at + _PASSED_OVER_BYTES[marker]
    raise _Unreadable


def _array(data: bytes, at: int, depth: int) -> tuple[list[AmfValue], int]:
    (count,) = struct.unpack_from("!I", data, at)
    at += 4
    items: list[AmfValue] = []
    while len(items) < count:
        item, at = _value(data, at, depth + 1)
        items.append(item)
    return items, at


def _object(data: bytes, at: int, depth: int) -> tuple[dict[str, AmfValue], int]:
    found: dict[str, AmfValue] = {}
    name = ""
    try:
        while True:
            name, at = _text(data, at)
            if not name and data[at] == 9:
                return found, at + 1
            found[name], at = _value(data, at, depth + 1)
    except _Cut as cut:
        found[name] = cut.fields
        raise _Cut(found) from None
    except (IndexError, struct.error, _Unreadable):
        raise _Cut(found) from None


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("!H", data, at)
    return _text_of(data, at + 2, length)


def _long_text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("!I", data, at)
    return _text_of(data, at + 4, length)


def _text_of(data: bytes, at: int, length: int) -> tuple[str, int]:
    """Text in whatever encoding: servers also send their system's."""
    text = data[at : at + length]
    if len(text) < length:
        raise IndexError
    return text.decode("utf-8", "replace"), at + length
