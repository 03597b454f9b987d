# SPDX-License-Identifier: Apache-2.0
"""RTSP answers as cameras write them: right, or wrong in a way that was seen in the field.

Pure; called by the connection with the settings' dialect. The SDP has its dialects in sdp.py.
"""

from __future__ import annotations

GARBAGE = b"\x00\x17\xff$\x09\xff\xffzz$\x00\x00"
"""What firmware leaves between two packets; holds what looks like frames to a careless reader."""

Headers = list[tuple[str, str]]


def written(
    status: int, phrase: str, cseq: str, headers: Headers, body: bytes, dialect: tuple[str, ...]
) -> bytes:
    """One answer."""
    version = "RTSP/1.0"
    if "http-status-line" in dialect:
        version = "HTTP/1.1"
    if "rtsp-1.1" in dialect:
        version = "RTSP/1.1"
    if "wrong-cseq" in dialect:
        cseq = "1"
    if "no-cseq" not in dialect:
        headers = [("CSeq", cseq), *headers]
    if "setup-without-session" in dialect:
        headers = [(name, value) for name, value in headers if name != "Session"]
    if body:
        headers = [*headers, ("Content-Length", str(len(body)))]
    lines = [f"{version} {status} {phrase}", *(_line(name, v, dialect) for name, v in headers)]
    end = "\n" if "lf-only" in dialect else "\r\n"
    return end.join([*lines, "", ""]).encode() + body


def _line(name: str, value: str, dialect: tuple[str, ...]) -> str:
    if "trailing-semicolons" in dialect and name in ("Session", "Transport"):
        value += " ; "
    if "lower-case" in dialect:
        name = name.lower()
    if "folded" in dialect and ";" in value:
        first, _, rest = value.partition(";")
        value = f"{first};\r\n {rest}"
    return f"{name}: {value}"


def content_base(base: str, dialect: tuple[str, ...]) -> Headers:
    """Content-Base and Content-Type of an SDP."""
    if "schemeless-base" in dialect:
        base = base.partition("://")[2]
    if "inner-base" in dialect:
        base = "rtsp://192.168.1.88:554/" + base.partition("://")[2].partition("/")[2]
    baseless = {"no-content-base", "query-control", "session-control-base"} & set(dialect)
    headers = [] if baseless else [("Content-Base", base)]
    if "no-content-type" not in dialect:
        headers.append(("Content-Type", "application/sdp"))
    return headers


def rtp_info(track: str, sequence: int, timestamp: int, dialect: tuple[str, ...]) -> str:
    """RTP-Info of PLAY's answer."""
    if "bad-rtp-info" in dialect:
        return f"url={track};seq=;rtptime=4294967296, url=,seq=99999"
    return f"url={track};seq={sequence};rtptime={timestamp}"


def ssrc(number: int, dialect: tuple[str, ...]) -> str:
    """The ssrc of a Transport header."""
    text = f"{number:08X}"
    return f" {text[:4]} {text[4:]}" if "ssrc-with-blanks" in dialect else text
