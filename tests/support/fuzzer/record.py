# SPDX-License-Identifier: Apache-2.0
"""Make the recordings: `python -m fuzzer.record` talks to simulated cameras through a relay that
writes down what the camera says.

Run when the simulator learns to say something new. What is recorded holds no secret but the ones of
the simulated camera, and is cut short: a few pictures are as good as many.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from camera_simulator import CameraSettings, Simulator
from camera_simulator.camera import Camera
from camera_simulator.challenge_forms import FORMS, written
from camera_simulator.settings import Audio
from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.policy import StreamRole
from camfleet_api.technical_profile import VideoLimits
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif.discovery import probes
from camfleet_worker.onvif.resolver import OnvifResolver
from camfleet_worker.relay.rtmp import amf0
from camfleet_worker.relay.rtmp.amf0 import AmfValue
from camfleet_worker.relay.rtmp.messages import command, message, set_chunk_size
from camfleet_worker.resolve import ResolveRequest
from camfleet_worker.rtsp.client import StreamTarget, open_stream
from fuzzer.targets import RECORDINGS

_STREAM_BYTES = 48 * 1024
_LOGIN = Credentials("ingest", "recorded", "v1")


_ODD_STREAMS: dict[str, dict[str, Any]] = {
    "sets": {"faults": ("parameter-sets-change-within-a-group",)},
    "open": {"faults": ("open-groups",)},
    "padded": {"faults": ("aggregated-packets-padded",)},
    "hevc-sets": {"codec": "h265", "faults": ("parameter-sets-change-within-a-group",)},
}


class _Relay:
    """Passes one port through and keeps what the far side says, a list entry a connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.said: list[bytearray] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        said = bytearray()
        self.said.append(said)
        await asyncio.gather(_pump(reader, far_writer, None), _pump(far_reader, writer, said))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray | None
) -> None:
    try:
        while data := await reader.read(65536):
            if said is not None:
                said += data
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # one side went away: the conversation is over
    writer.close()


async def _record_stream(camera: Camera, name: str) -> None:
    handshake, media = await _said(camera, audio=False)
    _write(f"rtsp-{name}", handshake + media[:2048])
    _write(f"stream-{name}", media[:_STREAM_BYTES])
    _write(f"sdp-{name}", _body(handshake))
    lines = re.findall(rb"(?im)^www-authenticate: (.*)\r$", handshake)
    _write(f"challenge-{name}", b"\n".join(lines) or b'Digest realm="r", nonce="n"')


async def _record_audio(simulator: Simulator) -> None:
    """Video and audio in one session: AAC in fragments, and a law of G.711."""
    codecs: tuple[Audio, ...] = ("aac", "pcma")
    for codec in codecs:
        settings = CameraSettings(
            name=f"audio-{codec}",
            resolution="240p",
            password=_LOGIN.password,
            audio=codec,
            audio_packing="fragmented",
        )
        handshake, media = await _said(await simulator.add(settings), audio=True)
        _write(f"audio-{codec}", media[:_STREAM_BYTES])
        _write(f"sdp-audio-{codec}", _body(handshake))


async def _said(camera: Camera, audio: bool) -> tuple[bytes, bytes]:
    """What the camera says in a session: its answers, its packets."""
    relay = _Relay(camera.host, camera.rtsp_port)
    async with relay.listening() as port:
        target = StreamTarget.at("127.0.0.1", port, camera.stream_path())
        stream = await open_stream(replace(target, audio=audio), _LOGIN, deadline_s=10)
        assert isinstance(stream.socket, socket.socket), "plain TCP"
        while len(relay.said[-1]) < _STREAM_BYTES:
            data = await asyncio.get_running_loop().sock_recv(stream.socket, 65536)
            assert data, "the camera went away"
        stream.socket.close()
    return _at_first_frame(bytes(relay.said[-1]))


def _at_first_frame(said: bytes) -> tuple[bytes, bytes]:
    """Where the answer to PLAY ends and interleaved frames begin."""
    at = said.index(b"\r\n\r\n$") + 4
    return said[:at], said[at:]


def _body(handshake: bytes) -> bytes:
    start = handshake.index(b"\r\n\r\nv=") + 4
    end = handshake.index(b"RTSP/1.0", start)
    return handshake[start:end]


class _FreeGate:
    """A gate that counts nothing: the camera is ours."""

    async def before_attempt(self, scheme: str) -> None:
        """Always."""

    async def proven(self, scheme: str) -> None:
        """Noted nowhere."""

    async def rejected(self, scheme: str, error: Exception) -> None:
        """Cannot be: the password is right."""


async def _record_onvif(camera: Camera, name: str) -> None:
    relay = _Relay(camera.host, camera.onvif_port)
    resolver = OnvifResolver()
    async with relay.listening() as port:
        request = ResolveRequest(
            host="127.0.0.1",
            onvif_port=port,
            rtsp_port=camera.rtsp_port,
            scheme=Scheme.HTTP,
            device_path="/onvif/device_service",
            source=VideoSource(channel=1),
            limits=VideoLimits(min_width=16, min_height=16, min_frames_per_second=1),
            role=StreamRole.MAIN,
        )
        await resolver.resolve(request, _LOGIN, attempts=_FreeGate())
    resolver.close()
    for number, said in enumerate(relay.said):
        _write(f"soap-{name}-{number:02}", bytes(said))


async def _record_media2(simulator: Simulator) -> None:
    """A recorder that speaks Media2 alone, and its answer to a probe."""
    settings = CameraSettings(
        name="media2",
        codec="h265",
        resolution="240p",
        password=_LOGIN.password,
        channels=2,
        faults=("media2-only", "odd-tokens", "match-several-addresses"),
    )
    camera = await simulator.add(settings)
    await _record_onvif(camera, "media2")
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as probing:
        probing.setblocking(False)
        probing.connect((camera.host, camera.discovery_port))
        await loop.sock_sendall(probing, probes()[0])
        _write("probe-match", await loop.sock_recv(probing, 65536))


def _write(name: str, data: bytes) -> None:
    (RECORDINGS / f"{name}.bin").write_bytes(data)
    print(f"{name}: {len(data)} octets")


def _write_made() -> None:
    """What no relay can catch in one piece."""
    h264 = bytes.fromhex("6742c01fda0280bfe5c05a80808098"), bytes.fromhex("68ce3c80")
    h265 = (
        bytes.fromhex("40010c01ffff01600000030090000003000003003f959809"),
        bytes.fromhex(
            "42010101600000030090000003000003003fa00502016965959a4932bc05a02000000300200000030321"
        ),
        bytes.fromhex("4401c172b46240"),
    )
    start = b"\x00\x00\x00\x01"
    _write("sets-h264", start.join(h264))
    _write("sets-h265", start.join(h265))
    _write(
        "rtcp",
        bytes.fromhex("80c80006cafe0001e5a1b2c380000000000003e80000000a00000400")
        + bytes.fromhex("81ca0004cafe0001010663616d65726100000000"),
    )
    _write(
        "address",
        b"http://192.168.1.88/onvif/media_service\nrtsp://user:pw@127.0.0.1:554/a/b?x=1&y=s3cret:@#\n"
        b"rtsp://[fe80::1%25eth0]:554/live\n//camera/onvif\nhttp:///onvif\ncamera.local:8080/onvif?q\n",
    )


def _write_descriptions() -> None:
    """What public reports say that cameras describe (tests/support/camera_simulator/quirks.py)."""
    video = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
    odd = {
        "medium": video + "m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\na=control:track3\r\n",
        "query": video.replace("track1", "?ctype=video"),
        "types": video.replace("AVP 96", "AVP 26 96 97") + "a=rtpmap:97 H265/90000\r\n",
        "base": "a=control:rtsp://camera/real/live/\r\n" + video.replace("track1", "trackID=1"),
    }
    for name, text in odd.items():
        _write(f"sdp-{name}", f"v=0\r\ns=-\r\n{text}".encode())


def _write_challenges() -> None:
    digest = 'Digest realm="camera", nonce="0a1b", qop="auth", algorithm=MD5'
    lines = [one for form in FORMS for one in written([digest], form)]
    _write("challenge-forms", "\n".join(lines).encode())


def _write_rtmp() -> None:
    """A server's words: what is awaited, what refuses, and what nobody asked for."""
    success: dict[str, AmfValue] = {"level": "status", "code": "NetStream.Publish.Start"}
    failed: dict[str, AmfValue] = {"level": "error", "code": "NetConnection.Call.Failed"}
    in_use: dict[str, AmfValue] = {"level": "error", "code": "NetStream.Publish.BadName"}
    date = b"\x0b" + bytes(10)
    said = (
        set_chunk_size(),
        command("_result", 1, None, {"code": "NetConnection.Connect.Success"}),
        message(20, amf0.encode("onFCPublish") + date),
        command("_error", 3, None, failed),
        command("_result", 4, None, 1.0),
        command("onStatus", 0, None, success),
        command("onStatus", 0, None, in_use),
    )
    _write("rtmp", b"".join(said))


def _write_parts() -> None:
    """What the targets of skipping.py make unreadable parts from."""
    _write("part-lines", b"a=control:track3\r\na=rtpmap:smart x\r\na=fmtp:96 =;;=\r\nb=?")
    _write("part-octets", bytes(range(256)))
    _write("part-amf", b"\x0b" + bytes(10) + b"\x03\0\1a\x11\x06\0\0\x09")


async def main() -> None:
    """Write every recording."""
    RECORDINGS.mkdir(exist_ok=True)
    _write_made()
    _write_descriptions()
    _write_challenges()
    _write_rtmp()
    _write_parts()
    async with Simulator() as simulator:
        for codec in ("h264", "h265"):
            camera = await simulator.add(
                CameraSettings(name=codec, codec=codec, resolution="240p", password=_LOGIN.password)
            )
            await _record_stream(camera, codec)
            await _record_onvif(camera, codec)
        for name, settings in _ODD_STREAMS.items():
            camera = await simulator.add(
                CameraSettings(name=name, resolution="240p", password=_LOGIN.password, **settings)
            )
            _, media = await _said(camera, audio=False)
            _write(f"stream-{camera.settings.codec}-{name}", media[:_STREAM_BYTES])
        await _record_audio(simulator)
        await _record_media2(simulator)


if __name__ == "__main__":
    asyncio.run(main())
