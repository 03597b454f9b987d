# SPDX-License-Identifier: Apache-2.0
"""The RTSP relay against a real RECORD server: every picture arrives, and trouble stays small."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice, pairwise
from pathlib import Path

import pytest

from access_units import access_units
from camera_simulator.clips import Clip
from camera_simulator.footage import prepared_clip
from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import AccessUnit, Codec
from camfleet_worker.media_types.sink_state import SinkPhase, SinkState
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.relay.gop_queue import QUEUE_BYTES
from camfleet_worker.relay.name_resolver import Address, Resolver
from camfleet_worker.relay.reconnect import SHORT_IN_A_ROW
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import RelayTarget, StreamNames, relay_target
from camfleet_worker.relay.timings import DEFAULT_TIMINGS, RelayTimings
from eventually import consistently, eventually
from media_pump import MediaPump
from vms import RecordServer, RtmpServer
from vms.record_server import ReceivedFrame

PATH = "/live/gate"
BOTH = (Codec.H264, Codec.H265)


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.close()


@pytest.fixture
def vms() -> Iterator[RecordServer]:
    with RecordServer() as server:
        yield server


def target(
    url: str, login: tuple[str, str] | None = None, codecs: tuple[Codec, ...] = BOTH
) -> RelayTarget:
    names = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")
    credentials = Credentials(*login, version="1") if login else None
    return relay_target(RelayProtocol.RTSP, url, names, codecs, credentials)


def relay(
    url: str,
    resolver: Resolver,
    login: tuple[str, str] | None = None,
    queue_bytes: int = QUEUE_BYTES,
    timings: RelayTimings = DEFAULT_TIMINGS,
) -> RtspRelay:
    return RtspRelay("vms", target(url, login), resolver, queue_bytes, lambda: 0.05, timings)


def reason(sink: RtspRelay) -> Reason | None:
    error = sink.state.error
    return error.reason if error else None


def working(sink: RtspRelay) -> bool:
    return sink.state.phase is SinkPhase.WORKING


def all_received(vms: RecordServer, count: int) -> list[ReceivedFrame]:
    frames = vms.frames(PATH)
    return frames if len(frames) >= count else []


def assert_same_pictures(frames: list[ReceivedFrame], clip: Clip) -> None:
    """Pictures in order, each with its bytes and its time, from the first of the clip."""
    hashes = clip.frame_hashes
    assert [frame.sha256 for frame in frames] == [
        hashes[number % len(hashes)] for number in range(len(frames))
    ]
    steps = [round((b.pts_s - a.pts_s) * 1000) for a, b in pairwise(frames)]
    assert set(steps) == {40}


@pytest.mark.parametrize("name", ["240p-h264", "240p-h265", "720p-h264"])
def test_every_picture_arrives_with_its_bytes_and_its_time(
    name: str, vms: RecordServer, resolver: Resolver
) -> None:
    clip = prepared_clip(name)
    sink = relay(vms.url(PATH), resolver)
    with MediaPump(access_units(clip), sink, lossless=True) as pump:
        eventually(lambda: len(pump.pushed) > 120 and working(sink))
        pump.stop_feeding()
        frames = eventually(lambda: all_received(vms, len(pump.pushed)))
    assert len(frames) == len(pump.pushed) == sink.counters.access_units
    assert sink.counters.dropped_access_units == 0
    assert_same_pictures(frames, clip)
    eventually(lambda: not vms.streams()[PATH].connected)


@pytest.mark.parametrize("schemes", [("digest",), ("basic",)], ids="+".join)
def test_the_relay_logs_in_by_each_scheme(schemes: tuple[str, ...], resolver: Resolver) -> None:
    with RecordServer(username="push", password='p"@:/w', schemes=schemes) as vms:
        sink = relay(vms.url(PATH), resolver, login=("push", 'p"@:/w'))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: working(sink) and vms.streams()[PATH].frames > 25)


def test_a_relay_is_working_only_after_an_acknowledgement(
    vms: RecordServer, resolver: Resolver
) -> None:
    sink = relay(vms.url(PATH), resolver)
    assert sink.state.phase is SinkPhase.STARTING
    units = access_units(prepared_clip("240p-h264"))
    with MediaPump(islice(units, 1, None), sink) as pump:
        eventually(lambda: len(pump.pushed) > 10)
        assert sink.state.phase is SinkPhase.STARTING
        eventually(lambda: working(sink))
        # What its TCP has acknowledged, it may still have to count.
        eventually(lambda: vms.frames(PATH))
        assert vms.frames(PATH)[0].key


def test_a_restarted_vms_gets_the_stream_again_from_a_key_frame(
    vms: RecordServer, resolver: Resolver
) -> None:
    sink = relay(vms.url(PATH), resolver)
    with MediaPump(access_units(prepared_clip("240p-h264")), sink) as pump:
        eventually(lambda: working(sink))
        vms.stop()
        eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE)
        eventually(lambda: sink.counters.dropped_access_units > 25)
        vms.start()
        eventually(lambda: working(sink), within_s=40)
        eventually(lambda: len(vms.frames(PATH)) > 50)
        pump.stop_feeding()
    assert sink.counters.connects == 2
    frames = vms.frames(PATH)
    assert frames[0].key
    sent = [frame.sha256 for frame in frames]
    hashes = prepared_clip("240p-h264").frame_hashes
    start = hashes.index(sent[0])
    assert sent == [hashes[(start + number) % len(hashes)] for number in range(len(sent))]


class CountingVms:
    """A listener that counts connections and logins, and answers 401 to everything: no real server
    tells how often it was asked."""

    def __init__(self, challenge: str = 'Digest realm="vms", nonce="abc"') -> None:
        self.connections = 0
        self.logins = 0
        self._challenge = challenge
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live/{{camera}}"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> CountingVms:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self.connections += 1
                with peer:
                    self._refuse(peer)

    def _refuse(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := peer.recv(65_536):
                self.logins += b"Authorization:" in request
                cseq = request.split(b"CSeq: ")[1].split(b"\r\n")[0].decode()
                peer.sendall(
                    f"RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n"
                    f"WWW-Authenticate: {self._challenge}\r\n\r\n".encode()
                )


def test_wrong_credentials_are_tried_once_and_not_again(resolver: Resolver) -> None:
    with CountingVms() as vms:
        sink = relay(vms.url, resolver, login=("push", "wrong"))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_REJECTED)
            assert sink.state.error is not None
            assert "wrong" not in sink.state.error.message
            consistently(lambda: (vms.connections, vms.logins) == (1, 1), during_s=2)


def test_a_vms_that_requires_a_login_we_do_not_have_is_reported(
    resolver: Resolver,
) -> None:
    with CountingVms() as vms:
        sink = relay(vms.url, resolver)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_CREDENTIALS_MISSING)
            consistently(lambda: vms.connections == 1, during_s=1)


def test_wrong_credentials_are_refused_by_the_real_server_too(resolver: Resolver) -> None:
    with RecordServer(username="push", password="right") as vms:
        sink = relay(vms.url(PATH), resolver, login=("push", "wrong"))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_REJECTED)


def test_a_changed_format_is_announced_again_and_no_picture_is_lost(
    vms: RecordServer, resolver: Resolver
) -> None:
    small, large = prepared_clip("240p-h264"), prepared_clip("360p-h265")
    sink = relay(vms.url(PATH), resolver)
    with MediaPump(access_units(small), sink, lossless=True) as pump:
        eventually(lambda: working(sink) and len(pump.pushed) > 60)
        pump.stop_feeding()
        first = eventually(lambda: all_received(vms, len(pump.pushed)))
        changed = access_units(large, first_pts=9_000_000)
        pump.feed(islice(changed, 20))  # less than the GOP that is kept while it announces
        eventually(lambda: all_received(vms, len(first) + 20))
        assert vms.streams()[PATH].codec == "h265"
        pump.feed(changed)
        eventually(lambda: len(pump.pushed) > len(first) + 60)
        pump.stop_feeding()
        second = eventually(
            lambda: [
                frame
                for frame in vms.frames(PATH)
                if frame.publisher != first[0].publisher
                and len(vms.frames(PATH)) >= len(pump.pushed)
            ]
        )
    assert_same_pictures(first, small)
    assert_same_pictures(second, large)
    assert sink.counters.dropped_access_units == 0


def test_a_codec_that_the_vms_does_not_list_is_reported_and_never_sent(
    vms: RecordServer, resolver: Resolver
) -> None:
    sink = RtspRelay("vms", target(vms.url(PATH), codecs=(Codec.H264,)), resolver)
    with MediaPump(access_units(prepared_clip("240p-h265")), sink) as pump:
        eventually(lambda: reason(sink) is Reason.VMS_CODEC_UNSUPPORTED)
        eventually(lambda: len(pump.pushed) > 60)
        assert vms.streams() == {}
        pump.feed(access_units(prepared_clip("240p-h264"), first_pts=9_000_000))
        eventually(lambda: working(sink))


class GrantingVms:
    """Grants every RECORD, keeps what it gets, and reads only while awake: a VMS whose disk is
    stuck, or one that hangs up in the middle. No real server does either on demand."""

    def __init__(self, awake: bool = True, sip_bytes: int = 0) -> None:
        """`sip_bytes`: read no more than that, twenty times a second; 0 for all there is."""
        self._sip_bytes = sip_bytes
        self.awake = threading.Event()
        if awake:
            self.awake.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        # As over Ethernet: into that window no segment of loopback's would fit.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live/{{camera}}"
        self.received: list[bytearray] = []
        """Of each connection."""
        self._peer: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> GrantingVms:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.awake.set()
        self._sip_bytes = 0
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def hang_up(self, last_words: bytes = b"") -> None:
        """End the present connection."""
        assert self._peer is not None
        self._peer.sendall(last_words)
        self._peer.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, contextlib.suppress(OSError):
                    self._peer = peer
                    self._serve(peer)

    def _serve(self, peer: socket.socket) -> None:
        for _step in ("ANNOUNCE", "SETUP", "RECORD"):
            request = peer.recv(65_536)
            cseq = request.split(b"CSeq: ")[1].split(b"\r\n")[0].decode()
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 1;timeout=60\r\n\r\n"
            peer.sendall(answer.encode())
        self.awake.wait()
        self.received.append(bytearray())
        while data := peer.recv(self._sip_bytes or 65_536):
            self.received[-1] += data
            if self._sip_bytes:
                time.sleep(0.05)


def rtp_packets(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Sequence number, SSRC and payload of each video packet."""
    at = 0
    while at + 4 <= len(stream) and stream[at] == 0x24:
        size = int.from_bytes(stream[at + 2 : at + 4], "big")
        packet = stream[at + 4 : at + 4 + size]
        if stream[at + 1] == 0 and len(packet) == size:
            number, ssrc = struct.unpack("!2xH4xI", packet[:12])
            yield number, ssrc, packet[12:]
        at += 4 + size


def test_a_slow_vms_loses_whole_gops_and_the_recording_loses_nothing(
    resolver: Resolver, tmp_path: Path
) -> None:
    volume = VolumeWriter(VolumeSettings(tmp_path))
    volume.start()
    record = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d"), volume)
    with GrantingVms(awake=False) as vms:
        sink = relay(vms.url, resolver, queue_bytes=200_000)
        # 2 Mbit/s at ten times its pace against a window of a few kilobytes.
        clip = prepared_clip("720p-h264")
        with MediaPump(access_units(clip), sink, record, per_second=250) as pump:
            eventually(lambda: reason(sink) is Reason.VMS_TOO_SLOW)
            eventually(lambda: sink.counters.dropped_gops >= 3)
            vms.awake.set()
            dropped = sink.counters.dropped_access_units
            sent = sink.counters.access_units
            eventually(lambda: sink.counters.access_units > sent + 100)
            pump.stop_feeding()
            eventually(
                lambda: (
                    sink.counters.access_units + sink.counters.dropped_access_units
                    == len(pump.pushed)
                )
            )
    assert volume.close(within_s=10)
    assert dropped > 0
    assert record.counters.access_units == len(pump.pushed)
    assert record.counters.dropped_access_units == 0

    packets = list(rtp_packets(bytes(vms.received[0])))
    numbers = [number for number, _, _ in packets]
    assert all((b - a) & 0xFFFF == 1 for a, b in pairwise(numbers))
    assert len({ssrc for _, ssrc, _ in packets}) == 1


def test_a_vms_that_reads_little_but_steadily_keeps_its_connection(resolver: Resolver) -> None:
    with GrantingVms(sip_bytes=1_000) as vms:
        timings = RelayTimings(progress_s=0.5)
        sink = relay(vms.url, resolver, queue_bytes=200_000, timings=timings)
        with MediaPump(access_units(prepared_clip("720p-h264")), sink):
            eventually(lambda: len(vms.received) > 0)
            eventually(lambda: len(vms.received[0]) > 80_000 or len(vms.received) > 1)
            assert sink.counters.connects == 1


def test_a_vms_that_reads_no_more_is_dead_after_a_while(resolver: Resolver) -> None:
    with GrantingVms(awake=False) as vms:
        sink = relay(vms.url, resolver, timings=RelayTimings(progress_s=1.0))
        with MediaPump(access_units(prepared_clip("720p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE)
            assert sink.state.error is not None
            assert "takes no more data" in sink.state.error.detail


def test_a_vms_whose_sessions_end_again_and_again_is_not_working_between_them(
    resolver: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    with GrantingVms() as vms:
        sink = relay(vms.url, resolver)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            for session in range(1, SHORT_IN_A_ROW + 1):
                eventually(lambda: working(sink), within_s=20)
                assert sink.counters.connects == session
                vms.hang_up()
                eventually(lambda: not working(sink))
            connects = sink.counters.connects
            eventually(lambda: sink.counters.connects > connects, within_s=20)
            sent = sink.counters.access_units
            eventually(lambda: sink.counters.access_units > sent + 50)
            assert reason(sink) is Reason.VMS_UNREACHABLE
    assert sink.counters.short_sessions == SHORT_IN_A_ROW
    assert [record.message for record in caplog.records if "again" in record.message] == [
        "sessions at the monitoring system end within a minute, again and again"
    ]


class DeafVms(GrantingVms):
    """Grants RECORD on every connection and never reads on, as a VMS whose process hangs."""

    def __init__(self) -> None:
        super().__init__(awake=False)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._grant, args=(peer,), daemon=True).start()

    def _grant(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError, IndexError):
            self._serve(peer)


def test_a_vms_that_reads_nothing_again_is_not_said_to_be_slow(resolver: Resolver) -> None:
    """What was dropped while a session hung stands for half a minute; the session that follows has
    taken nothing slowly yet."""
    seen: set[Reason | None] = set()

    def third_session() -> bool:
        if sink.counters.connects == 2:
            seen.add(reason(sink))
        return sink.counters.connects > 2

    with DeafVms() as vms:
        timings = RelayTimings(progress_s=1.5)
        sink = relay(vms.url, resolver, queue_bytes=100_000, timings=timings)
        with MediaPump(access_units(prepared_clip("720p-h264")), sink):
            eventually(third_session, within_s=40, every_s=0.02)
        assert sink.counters.dropped_access_units > 0
    assert seen == {Reason.VMS_UNREACHABLE}


def test_a_vms_that_leaves_in_the_kernel_what_a_silent_camera_sent_last_is_dead_too(
    resolver: Resolver,
) -> None:
    pictures = islice(access_units(prepared_clip("240p-h264")), 100)
    with GrantingVms(awake=False) as vms:
        sink = relay(vms.url, resolver, timings=RelayTimings(progress_s=1.0))
        with MediaPump(pictures, sink, per_second=250):
            eventually(lambda: working(sink))
            error = eventually(lambda: sink.state.error)
    assert "takes no more data" in error.detail


def until_us(sink: RtspRelay) -> int:
    return 0 if sink.delivery_log.under_way is None else sink.delivery_log.under_way.until_us


def arrived_us(unit: AccessUnit) -> int:
    return int(unit.arrived_at * 1_000_000)


def test_access_units_that_a_slow_vms_has_not_acknowledged_do_not_count(resolver: Resolver) -> None:
    with GrantingVms(awake=False) as vms:
        sink = relay(vms.url, resolver)
        with MediaPump(access_units(prepared_clip("720p-h264")), sink) as pump:
            eventually(lambda: sink.counters.access_units > 0)
            consistently(lambda: until_us(sink) == 0, during_s=1.0)
            vms.awake.set()
            pump.stop_feeding()
            eventually(lambda: until_us(sink) == arrived_us(pump.pushed[-1]))
        keys = [arrived_us(unit) for unit in pump.pushed if unit.key]
        assert list(sink.delivery_log.key_frames) == keys
        assert not sink.delivery_log.ended


def test_a_stream_that_comes_back_in_the_middle_of_a_gop_waits_for_the_key_frame(
    resolver: Resolver,
) -> None:
    stream = access_units(prepared_clip("720p-h264"))
    with GrantingVms() as vms:
        sink = relay(vms.url, resolver)
        with MediaPump(islice(stream, 10), sink, per_second=50) as pump:
            eventually(lambda: working(sink))
            eventually(lambda: len(pump.pushed) == 10)
            vms.hang_up()
            eventually(lambda: not working(sink))
            pump.feed(islice(stream, 20))
            eventually(lambda: sink.counters.connects == 2)
            eventually(lambda: len(pump.pushed) == 30)
            pump.feed(islice(stream, 30))
            eventually(lambda: sink.counters.access_units > 15)
        first_of_each = [next(rtp_packets(bytes(received))) for received in vms.received]
    # STAP-A: the parameter sets that stand before a key frame (RFC 6184 section 5.7.1).
    assert [payload[0] & 0x1F for _, _, payload in first_of_each] == [24, 24]


def test_a_vms_that_takes_connections_but_never_answers_is_unreachable(
    resolver: Resolver,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/{{camera}}"
        sink = relay(url, resolver, timings=RelayTimings(answer_s=0.5))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE)


def complaint_while_two_keepalives_are_due(sink: RtspRelay) -> str | None:
    """Of 70 s by the relay's clock, in a session of 60 s: a picture a second, and the peer has a
    moment for each."""
    pictures = access_units(prepared_clip("240p-h264"))
    now = time.monotonic()

    def tick(seconds: float) -> SinkState:
        nonlocal now
        now += seconds
        sink.push(next(pictures))
        sink.tick(now)
        time.sleep(0.02)
        return sink.state

    eventually(lambda: tick(0.02).phase is SinkPhase.WORKING)
    errors = (tick(1.0).error for _ in range(70))
    complaint = next((error.message for error in errors if error is not None), None)
    sink.close()
    return complaint


def test_a_session_whose_keepalives_are_answered_goes_on(
    vms: RecordServer, resolver: Resolver
) -> None:
    assert complaint_while_two_keepalives_are_due(relay(vms.url(PATH), resolver)) is None


def test_a_vms_that_answers_no_keepalive_is_unreachable(resolver: Resolver) -> None:
    with GrantingVms() as vms:
        complaint = complaint_while_two_keepalives_are_due(relay(vms.url, resolver))
    assert complaint is not None
    assert "answers no keepalive" in complaint


def test_an_answer_of_a_vms_before_it_closes_is_reported(resolver: Resolver) -> None:
    with GrantingVms() as vms:
        sink = relay(vms.url, resolver)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: working(sink))
            vms.hang_up(b"RTSP/1.0 454 Session Not Found\r\nCSeq: 0\r\n\r\n")
            error = eventually(lambda: sink.state.error)
    assert "has forgotten the session" in error.message


class RefusingVms(CountingVms):
    """Answers everything with this status and these headers."""

    def __init__(self, status: int, *headers: str) -> None:
        super().__init__()
        self._answer = (f"RTSP/1.0 {status} X", "CSeq: 1", *headers)

    def _refuse(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while peer.recv(65_536):
                peer.sendall("\r\n".join((*self._answer, "", "")).encode())


@pytest.mark.parametrize(
    ("status", "headers", "detail"),
    [
        (404, (), "answered ANNOUNCE with 404: it knows no such path"),
        (453, (), "answered ANNOUNCE with 453: it has no room for the stream"),
        (503, (), "answered ANNOUNCE with 503: it is overloaded or still starting"),
        (406, (), "answered ANNOUNCE with 406"),
        (
            302,
            ("Location: rtsp://192.0.2.7:8554/live/gate",),
            "answered ANNOUNCE with 302: it redirects to 192.0.2.7:8554, which is not followed",
        ),
        (
            301,
            (),
            "answered ANNOUNCE with 301: it redirects to nowhere, which is not followed",
        ),
    ],
)
def test_a_refusal_of_the_stream_says_what_it_means(
    status: int, headers: tuple[str, ...], detail: str, resolver: Resolver
) -> None:
    with RefusingVms(status, *headers) as vms:
        sink = relay(vms.url, resolver)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            error = eventually(lambda: sink.state.error)
    assert error.reason is Reason.VMS_REJECTED
    assert error.detail.endswith(detail)


def test_a_vms_that_ends_the_stream_is_not_said_to_have_refused_a_connect(
    resolver: Resolver,
) -> None:
    with GrantingVms() as vms:
        sink = relay(vms.url, resolver)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: working(sink))
            vms.hang_up()
            error = eventually(lambda: sink.state.error)
    assert "closed the connection on which it took the stream" in error.detail


def test_a_web_server_is_another_protocol(resolver: Resolver) -> None:
    with RtmpServer() as vms:
        sink = relay(f"rtsp://127.0.0.1:{vms.http_port}/live/{{camera}}", resolver)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            error = eventually(lambda: sink.state.error)
    assert error.reason is Reason.VMS_WRONG_PROTOCOL
    assert "does not speak RTSP. Correct protocol and port" in error.message


class NamesOf(Resolver):
    """A name service that answers at once with these addresses."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self._addresses = addresses

    def resolve(self, host: str, port: int) -> Future[list[Address]]:
        answer: Future[list[Address]] = Future()
        answer.set_result([Address(socket.AF_INET, address) for address in self._addresses])
        return answer


def test_addresses_that_fail_at_once_or_later_leave_the_next_to_be_tried(
    vms: RecordServer,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = listener.getsockname()
    answering = ("127.0.0.1", int(vms.url(PATH).split(":")[2].split("/")[0]))
    sink = relay(vms.url(PATH), NamesOf(("255.255.255.255", 554), refusing, answering))
    with MediaPump(access_units(prepared_clip("240p-h264")), sink):
        eventually(lambda: working(sink))
        assert sink.counters.connects == 1


def test_a_name_that_does_not_resolve_is_reported(resolver: Resolver) -> None:
    sink = relay("rtsp://vms.invalid/{camera}", resolver)
    with MediaPump(access_units(prepared_clip("240p-h264")), sink):
        eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE, within_s=30)
        assert sink.state.error is not None
        assert "name" in sink.state.error.detail
