# SPDX-License-Identifier: Apache-2.0
"""The simulator seen by clients that are not ours: onvif-zeep, httpx, PyAV's RTSP, and bare
sockets.

If these agree with it, our own worker is tested against a camera and not against our own idea of
one.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import httpx
import onvif
import pytest
from zeep.cache import InMemoryCache
from zeep.transports import Transport

import camera_simulator
from camera_simulator import (
    Camera,
    CameraSettings,
    Clip,
    SettingsInvalid,
    Simulator,
    SimulatorThread,
    frame_hash,
)
from camera_simulator.clips import split_annex_b
from camera_simulator.control_door import ControlDoor
from camera_simulator.gstreamer.host import SYSTEM_PYTHON
from eventually import consistently_async, eventually, eventually_async

PASSWORD = "p@ss#w0rd%/:"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


def zeep_camera(camera: Camera, password: str = PASSWORD, adjust_time: bool = False) -> Any:
    # Its default client keeps WSDLs in a SQLite file under the home folder and leaves it open.
    return onvif.ONVIFCamera(
        camera.host,
        camera.onvif_port,
        "ingest",
        password,
        no_cache=True,
        adjust_time=adjust_time,
        transport=Transport(cache=InMemoryCache(), timeout=10, operation_timeout=10),
    )


class TestOnvif:
    async def test_onvif_zeep_reads_device_information_and_stream_addresses(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(CameraSettings("gate", password=PASSWORD, serial="SN1"))

        def ask() -> tuple[Any, Any, str]:
            client = zeep_camera(camera)
            media = client.create_media_service()
            profiles = media.GetProfiles()
            setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
            uri = media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profiles[0].token})
            return client.devicemgmt.GetDeviceInformation(), profiles, uri.Uri

        information, profiles, uri = await asyncio.to_thread(ask)
        assert information.SerialNumber == "SN1"
        assert [p.VideoEncoderConfiguration.Encoding for p in profiles] == ["H264", "H264"]
        assert profiles[0].VideoEncoderConfiguration.Resolution.Width == 640
        assert uri == camera.stream_url("main")
        assert camera.counters.refused() == 0
        assert camera.counters.accepted("onvif", "wsse") == 3

    async def test_every_device_and_media_operation_satisfies_the_wsdl(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(CameraSettings("gate", password=PASSWORD))

        def ask() -> dict[str, Any]:
            client = zeep_camera(camera)
            media = client.create_media_service()
            device = client.devicemgmt
            return {
                "services": device.GetServices({"IncludeCapability": False}),
                "scopes": device.GetScopes(),
                "interfaces": device.GetNetworkInterfaces(),
                "hostname": device.GetHostname(),
                "endpoint": device.GetEndpointReference(),
                "device can": device.GetServiceCapabilities(),
                "sources": media.GetVideoSources(),
                "encoders": media.GetVideoEncoderConfigurations(),
                "profile": media.GetProfile({"ProfileToken": "Profile_2"}),
                "snapshot": media.GetSnapshotUri({"ProfileToken": "Profile_1"}),
                "media can": media.GetServiceCapabilities(),
            }

        said = await asyncio.to_thread(ask)
        assert [s.Namespace for s in said["services"]] == [
            "http://www.onvif.org/ver10/device/wsdl",
            "http://www.onvif.org/ver10/media/wsdl",
        ]
        assert said["interfaces"][0].Info.HwAddress == camera.settings.mac_address
        assert said["hostname"].Name == "gate"
        assert said["endpoint"]["GUID"].startswith("urn:uuid:")
        assert said["device can"].Security.UsernameToken is True
        assert said["sources"][0].Resolution.Height == 360
        assert [e.H264.GovLength for e in said["encoders"]] == [25, 25]
        assert said["profile"].VideoEncoderConfiguration.Resolution.Width == 320
        assert said["snapshot"].Uri.endswith("/onvif/snapshot")

    async def test_a_wrong_password_is_refused_and_counted(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
        client = await asyncio.to_thread(zeep_camera, camera, "wrong")
        with pytest.raises(onvif.ONVIFError, match="not authorized"):
            await asyncio.to_thread(client.devicemgmt.GetDeviceInformation)
        assert camera.counters.refused("onvif", "wsse") == 1
        assert camera.counters.accepted() == 0

    async def test_a_wrong_clock_refuses_a_token_until_its_offset_is_taken_into_account(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(
            CameraSettings("gate", password=PASSWORD, faults=("clock-184-days-behind",))
        )
        naive = await asyncio.to_thread(zeep_camera, camera)
        with pytest.raises(onvif.ONVIFError):
            await asyncio.to_thread(naive.devicemgmt.GetDeviceInformation)
        adjusted = await asyncio.to_thread(zeep_camera, camera, PASSWORD, True)
        assert await asyncio.to_thread(adjusted.devicemgmt.GetDeviceInformation)
        assert [(a.verdict, n) for a, n in camera.counters.attempts.items()] == [
            ("clock", 1),
            ("accepted", 1),
        ]

    async def test_http_digest_opens_a_camera_that_ignores_tokens(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(
            CameraSettings("gate", password=PASSWORD, faults=("digest-only",))
        )
        url = f"http://{camera.host}:{camera.onvif_port}/onvif/device_service"
        async with httpx.AsyncClient(trust_env=False) as client:
            right = await client.post(
                url, content=DEVICE_INFORMATION, auth=httpx.DigestAuth("ingest", PASSWORD)
            )
            wrong = await client.post(
                url, content=DEVICE_INFORMATION, auth=httpx.DigestAuth("ingest", "wrong")
            )
        assert (right.status_code, wrong.status_code) == (200, 401)
        assert "GetDeviceInformationResponse" in right.text
        assert camera.counters.accepted("onvif", "digest") == 1
        assert camera.counters.refused("onvif", "digest") == 1

    async def test_the_web_port_of_a_camera_without_onvif_serves_its_page(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(CameraSettings("gate", faults=("web-page-not-onvif",)))
        url = f"http://{camera.host}:{camera.onvif_port}/onvif/device_service"
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = await client.post(url, content=DEVICE_INFORMATION)
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html")

    async def test_the_snapshot_is_a_jpeg_behind_the_same_login(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
        url = f"http://{camera.host}:{camera.onvif_port}/onvif/snapshot"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url)).status_code == 401
            picture = await client.get(url, auth=httpx.DigestAuth("ingest", PASSWORD))
        assert picture.content.startswith(b"\xff\xd8")


class TestRtsp:
    @pytest.mark.parametrize("codec", ["h264", "h265"])
    async def test_a_foreign_player_receives_every_frame_of_the_clip_intact(
        self, simulator: Simulator, codec: Any
    ) -> None:
        camera = await simulator.add(CameraSettings("gate", password="plain", codec=codec))
        received = await asyncio.to_thread(receive, camera, "plain", 60)
        assert received == hashes_from_a_key_frame(camera.clips["main"], received)
        assert camera.counters.accepted("rtsp", "digest") > 0
        assert camera.counters.refused("rtsp") == 0
        await eventually_async(lambda: camera.counters.teardowns == 1)

    async def test_basic_is_taken_where_the_camera_offers_nothing_else(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(
            CameraSettings("gate", password="plain", faults=("rtsp-basic-only",))
        )
        assert len(await asyncio.to_thread(receive, camera, "plain", 5)) == 5
        assert camera.counters.accepted("rtsp", "basic") > 0

    async def test_a_wrong_rtsp_password_is_refused_and_counted(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate", password="plain"))
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(receive, camera, "wrong", 1)
        assert camera.counters.refused("rtsp", "digest") == 1
        assert camera.counters.sessions == 0

    async def test_five_refusals_lock_the_account_even_for_the_right_password(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(
            CameraSettings("gate", password="plain", faults=("locks-after-5",))
        )
        for _ in range(5):
            with pytest.raises(av.HTTPUnauthorizedError):
                await asyncio.to_thread(receive, camera, "wrong", 1)
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(receive, camera, "plain", 1)
        assert camera.counters.refused() == 6

    async def test_a_second_session_gets_453_where_only_one_is_allowed(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(CameraSettings("gate", faults=("one-session",)))
        first, second = await RtspClient.open(camera), await RtspClient.open(camera)
        async with first, second:
            assert (await first.setup())[0] == 200
            assert (await second.setup())[0] == 453
            assert (await first.request("TEARDOWN"))[0] == 200
            assert (await second.setup())[0] == 200
        assert camera.counters.sessions_refused == 1

    async def test_udp_is_refused_with_461(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate"))
        async with await RtspClient.open(camera) as client:
            assert (await client.setup("RTP/AVP;unicast;client_port=5000-5001"))[0] == 461

    async def test_a_session_without_keepalive_ends_and_one_with_it_stays(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(CameraSettings("gate", session_timeout_s=1, freeze=True))
        kept, left = await RtspClient.open(camera), await RtspClient.open(camera)
        async with kept, left:
            for client in (kept, left):
                await client.setup()
                await client.request("PLAY")

            async def expired_while_the_other_is_kept() -> bool:
                assert (await kept.request("GET_PARAMETER"))[0] == 200
                return camera.counters.sessions_expired == 1

            await eventually_async(expired_while_the_other_is_kept)
            assert (await kept.request("GET_PARAMETER"))[0] == 200
        await eventually_async(lambda: camera.counters.sessions_lost == 1)

    async def test_a_frozen_camera_keeps_its_session_and_sends_nothing(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(CameraSettings("gate"))
        async with await RtspClient.open(camera) as client:
            await client.setup()
            await client.request("PLAY")
            await eventually_async(lambda: camera.counters.frames_sent > 2)
            await camera.change(freeze=True)
            sent = camera.counters.frames_sent
            await consistently_async(lambda: camera.counters.frames_sent == sent, during_s=0.5)
            assert (await client.request("GET_PARAMETER"))[0] == 200
            await camera.change(freeze=False)
            await eventually_async(lambda: camera.counters.frames_sent > sent)

    async def test_without_key_frames_only_p_frames_travel(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate", faults=("p-frames-only",)))
        async with await RtspClient.open(camera) as client:
            await client.setup()
            await client.request("PLAY")
            await eventually_async(lambda: camera.counters.frames_sent > 30)
            kinds = {nal_unit_type(packet) for packet in client.rtp_packets()}
        assert 1 in kinds
        assert not kinds & {5, 7, 8}, "IDR slices or parameter sets"

    async def test_sender_reports_carry_the_cameras_own_clock(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate", clock_offset_s=-1e6))
        async with await RtspClient.open(camera) as client:
            await client.setup()
            await client.request("PLAY")
            await eventually_async(lambda: bool(client.rtcp))
        report = client.rtcp[0]
        unix_s = int.from_bytes(report[8:12], "big") - 2_208_988_800
        assert report[1] == 200
        assert abs(unix_s - camera.camera_unix_s()) < 60


class TestGStreamer:
    """The same camera with GStreamer's RTSP server behind it."""

    @pytest.fixture
    async def camera(self, simulator: Simulator, codec: Any) -> Camera:
        settings = CameraSettings("gate", server="gstreamer", codec=codec, password="plain")
        return await simulator.add(settings)

    @pytest.mark.parametrize("codec", ["h264", "h265"])
    async def test_a_foreign_player_receives_every_frame_of_the_clip_intact(
        self, camera: Camera
    ) -> None:
        received = await asyncio.to_thread(receive, camera, "plain", 60)
        assert received == hashes_from_a_key_frame(camera.clips["main"], received)
        await eventually_async(lambda: camera.counters.teardowns == 1)
        assert camera.counters.sessions == 1
        assert camera.counters.refused() == 0

    @pytest.mark.parametrize("codec", ["h264"])
    async def test_onvif_leads_to_it(self, camera: Camera) -> None:
        client = await asyncio.to_thread(zeep_camera, camera, "plain")
        media = client.create_media_service()
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        request = {"StreamSetup": setup, "ProfileToken": "Profile_1"}
        assert (await asyncio.to_thread(media.GetStreamUri, request)).Uri == camera.stream_url()

    @pytest.mark.parametrize("codec", ["h264"])
    async def test_refused_logins_are_counted(self, camera: Camera) -> None:
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(receive, camera, "wrong", 1)
        await eventually_async(lambda: camera.counters.refused("rtsp", "digest") == 1)

    @pytest.mark.parametrize("codec", ["h264"])
    async def test_credentials_can_be_changed_while_it_runs(self, camera: Camera) -> None:
        await camera.change(password="new", rtsp_schemes=("basic",))
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(receive, camera, "plain", 1)
        assert len(await asyncio.to_thread(receive, camera, "new", 5)) == 5

    @pytest.mark.parametrize("codec", ["h264"])
    async def test_power_and_freeze_act_on_a_watched_stream(self, camera: Camera) -> None:
        await camera.change(password=None)
        async with await RtspClient.open(camera) as client:
            await client.request("DESCRIBE")
            await client.setup(track="/stream=0")
            await client.request("PLAY")
            await eventually_async(lambda: len(client.rtp_packets()) > 20)
            await camera.change(freeze=True)
            await eventually_async(lambda: no_packet_for(client, 0.5))
            await camera.change(freeze=False)
            await eventually_async(lambda: len(client.rtp_packets()) > 20)
            await camera.power(False)
            await eventually_async(lambda: client.lost)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(camera.host, camera.rtsp_port)
        await camera.power(True)
        async with await RtspClient.open(camera) as client:
            assert (await client.request("DESCRIBE"))[0] == 200

    @pytest.mark.parametrize("codec", ["h264"])
    async def test_a_fault_it_cannot_play_is_refused(self, camera: Camera) -> None:
        with pytest.raises(SettingsInvalid, match="only the replay server"):
            await camera.break_with("p-frames-only")


def test_cameras_that_share_a_clip_send_its_frames_with_their_own_times() -> None:
    """They did not, at a frame that two came to at once: its times were those of the last one."""
    program = """
from camera_simulator.gstreamer.rtsp_cameras import Gst, stamped
Gst.init(None)
frame = Gst.Buffer.new_wrapped(b"frame")
early, late = stamped(frame, 5, 40), stamped(frame, 7, 40)
assert (early.pts, early.dts, late.pts, late.dts) == (5, 5, 7, 7), (early.pts, late.pts)
assert early.extract_dup(0, 5) == late.extract_dup(0, 5) == b"frame"
"""
    support = str(Path(camera_simulator.__file__).parent.parent)
    subprocess.run(
        [SYSTEM_PYTHON, "-B", "-c", program], env={"PYTHONPATH": support}, check=True, timeout=60
    )


class TestPower:
    async def test_off_resets_what_was_open_and_refuses_what_comes(
        self, simulator: Simulator
    ) -> None:
        camera = await simulator.add(CameraSettings("gate"))
        async with await RtspClient.open(camera) as client:
            await client.setup()
            await camera.power(False)
            await eventually_async(lambda: client.lost)
        for port in (camera.onvif_port, camera.rtsp_port):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(camera.host, port)

    async def test_on_again_it_answers_at_the_same_ports(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate", power=False))
        ports = (camera.onvif_port, camera.rtsp_port)
        await camera.power(True)
        assert (camera.onvif_port, camera.rtsp_port) == ports
        async with await RtspClient.open(camera) as client:
            assert (await client.setup())[0] == 200

    async def test_the_onvif_port_alone_can_be_closed(self, simulator: Simulator) -> None:
        camera = await simulator.add(CameraSettings("gate", faults=("onvif-closed",)))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(camera.host, camera.onvif_port)
        async with await RtspClient.open(camera) as client:
            assert (await client.setup())[0] == 200


class TestControlDoor:
    @pytest.fixture
    async def door(self, simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
        await simulator.add(CameraSettings("gate", password="s3cret"))
        control = ControlDoor(simulator, "127.0.0.1", 0)
        await control.open()
        url = f"http://127.0.0.1:{control.port}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            yield client
        control.close()

    async def test_the_door_changes_settings_of_a_camera(
        self, simulator: Simulator, door: httpx.AsyncClient
    ) -> None:
        answer = await door.patch("/cameras/gate", json={"power": False, "clock_offset_s": -60})
        assert answer.status_code == 200
        camera = simulator.cameras["gate"]
        assert (camera.effective.power, camera.effective.clock_offset_s) == (False, -60.0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(camera.host, camera.onvif_port)

    async def test_the_door_shows_counters_and_no_password(
        self, simulator: Simulator, door: httpx.AsyncClient
    ) -> None:
        camera = simulator.cameras["gate"]
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(receive, camera, "wrong", 1)
        told = await door.get("/cameras/gate")
        assert told.json()["counters"]["auth_refused"] == 1
        assert told.json()["counters"]["attempts"] == [
            {
                "door": "rtsp",
                "scheme": "digest",
                "account": "ingest",
                "verdict": "wrong-password",
                "count": 1,
            }
        ]
        assert "s3cret" not in told.text
        assert (await door.get("/cameras")).json().keys() == {"gate"}

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("PATCH", "/cameras/gate", '{"colour": "red"}', 400),
            ("PATCH", "/cameras/gate", '{"faults": ["rust"]}', 400),
            ("PATCH", "/cameras/gate", "[]", 400),
            ("PATCH", "/cameras/gate", "not json", 400),
            ("PATCH", "/cameras/roof", "{}", 404),
            ("DELETE", "/cameras/gate", "", 405),
            ("GET", "/elsewhere", "", 404),
        ],
    )
    async def test_the_door_refuses_unknown_requests_and_changes_nothing(
        self,
        simulator: Simulator,
        door: httpx.AsyncClient,
        method: str,
        path: str,
        body: str,
        status: int,
    ) -> None:
        before = simulator.cameras["gate"].settings
        answer = await door.request(method, path, content=body)
        assert answer.status_code == status
        assert answer.json()["error"]
        assert simulator.cameras["gate"].settings == before


def test_a_test_without_an_event_loop_uses_the_thread() -> None:
    with SimulatorThread() as simulator:
        camera = simulator.add(CameraSettings("gate"))
        socket.create_connection((camera.host, camera.rtsp_port)).close()
        eventually(lambda: camera.counters.rtsp_connects == 1)
        camera.power(False)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((camera.host, camera.rtsp_port))


# Clients


DEVICE_INFORMATION = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
    '<GetDeviceInformation xmlns="http://www.onvif.org/ver10/device/wsdl"/>'
    "</s:Body></s:Envelope>"
)


def receive(camera: Camera, password: str, frames: int) -> list[str]:
    """Frame hashes as FFmpeg's RTSP client demuxes them (Annex B), TEARDOWN included."""
    url = camera.stream_url().replace("rtsp://", f"rtsp://ingest:{password}@")
    codec = camera.clips["main"].codec
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=10) as container:
        packets = (p for p in container.demux(video=0) if p.size)
        return [
            frame_hash(split_annex_b(bytes(p)), codec) for p in itertools.islice(packets, frames)
        ]


def hashes_from_a_key_frame(clip: Clip, received: list[str]) -> list[str]:
    """What the clip holds from the frame that was received first, which must be a key frame."""
    start = clip.frame_hashes.index(received[0])
    assert clip.frames[start].key
    return list(itertools.islice(itertools.cycle(clip.frame_hashes), start, start + len(received)))


def nal_unit_type(packet: bytes) -> int:
    """Of an H.264 RTP packet; of the fragmented unit when it is an FU-A (RFC 6184 §5.8)."""
    kind = packet[12] & 0x1F
    return packet[13] & 0x1F if kind == 28 else kind


async def no_packet_for(client: RtspClient, during_s: float) -> bool:
    """Whether the stream stands still, judged by arrival and not by what the camera claims."""
    before = len(client.rtp_packets())
    await asyncio.sleep(during_s)
    return len(client.rtp_packets()) == before


class RtspClient:
    """Requests by hand, to see answers that a library would hide. Speaks to open cameras only."""

    def __init__(
        self, camera: Camera, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._url = camera.stream_url()
        self._reader, self._writer = reader, writer
        self._session = ""
        self._cseq = 0
        self._answers: asyncio.Queue[tuple[int, dict[str, str]]] = asyncio.Queue()
        self._rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.lost = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, camera: Camera) -> RtspClient:
        return cls(camera, *await asyncio.open_connection(camera.host, camera.rtsp_port))

    async def __aenter__(self) -> RtspClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._reading

    async def setup(
        self, transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1", track: str = "/track1"
    ) -> tuple[int, dict[str, str]]:
        url = self._url + track
        status, headers = await self.request("SETUP", url, f"Transport: {transport}\r\n")
        self._session = headers.get("session", "").partition(";")[0]
        return status, headers

    async def request(
        self, method: str, url: str = "", header: str = ""
    ) -> tuple[int, dict[str, str]]:
        self._cseq += 1
        session = f"Session: {self._session}\r\n" if self._session else ""
        head = (
            f"{method} {url or self._url} RTSP/1.0\r\nCSeq: {self._cseq}\r\n{session}{header}\r\n"
        )
        self._writer.write(head.encode())
        return await asyncio.wait_for(self._answers.get(), 10)

    def rtp_packets(self) -> list[bytes]:
        return list(self._rtp)

    async def _read(self) -> None:
        try:
            while True:
                await self._read_part()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost = True

    async def _read_part(self) -> None:
        first = await self._reader.readexactly(1)
        if first == b"$":
            head = await self._reader.readexactly(3)
            packet = await self._reader.readexactly(int.from_bytes(head[1:], "big"))
            (self.rtcp if head[0] == 1 else self._rtp).append(packet)
            return
        text = (first + await self._reader.readuntil(b"\r\n\r\n")).decode()
        lines = text.rstrip().split("\r\n")
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        await self._reader.readexactly(int(headers.get("content-length", "0")))
        await self._answers.put((int(lines[0].split(" ")[1]), headers))
