# SPDX-License-Identifier: Apache-2.0
"""Session descriptions (SDP, RFC 4566) as cameras write them: what can be played, and where.

Pure; called by the client with the body of DESCRIBE. It reads the few lines that matter, skips
what it does not understand, and raises nothing: a description without a playable video is empty.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from camfleet_worker.base.whole_number import whole_number
from camfleet_worker.media_types.access_unit import Codec

_MAX_LINES = 1000
_MOST_FORMATS = 16
"""Payload types of one medium; a camera names one or two."""
_STATIC_AUDIO = {0: "PCMU", 8: "PCMA"}
"""Payload types that need no a=rtpmap (RFC 3551 table 4)."""
_PARAMETER_SET_KEYS = {
    # RFC 6184 section 8.1; RFC 7798 section 7.1.
    Codec.H264: ("sprop-parameter-sets",),
    Codec.H265: ("sprop-vps", "sprop-sps", "sprop-pps"),
}


@dataclass(slots=True)
class MediaSection:
    """One payload type of an `m=` section: who plays takes the first that it can."""

    kind: str
    payload_type: int
    encoding: str = ""
    """Encoding name in upper case, from a=rtpmap."""
    clock_hz: int = 0
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)
    """a=fmtp, names in lower case."""
    control: str = ""
    send_only: bool = False
    """a=sendonly: an audio track with it takes audio instead of giving it (ONVIF Streaming
    Specification section 5.3), unless the video has it too."""

    @property
    def codec(self) -> Codec | None:
        """The video codec, or None where it is not one that we pass on."""
        if self.kind != "video":
            return None
        # HEVC is what a few cameras call it; RFC 7798 section 7.1 says H265.
        name = "H265" if self.encoding == "HEVC" else self.encoding
        return Codec(name) if name in (Codec.H264, Codec.H265) else None

    @property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """NAL units from the description; they may be missing, and stale, and are then replaced."""
        codec = self.codec
        keys = _PARAMETER_SET_KEYS[codec] if codec else ()
        listed = [text for key in keys for text in self.parameters.get(key, "").split(",")]
        return tuple(unit for unit in map(_nal_unit, listed) if unit)


@dataclass(slots=True)
class Description:
    """The answer to DESCRIBE."""

    control: str = ""
    media: list[MediaSection] = field(default_factory=list)
    skipped_media: list[str] = field(default_factory=list)
    """The lines of media that cannot be read."""
    skipped_lines: list[str] = field(default_factory=list)
    """Other lines that cannot be read, and attributes that belong to no payload type."""

    def offered(self) -> str:
        """What is offered, for people: `JPEG video, PCMU audio`. Printable: it ends in a status."""
        text = ", ".join(f"{m.encoding or m.payload_type} {m.kind}" for m in self.media)
        return "".join(filter(str.isprintable, text))


def parse_description(body: bytes) -> Description:
    """Read a description; lines that make no sense are skipped.

    A medium whose own line cannot be read is skipped with its attributes: they are neither those of
    the session nor those of the medium before.
    """
    description = Description()
    section: _Section | None = None
    for line in body.decode("utf-8", "replace").splitlines()[:_MAX_LINES]:
        kind, equals, value = line.strip().partition("=")
        if not equals:
            description.skipped_lines += [line] if kind else []
            continue
        if kind == "m":
            section = _Section(value)
            description.media += section.formats
            description.skipped_media += [] if section.formats else [line]
        elif kind == "a" and section is not None:
            if not section.read_attribute(value.strip()):
                description.skipped_lines.append(line)
        elif kind == "a":
            name, _, rest = value.strip().partition(":")
            if name == "control":
                description.control = rest.strip()
    return description


class _Section:
    """One `m=` section: `video 0 RTP/AVP 96 97`."""

    def __init__(self, value: str) -> None:
        words = value.split()
        numbers = [whole_number(word, digits=3) for word in words[3:]]
        self.formats = [
            MediaSection(words[0].lower(), number)
            for number in numbers[:_MOST_FORMATS]
            if number is not None
        ]
        """None where the line cannot be read."""
        for one in self.formats:
            if one.kind == "audio" and one.payload_type in _STATIC_AUDIO:
                one.encoding, one.clock_hz = _STATIC_AUDIO[one.payload_type], 8000

    def read_attribute(self, value: str) -> bool:
        """`a=`: of the whole section, or of one payload type; False where it belongs to none of
        those that the section names."""
        name, _, rest = value.partition(":")
        number, _, of_format = rest.strip().partition(" ")
        for one in self.formats:
            if name == "control":
                one.control = rest.strip()
            elif name == "sendonly":
                one.send_only = True
            elif name == "rtpmap" and number == str(one.payload_type):
                _read_rtpmap(one, of_format)
            elif name == "fmtp" and number == str(one.payload_type):
                one.parameters |= _parameters(of_format)
        known = [str(one.payload_type) for one in self.formats]
        return not known or name not in ("rtpmap", "fmtp") or number in known


def _read_rtpmap(section: MediaSection, encoding: str) -> None:
    name, _, rest = encoding.strip().partition("/")
    clock, _, channels = rest.partition("/")
    section.encoding = name.strip().upper()
    section.clock_hz = whole_number(clock, digits=9) or 0
    stated = whole_number(channels, digits=3)
    section.channels = 1 if stated is None else stated


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def _nal_unit(text: str) -> bytes:
    """Base64 with or without padding; the start code that some firmware adds is taken off."""
    text = text.strip().rstrip("=")
    try:
        unit = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return unit.removeprefix(b"\x00\x00\x00\x01").removeprefix(b"\x00\x00\x01")


def base_path(candidates: Iterable[str | None]) -> str:
    """Path and query that control URLs are relative to: the first candidate that has any.

    Candidates are Content-Base, Content-Location and the request URL, in this order (RFC 2326
    section C.1.1). Only the path is taken: cameras name addresses of networks that are not ours.
    """
    return next((path for path in map(path_of, candidates) if path), "/")


def path_of(url: str | None) -> str:
    """Path and query of a URL, of a schemeless `host:port/path` too; empty where there is none."""
    url = (url or "").strip()
    if "://" in url:
        try:
            parts = urlsplit(url)
        except ValueError:
            return ""
        path = parts.path or "/"
        return f"{path}?{parts.query}" if parts.query else path
    head, slash, _ = url.partition("/")
    if not slash:
        return ""
    # Before the first slash stands a host, or the beginning of a path that lacks its slash.
    return url[len(head) :] if not head or set(head) & set(".:") else f"/{url}"


def media_base(base: str, stated: bool, description: Description) -> str:
    """What the controls of media are relative to.

    `stated`: a header of the answer names the base. Else an absolute control of the session does
    (RFC 2326 section C.1.1), and the URL that was asked for where there is none.
    """
    session = description.control
    return path_of(session) if not stated and "://" in session else base


def control_path(base: str, control: str) -> str:
    """Where to send SETUP or PLAY for a control attribute (RFC 2326 section C.1.1).

    A relative control is appended, also behind a query, as ffmpeg and live555 do; replacing the
    last segment, as RFC 3986 would, names a stream that cameras do not know. One that is a query
    alone belongs to the base itself.
    """
    if control in ("", "*"):
        return base
    if "://" in control:
        return path_of(control)
    if control.startswith("/"):
        return control
    if control.startswith("?"):
        return base + control
    return base + control if base.endswith("/") else f"{base}/{control}"
