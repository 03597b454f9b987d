# SPDX-License-Identifier: Apache-2.0
"""Requests off the wire: the same messages come out however the network cuts them up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_simulator.messages import Interleaved, Message, MessageInvalid, MessageReader

CONVERSATION = (
    b"OPTIONS rtsp://cam/live RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    b"$\x01\x00\x04rtcp"
    b"\r\nPOST /onvif HTTP/1.1\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
    b"$\x00\x00\x00"
)
PARTS = [
    Message("OPTIONS", "rtsp://cam/live", "RTSP/1.0", {"cseq": "1"}),
    Interleaved(1, b"rtcp"),
    Message("POST", "/onvif", "HTTP/1.1", {"content-length": "5", "x-a": "b"}, b"hello"),
    Interleaved(0, b""),
]


@given(cuts=st.lists(st.integers(0, len(CONVERSATION)), max_size=20).map(sorted))
def test_messages_are_whole_however_they_are_cut(cuts: list[int]) -> None:
    reader = MessageReader()
    pieces = [CONVERSATION[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    assert [part for piece in pieces for part in reader.feed(piece)] == PARTS


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * (1 << 20) + b"x",
    ],
    ids=["no request line", "no header", "negative length", "huge length", "endless"],
)
def test_invalid_requests_are_refused(data: bytes) -> None:
    with pytest.raises(MessageInvalid):
        list(MessageReader().feed(data))
