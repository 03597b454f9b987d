# SPDX-License-Identifier: Apache-2.0
"""One RTSP connection that publishes, with the peer's words and the time in the test's hands."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.relay.rtsp.publisher import RtspPublisher
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.relay.timings import RelayTimings
from camfleet_worker.rtsp.message import MessageReader, Request, Response

H264 = VideoFormat(Codec.H264, (b"\x67\x42\xc0\x0d\x01", b"\x68\xce"), 320, 240)
TARGET = RelayTarget(RelayProtocol.RTSP, "vms", 554, "/live/gate", frozenset((Codec.H264,)))
BEGIN = 1_000.0


class Peer:
    """The monitoring system's end of the connection; its sessions live for two seconds."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._reader = MessageReader()

    def send(self, message: bytes) -> None:
        self._end.sendall(message)

    def receive(self) -> Request | Response:
        while (item := self._reader.next()) is None:
            self._reader.feed(self._end.recv(65_536))
        assert isinstance(item, Request | Response)
        return item

    def answer(self, status: int = 200) -> Request:
        request = self.receive()
        assert isinstance(request, Request)
        head = f"RTSP/1.0 {status} -\r\nCSeq: {request.cseq}\r\nSession: 7;timeout=2\r\n\r\n"
        self.send(head.encode())
        return request


@pytest.fixture
def ends() -> Iterator[tuple[RtspPublisher, Peer]]:
    """A publisher to which RECORD was granted at BEGIN, and its peer."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    publisher = RtspPublisher(ours, TARGET, H264, None, RelayTimings(answer_s=10.0), BEGIN)
    peer = Peer(theirs)
    publisher.advance(BEGIN)
    asked = []
    for _ in range(3):
        asked.append(peer.answer().method)
        publisher.advance(BEGIN)
    assert asked == ["ANNOUNCE", "SETUP", "RECORD"]
    assert publisher.recording
    yield publisher, peer
    theirs.close()
    publisher.close()


def send_keepalive(publisher: RtspPublisher, now: float) -> None:
    publisher.append_keepalive(now)
    publisher.seal()
    assert publisher.flush(now)


def test_a_peer_has_its_time_to_answer_a_keepalive_however_short_its_session(
    ends: tuple[RtspPublisher, Peer],
) -> None:
    publisher, _ = ends
    send_keepalive(publisher, BEGIN + 1)
    send_keepalive(publisher, BEGIN + 5)
    with pytest.raises(IngestError, match="answers no keepalive") as refused:
        send_keepalive(publisher, BEGIN + 11)
    assert refused.value.reason is Reason.VMS_UNREACHABLE


def test_whatever_a_peer_answers_to_a_keepalive_shows_that_it_lives(
    ends: tuple[RtspPublisher, Peer],
) -> None:
    publisher, peer = ends
    send_keepalive(publisher, BEGIN + 1)
    assert peer.answer(status=500).method == "OPTIONS"
    publisher.advance(BEGIN + 2)
    send_keepalive(publisher, BEGIN + 15)


def test_a_server_that_asks_whether_we_live_is_answered(
    ends: tuple[RtspPublisher, Peer],
) -> None:
    publisher, peer = ends
    peer.send(b"GET_PARAMETER * RTSP/1.0\r\nCSeq: 41\r\n\r\n")
    publisher.advance(BEGIN + 2)
    assert publisher.flush(BEGIN + 2)
    reply = peer.receive()
    assert isinstance(reply, Response)
    assert (reply.status, reply.cseq) == (200, 41)


def test_a_session_that_was_opened_is_torn_down(ends: tuple[RtspPublisher, Peer]) -> None:
    publisher, peer = ends
    publisher.close()
    goodbye = peer.receive()
    assert isinstance(goodbye, Request)
    assert (goodbye.method, goodbye.headers.get("session")) == ("TEARDOWN", "7")
