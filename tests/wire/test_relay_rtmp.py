# SPDX-License-Identifier: Apache-2.0
"""The RTMP relay against nginx with its RTMP module, watched by FFmpeg as a player."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest

from access_units import access_units
from audio_units import audio_format, prepared_audio
from camera_simulator.footage import prepared_clip
from camera_simulator.settings import Audio
from camfleet_api.cause import Cause
from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.skipped import SKIPPED, Part
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import AccessUnit, Codec
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.relay.rtmp.messages import ChunkReader, as_command, command, message
from camfleet_worker.relay.rtmp.relay import RtmpRelay
from camfleet_worker.relay.target import StreamNames, relay_target
from camfleet_worker.relay.timings import DEFAULT_TIMINGS, RelayTimings
from eventually import eventually
from media_pump import MediaPump
from vms import RtmpServer
from vms.authority import Authority


@pytest.fixture
def vms() -> Iterator[RtmpServer]:
    with RtmpServer() as server:
        yield server


def relay(
    url: str,
    codecs: tuple[Codec, ...] = (Codec.H264,),
    login: tuple[str, str] | None = None,
    queue_bytes: int = 1 << 20,
    timings: RelayTimings = DEFAULT_TIMINGS,
) -> RtmpRelay:
    names = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")
    credentials = Credentials(*login, version="1") if login else None
    protocol = RelayProtocol(url.partition(":")[0])
    target = relay_target(protocol, url, names, codecs, credentials)
    return RtmpRelay("vms", target, queue_bytes, lambda: 0.05, timings)


def reason(sink: RtmpRelay) -> Reason | None:
    error = sink.state.error
    return error.reason if error else None


def working(sink: RtmpRelay) -> bool:
    return sink.state.phase is SinkPhase.WORKING


def watched(url: str, count: int) -> list[tuple[bytes, float]]:
    """What a player gets: bytes and time of each picture."""
    with av.open(url, timeout=15) as player:
        packets = (packet for packet in player.demux(video=0) if packet.size)
        return [
            (bytes(packet), float((packet.pts or 0) * (packet.time_base or 0)))
            for packet in islice(packets, count)
        ]


@pytest.mark.parametrize("name", ["240p-h264", "720p-h264"])
def test_a_player_sees_every_picture_with_its_bytes_and_its_time(
    name: str, vms: RtmpServer
) -> None:
    clip = prepared_clip(name)
    sink = relay(vms.url("{camera}"))
    with MediaPump(access_units(clip), sink, lossless=True) as pump:
        eventually(lambda: "gate" in vms.streams() and working(sink))
        seen = watched(vms.url("gate"), 150)
    sent = [unit.data for unit in pump.pushed]
    start = sent.index(seen[0][0])
    assert [data for data, _ in seen] == sent[start : start + 150]
    steps = {round((b - a) * 1000) for (_, a), (_, b) in pairwise(seen)}
    assert steps == {40}
    assert sink.counters.dropped_access_units == 0


def test_access_units_that_the_server_has_acknowledged_count(vms: RtmpServer) -> None:
    sink = relay(vms.url("{camera}"))

    def until_us() -> int:
        return 0 if sink.delivery_log.under_way is None else sink.delivery_log.under_way.until_us

    with MediaPump(access_units(prepared_clip("240p-h264")), sink) as pump:
        eventually(lambda: until_us() > pump.pushed[0].arrived_at * 1e6 + 2_000_000)
        vms.stop()
        eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE)
        gone = until_us()
        assert [failure.cause for failure in sink.delivery_log.failures] == [Cause.VMS]
        vms.start()
        eventually(lambda: until_us() > gone, within_s=20)


def test_the_server_knows_codec_and_size_and_forgets_the_stream_when_closed(
    vms: RtmpServer,
) -> None:
    sink = relay(vms.url("{camera}"))
    with MediaPump(access_units(prepared_clip("360p-h264")), sink):
        eventually(lambda: vms.streams()["gate"].width == 640)
        assert vms.streams()["gate"].video_codec == "H264"
    eventually(lambda: not vms.streams().get("gate") or not vms.streams()["gate"].publishing)


def test_h265_is_not_sent_where_it_is_not_listed(vms: RtmpServer) -> None:
    sink = relay(vms.url("{camera}"))
    with MediaPump(access_units(prepared_clip("240p-h265")), sink) as pump:
        eventually(lambda: reason(sink) is Reason.VMS_CODEC_UNSUPPORTED)
        eventually(lambda: len(pump.pushed) > 60)
        assert vms.streams() == {}


def test_h265_is_sent_as_enhanced_rtmp_where_it_is_listed(vms: RtmpServer) -> None:
    clip = prepared_clip("240p-h265")
    sink = relay(vms.url("{camera}"), codecs=(Codec.H264, Codec.H265))
    with MediaPump(access_units(clip), sink) as pump:
        eventually(lambda: working(sink) and vms.streams()["gate"].bytes > 20_000)
        assert len(pump.pushed) > 0


def test_a_restarted_vms_gets_the_stream_again(vms: RtmpServer) -> None:
    sink = relay(vms.url("{camera}"))
    with MediaPump(access_units(prepared_clip("240p-h264")), sink):
        eventually(lambda: working(sink))
        vms.stop()
        eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE)
        vms.start()
        eventually(lambda: working(sink) and vms.streams()["gate"].bytes > 20_000, within_s=40)
        assert sink.counters.connects == 2


def test_a_changed_format_goes_on_in_the_same_session(vms: RtmpServer) -> None:
    sink = relay(vms.url("{camera}"))
    with MediaPump(access_units(prepared_clip("240p-h264")), sink) as pump:
        eventually(lambda: vms.streams()["gate"].width == 320)
        pump.feed(access_units(prepared_clip("360p-h264"), first_pts=9_000_000))
        eventually(lambda: vms.streams()["gate"].width == 640)
        assert working(sink)
        assert sink.counters.connects == 1


def test_a_frozen_vms_loses_whole_gops_is_given_up_and_comes_back(vms: RtmpServer) -> None:
    timings = RelayTimings(answer_s=2.0, progress_s=2.0)
    sink = relay(vms.url("{camera}"), queue_bytes=2_000_000, timings=timings)
    # Large access units: what the kernel buffers on the way is full soon, also on a busy machine.
    with MediaPump(access_units(prepared_clip("720p-h264")), sink, per_second=1000):
        eventually(lambda: working(sink))
        workers = nginx_workers(vms)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: sink.counters.dropped_gops > 3, within_s=40)
            eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE, within_s=40)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        sent = sink.counters.access_units
        eventually(lambda: sink.counters.access_units > sent + 100, within_s=40)


def nginx_workers(vms: RtmpServer) -> list[int]:
    assert vms._process is not None
    pid = vms._process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]


def test_a_vms_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sink = relay(f"rtmp://127.0.0.1:{port}/live/{{camera}}")
    with MediaPump(access_units(prepared_clip("240p-h264")), sink):
        eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE)


def test_a_vms_that_takes_connections_but_never_answers_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtmp://127.0.0.1:{listener.getsockname()[1]}/live/{{camera}}"
        sink = relay(url, timings=RelayTimings(answer_s=0.5))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE)


class ScriptedVms:
    """Shakes hands, notes what is published under which name and answers as told: nginx needs a
    second server to decide about logins, and knows few codes."""

    def __init__(self, *codes: str, at_fc_publish: bytes = b"") -> None:
        """`codes`: of the answers to publish, the last one again and again; a code that ends in
        Start grants it. `at_fc_publish`: what is sent when FCPublish comes."""
        self.published: list[str] = []
        self.media_octets = 0
        self._codes = codes
        self._at_fc_publish = at_fc_publish
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtmp://127.0.0.1:{self._listener.getsockname()[1]}/live/{{camera}}"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ScriptedVms:
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
                with peer, contextlib.suppress(OSError):
                    self._serve(peer)

    def _took_media(self, peer: socket.socket) -> None:
        """Called for each message of media."""

    def _serve(self, peer: socket.socket) -> None:
        hello = b""
        while len(hello) < 1537:
            hello += peer.recv(1537 - len(hello))
        peer.sendall(hello + hello[1:])
        echoed = b""
        while len(echoed) < 1536:
            echoed += peer.recv(1536 - len(echoed))
        assert echoed == hello[1:]
        reader = ChunkReader()
        while data := peer.recv(65_536):
            for item in reader.feed(data):
                heard = as_command(item)
                if heard is None:
                    self.media_octets += len(item.body) if item.kind == 9 else 0
                    self._took_media(peer)
                    continue
                if heard.name == "connect":
                    peer.sendall(command("_result", 1, None, {"code": "Connected"}))
                elif heard.name == "createStream":
                    peer.sendall(command("_result", 4, None, 1.0))
                elif heard.name == "FCPublish":
                    peer.sendall(self._at_fc_publish)
                elif heard.name == "publish":
                    self.published.append(str(heard.values[1]))
                    code = self._codes[min(len(self.published), len(self._codes)) - 1]
                    level = "status" if code.endswith("Start") else "error"
                    peer.sendall(command("onStatus", 0, None, {"level": level, "code": code}))


class EndingTlsVms(ScriptedVms):
    """One that takes pictures over TLS and then neither reads nor closes, or resets."""

    def __init__(self, certificate: Path, *, resets: bool) -> None:
        super().__init__("NetStream.Publish.Start")
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.url = self.url.replace("rtmp:", "rtmps:")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._resets = resets
        self._over = threading.Event()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        super().__exit__()

    def _serve(self, peer: socket.socket) -> None:
        with self._tls.wrap_socket(peer, server_side=True) as encrypted:
            super()._serve(encrypted)

    def _took_media(self, peer: socket.socket) -> None:
        if self.media_octets > 1000 and self._resets:
            linger = struct.pack("ii", 1, 0)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            socket.socket(fileno=peer.detach()).close()
        if self.media_octets > 1000:
            self._over.wait()


@pytest.mark.parametrize(
    ("resets", "what"),
    [(False, "takes no more data"), (True, "took the stream; its log may say why")],
)
def test_over_tls_a_vms_that_hangs_is_not_said_to_disagree_on_tls(
    tmp_path: Path, resets: bool, what: str
) -> None:
    authority, certificate = Authority(), tmp_path / "vms.pem"
    certificate.write_text(authority.issue())
    with EndingTlsVms(certificate, resets=resets) as vms:
        where = relay_target(
            RelayProtocol.RTMPS,
            vms.url,
            StreamNames("phu-yen", "s1", "gate", "0a1b2c3d"),
            [Codec.H264],
            None,
            authority.pem,
        )
        timings = RelayTimings(progress_s=1.0)
        sink = RtmpRelay("vms", where, jitter=lambda: 0.05, timings=timings)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_UNREACHABLE, within_s=20)
            assert sink.state.error is not None
            assert sink.state.error.detail.endswith(what)


@pytest.mark.parametrize("protocol", ["rtmp", "rtmps"])
def test_a_vms_that_hangs_before_it_grants_the_stream_takes_connections(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{protocol}://127.0.0.1:{listener.getsockname()[1]}/live/{{camera}}"
        sink = relay(url, timings=RelayTimings(answer_s=0.5))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            error = eventually(lambda: sink.state.error)
    assert error.detail.endswith("takes connections but does not answer")


def test_a_server_of_a_protocol_of_text_is_said_to_speak_no_rtmp() -> None:
    """Its answer is shorter than a handshake of RTMP, and it closes behind it."""
    with RtmpServer() as vms:
        sink = relay(f"rtmp://127.0.0.1:{vms.http_port}/live/{{camera}}")
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            error = eventually(lambda: sink.state.error)
    assert error.reason is Reason.VMS_WRONG_PROTOCOL
    assert "does not speak RTMP. Correct protocol and port" in error.message


def test_a_refused_login_is_tried_once_and_stands_in_no_message() -> None:
    with ScriptedVms("NetStream.Publish.Unauthorized") as vms:
        sink = relay(vms.url, login=("push", "p/&w"))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink) as pump:
            eventually(lambda: reason(sink) is Reason.VMS_REJECTED)
            pushed = len(pump.pushed)
            eventually(lambda: len(pump.pushed) > pushed + 100)
            assert vms.published == ["gate?user=push&pass=p%2F%26w"]
            assert sink.state.error is not None
            assert "Unauthorized" in sink.state.error.message
            assert "p/&w" not in sink.state.error.message + repr(sink._target)
            assert "p%2F" not in sink.state.error.message


def test_a_name_that_a_dead_connection_still_holds_is_asked_for_again_within_seconds() -> None:
    codes = ("NetStream.Publish.BadName",) * 3 + ("NetStream.Publish.Start",)
    with ScriptedVms(*codes) as vms:
        sink = relay(vms.url, login=("push", "p/&w"))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: reason(sink) is Reason.VMS_NAME_IN_USE)
            eventually(lambda: working(sink) and vms.media_octets > 1000, within_s=30)
    assert len(vms.published) == 4


_A_DATE = b"\x0b" + bytes(10)


@pytest.mark.parametrize(
    "sent",
    [
        command("_error", 3, None, {"level": "error", "code": "NetConnection.Call.Failed"}),
        command("_error", 2, None),
        message(20, b"\x02\x00\x0bonFCPublish"),
        message(20, b"\x02\x00\x0bonFCPublish" + bytes(9) + _A_DATE),
        message(20, _A_DATE),
        message(17, b"\x00\x02\x00\x0bonFCPublish" + bytes(9)),
        message(17, b"\x11\xff"),
    ],
)
def test_what_a_server_sends_unasked_is_passed_over(sent: bytes) -> None:
    with ScriptedVms("NetStream.Publish.Start", at_fc_publish=sent) as vms:
        sink = relay(vms.url)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: working(sink) and vms.media_octets > 1000)
    assert len(vms.published) == 1


def test_what_is_passed_over_is_counted_by_kind_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="camfleet_worker.base.skipped")
    counted = dict(SKIPPED.counts)
    sent = (
        command("onCuePoint", 0, None)
        + message(20, b"\x02\x00\x0bonFCPublish" + bytes(9) + b"\x11\xff")
        + message(99, b"xyz")
        + command("onFCPublish", 0, None)
    )
    with ScriptedVms("NetStream.Publish.Start", at_fc_publish=sent) as vms:
        sink = relay(vms.url)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: working(sink) and vms.media_octets > 1000)
    lines = {vars(one)["what"]: vars(one)["cause"] for one in caplog.records}
    assert lines == {
        "rtmp-command": "onCuePoint",
        "amf-value": "onFCPublish: \x11\\xff",
        "rtmp-message": "kind 99: xyz",
    }
    assert {part: SKIPPED.counts[part] - counted[part] for part in map(Part, lines)} == {
        Part.RTMP_COMMAND: 1,
        Part.AMF_VALUE: 1,
        Part.RTMP_MESSAGE: 1,
    }


def with_audio(sink: RtmpRelay, from_s: float = 0.0, codec: Audio = "aac") -> Iterator[AccessUnit]:
    """A camera's pictures; its audio reaches the sink behind those it is heard with."""
    audio_units = prepared_audio(first_pts=int(from_s * 90_000), audio=audio_format(codec))
    audio = next(audio_units)
    for unit in access_units(prepared_clip("240p-h264")):
        yield unit
        while audio.pts_90k <= unit.pts_90k:
            sink.push_audio(audio)
            audio = next(audio_units)


def heard_and_seen(url: str, count: int) -> tuple[list[tuple[bytes, float]], list[float]]:
    """What a player gets: bytes and time of each audio unit, times of pictures."""
    audio_units: list[tuple[bytes, float]] = []
    pictures: list[float] = []
    with av.open(url, "r", timeout=15) as player:
        for packet in player.demux():
            at = float((packet.pts or 0) * (packet.time_base or 0))
            if packet.stream.type == "video":
                pictures.append(at)
            elif packet.size:
                audio_units.append((bytes(packet), at))
            if len(audio_units) == count:
                break
        assert player.streams.audio[0].codec_context.extradata == audio_format().config
    return audio_units, pictures


def test_a_player_decodes_every_audio_unit_beside_its_picture(vms: RtmpServer) -> None:
    sink = relay(vms.url("{camera}"))
    with MediaPump(with_audio(sink), sink, per_second=50):
        eventually(lambda: "gate" in vms.streams() and working(sink))
        heard, pictures = heard_and_seen(vms.url("gate"), 60)
    tone = [unit.data for unit in islice(prepared_audio(), 32)]
    begin = tone.index(heard[0][0])
    assert [data for data, _ in heard] == [tone[(begin + n) % 32] for n in range(60)]
    assert {round((b - a) * 1000) for (_, a), (_, b) in pairwise(heard)} == {64}
    assert {round((b - a) * 1000) for a, b in pairwise(pictures)} == {40}
    assert abs(heard[-1][1] - pictures[-1]) < 0.5
    assert sink.counters.audio_units >= 60


def test_audio_that_begins_late_is_sent_on_the_same_connection(vms: RtmpServer) -> None:
    sink = relay(vms.url("{camera}"))
    with MediaPump(with_audio(sink, from_s=4.0), sink):
        eventually(lambda: working(sink))
        eventually(lambda: vms.streams()["gate"].audio_codec == "AAC")
        heard, _ = heard_and_seen(vms.url("gate"), 20)
    assert len(heard) == 20
    assert sink.counters.connects == 1


def test_audio_that_falls_silent_leaves_the_pictures_as_they_were(vms: RtmpServer) -> None:
    sink = relay(vms.url("{camera}"))
    clip = prepared_clip("240p-h264")
    with MediaPump(islice(with_audio(sink), 100), sink, lossless=True) as pump:
        eventually(lambda: working(sink) and len(pump.pushed) == 100)
        pump.feed(access_units(clip, first_pts=100 * clip.ticks_per_frame))
        seen = watched(vms.url("gate"), 100)
    assert {round((b - a) * 1000) for (_, a), (_, b) in pairwise(seen)} == {40}
    assert sink.counters.dropped_access_units == 0


def test_audio_that_flv_does_not_take_is_named_once_and_not_sent(
    vms: RtmpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sink = relay(vms.url("{camera}"))
    with MediaPump(with_audio(sink, codec="pcmu"), sink) as pump:
        eventually(lambda: working(sink) and len(pump.pushed) > 150)
        assert vms.streams()["gate"].audio_codec == ""
    (said,) = [each for each in caplog.records if "over RTMP" in each.message]
    assert said.cause == "the camera sends PCMU"  # type: ignore[attr-defined]
    assert said.url == vms.url("gate")  # type: ignore[attr-defined]
    assert sink.counters.dropped_audio_units == 0
