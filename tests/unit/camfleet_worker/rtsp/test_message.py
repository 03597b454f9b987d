# SPDX-License-Identifier: Apache-2.0
"""RTSP messages: what cameras send must be read, what is no message must be refused early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.rtsp.message import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    Frame,
    Headers,
    MessageError,
    MessageReader,
    Request,
    Response,
    next_beginning,
    parse_message,
    serialise_frame,
    serialise_request,
    serialise_response,
)


def read_all(data: bytes) -> list[Request | Response | Frame]:
    reader = MessageReader()
    reader.feed(data)
    return list(reader)


def test_a_request_is_written_as_rfc_2326_prints_it() -> None:
    written = serialise_request("DESCRIBE", "rtsp://cam/live", [("CSeq", "2")])
    assert written == b"DESCRIBE rtsp://cam/live RTSP/1.0\r\nCSeq: 2\r\n\r\n"


def test_a_body_brings_its_length() -> None:
    written = serialise_request("ANNOUNCE", "rtsp://vms/a", [("CSeq", "1")], b"v=0\r\n")
    assert b"Content-Length: 5\r\n\r\nv=0\r\n" in written


@pytest.mark.parametrize("where", ["uri", "header"])
def test_a_line_break_cannot_smuggle_a_second_request(where: str) -> None:
    uri = "rtsp://cam/a\r\nTEARDOWN x" if where == "uri" else "rtsp://cam/a"
    value = "1\r\nX: y" if where == "header" else "1"
    with pytest.raises(MessageError, match="control character"):
        serialise_request("PLAY", uri, [("CSeq", value)])


def test_a_response_is_read_with_status_headers_and_body() -> None:
    data = b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 3\r\n\r\nabc"
    (response,) = read_all(data)
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.cseq, response.body) == (
        200,
        "OK",
        7,
        b"abc",
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"RTSP/1.0 200 OK\nCSeq: 3\n\n", id="bare-line-feeds"),
        pytest.param(b"RTSP/1.0 200\r\nCSeq: 3\r\n\r\n", id="no-reason-phrase"),
        pytest.param(b"\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n", id="blank-lines-before"),
        pytest.param(b"rtsp/1.0 200 OK\r\ncseq : 3  \r\n\r\n", id="case-and-blanks"),
        pytest.param(b"RTSP/1.0 200 OK\r\nnonsense\r\nCSeq: 3\r\n\r\n", id="line-without-colon"),
        pytest.param(b"RTSP/1.0 200 OK\r\nServer: \xe1\xe9\r\nCSeq: 3\r\n\r\n", id="not-utf-8"),
    ],
)
def test_malformed_responses_of_cameras_are_read(data: bytes) -> None:
    (response,) = read_all(data)
    assert isinstance(response, Response)
    assert (response.status, response.cseq) == (200, 3)


def test_folded_and_repeated_headers_are_kept() -> None:
    (response,) = read_all(
        b"RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=a,\r\n nonce=b\r\n"
        b"WWW-Authenticate: Basic realm=a\r\n\r\n"
    )
    assert isinstance(response, Response)
    assert response.headers.all("www-authenticate") == [
        "Digest realm=a, nonce=b",
        "Basic realm=a",
    ]


def test_frames_and_messages_come_out_in_the_order_received() -> None:
    data = (
        serialise_frame(0, b"one")
        + b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
        + serialise_frame(1, b"")
        + b"OPTIONS rtsp://us/ RTSP/1.0\r\nCSeq: 9\r\n\r\n"
        + serialise_frame(0, b"$two")
    )
    one, response, empty, request, two = read_all(data)
    assert (one, empty, two) == (Frame(0, b"one"), Frame(1, b""), Frame(0, b"$two"))
    assert isinstance(response, Response)
    assert isinstance(request, Request)
    assert (request.method, request.cseq) == ("OPTIONS", 9)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\x01\x02\x03", id="binary"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"RTSP/1.0 huh\r\n\r\n", id="status-is-no-number"),
        pytest.param(b"RTSP/1.0 200 OK\r\nContent-Length: -4\r\n\r\n", id="negative-length"),
        pytest.param(b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", id="endless-body"),
        pytest.param(b"A" * MAX_HEAD_BYTES, id="endless-header"),
    ],
)
def test_invalid_messages_are_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        read_all(data)


def test_the_largest_body_is_still_read() -> None:
    body = b"x" * MAX_BODY_BYTES
    (response,) = read_all(serialise_response(200, "OK", [("CSeq", "1")], body))
    assert isinstance(response, Response)
    assert response.body == body


def test_an_incomplete_message_consumes_nothing() -> None:
    data = b"RTSP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    assert parse_message(data, 0, len(data)) == (None, 0)


def test_the_rest_after_a_message_can_be_handed_on() -> None:
    reader = MessageReader()
    reader.feed(b"RTSP/1.0 200 OK\r\n\r\n" + b"$\x00\x00\x09part")
    assert isinstance(reader.next(), Response)
    assert reader.next() is None
    assert reader.take_rest() == b"$\x00\x00\x09part"


def test_a_repr_of_headers_shows_no_values() -> None:
    assert "hunter2" not in repr(Headers([("Authorization", "Basic hunter2")]))


items = st.lists(
    st.one_of(
        st.builds(serialise_frame, st.integers(0, 255), st.binary(max_size=40)),
        st.builds(
            lambda status, body: serialise_response(status, "Fine", [("CSeq", "1")], body),
            st.integers(100, 599),
            st.binary(max_size=40),
        ),
    ),
    max_size=6,
)


@given(items, st.lists(st.integers(1, 20), max_size=60))
def test_however_the_bytes_are_cut_the_same_items_come_out(
    parts: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(parts)
    reader, seen, at = MessageReader(), [], 0
    for size in [*cuts, len(data)]:
        reader.feed(data[at : at + size])
        at += size
        seen += list(reader)
    assert seen == read_all(data)
    assert len(seen) == len(parts)


@given(st.binary(max_size=300))
def test_no_input_raises_anything_but_message_error(data: bytes) -> None:
    try:
        read_all(data)
    except MessageError:
        pass


@pytest.mark.parametrize("version", ["RTSP/1.1", "rtsp/2.0", "HTTP/1.1"])
def test_an_answer_in_another_version_is_an_answer(version: str) -> None:
    reader = MessageReader()
    reader.feed(f"{version} 200 OK\r\nCSeq: 1\r\n\r\n".encode())
    (response,) = reader
    assert isinstance(response, Response)
    assert response.status == 200


def test_a_web_server_on_the_rtsp_port_is_none() -> None:
    reader = MessageReader()
    reader.feed(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n")
    with pytest.raises(MessageError):
        reader.next()


@given(st.binary(max_size=200), st.integers(0, 255))
def test_after_garbage_the_next_frame_or_answer_or_the_end_is_found(
    data: bytes, channel: int
) -> None:
    at = next_beginning(data, 0, len(data), {channel})
    assert at == len(data) or data[at] == 0x24 or data[at:].startswith(b"RTSP/1.")
