# SPDX-License-Identifier: Apache-2.0
"""RTMP messages: written as the specification says, read back in any pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.relay.rtmp.amf0 import AmfValue
from camfleet_worker.relay.rtmp.flv import SCRIPT_DATA, VIDEO, FlvTag
from camfleet_worker.relay.rtmp.messages import (
    ChunkReader,
    Command,
    Message,
    RtmpError,
    as_command,
    command,
    media,
    message,
    pong,
    set_chunk_size,
)

NUMBERS = st.floats(allow_nan=False)
TEXTS = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def read(data: bytes, cuts: list[int]) -> list[Message]:
    """Feed in pieces."""
    reader = ChunkReader()
    found: list[Message] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        found += reader.feed(data[start:end])
    return found


@given(st.lists(VALUES, max_size=4), st.lists(st.integers(0, 10_000), max_size=6))
def test_a_command_reads_back_however_it_is_cut(values: list[AmfValue], cuts: list[int]) -> None:
    data = set_chunk_size() + command("call", 7, *values) * 2
    _, first, second = read(data, cuts)
    assert as_command(first) == as_command(second) == Command("call", 7.0, tuple(values))


@given(
    st.integers(0, 200_000),
    st.sampled_from([0, 1, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0xFFFFFFFF]),
    st.lists(st.integers(0, 200_000), max_size=4),
)
def test_a_message_of_any_length_and_time_reads_back(
    size: int, timestamp_ms: int, cuts: list[int]
) -> None:
    body = bytes(index & 0xFF for index in range(size))
    data = set_chunk_size() + message(9, body, timestamp_ms, stream=1) + message(8, b"next")
    assert read(data, cuts)[1:] == [Message(9, body), Message(8, b"next")]


@given(st.binary(max_size=300))
def test_nonsense_raises_nothing_but_our_error(data: bytes) -> None:
    try:
        for item in ChunkReader().feed(data):
            as_command(item)
    except RtmpError:
        return


def test_a_ping_is_answered_with_its_own_time() -> None:
    answer = pong(Message(4, b"\0\x06\x01\x02\x03\x04"))
    assert answer is not None
    assert list(ChunkReader().feed(answer)) == [Message(4, b"\0\x07\x01\x02\x03\x04")]
    assert pong(Message(4, b"\0\x00\0\0\0\0")) is None


def test_a_flv_tag_becomes_one_message() -> None:
    about, picture = (
        next(ChunkReader().feed(media(tag, stream=1)))
        for tag in (FlvTag(SCRIPT_DATA, 0, b"about"), FlvTag(VIDEO, 0xFFFFFFFF, b"pic"))
    )
    assert about == Message(18, b"\x02\x00\x0d@setDataFrameabout")
    assert picture == Message(9, b"pic")
