# SPDX-License-Identifier: Apache-2.0
"""From a camera's address to access units, over real sockets, against two RTSP servers.

The truth is the clip that the camera plays: every access unit arrives whole, in order, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import av
import pytest

from camera_simulator import Camera, CameraSettings, Clip, Simulator
from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media import loop as loop_module
from camfleet_worker.media.loop import CameraFeed, MediaLoop, StreamHandle
from camfleet_worker.media.stream import Stream
from camfleet_worker.media.watchdog import Patience
from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState
from camfleet_worker.rtsp.client import PlayingStream, StreamTarget, open_stream
from camfleet_worker.rtsp.headers import InterleavedIds
from camfleet_worker.rtsp.message import serialise_frame, serialise_response
from camfleet_worker.rtsp.session import RtspSession
from eventually import consistently_async, eventually_async

PASSWORD = 'mật khẩu: @#%^/?"\\'
RIGHT = Credentials("ingest", PASSWORD, "1")
SERVERS = ["replay", "gstreamer"]


class Memory:
    """A sink that keeps everything."""

    name = "memory"
    condition = ConditionType.RECORDING

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.counters = SinkCounters()
        self.state = SinkState(SinkPhase.WORKING)
        self.ticks = 0
        self.closed = False

    def push(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def tick(self, now: float) -> None:
        self.ticks += 1

    def close(self) -> None:
        self.closed = True


class Broken(Memory):
    """A sink with a bug."""

    def push(self, unit: AccessUnit) -> None:
        raise ZeroDivisionError


class Ears:
    """What the listener of a stream has heard."""

    def __init__(self) -> None:
        self.formats: list[VideoFormat] = []
        self.errors: list[IngestError] = []

    def first_key_frame(self, video_format: VideoFormat) -> None:
        self.formats.append(video_format)

    def ended(self, error: IngestError) -> None:
        self.errors.append(error)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
def loop(patience: Patience) -> Iterator[MediaLoop]:
    running = MediaLoop(tick_s=0.02, patience=patience)
    running.start()
    yield running
    running.stop()
    assert not running.alive
    assert running.counters.stream_faults == 0


def camera_settings(**changes: object) -> CameraSettings:
    settings: dict[str, object] = {"name": "gate", "password": PASSWORD, "resolution": "240p"}
    return CameraSettings(**(settings | changes))  # type: ignore[arg-type]


async def opened(
    camera: Camera, credentials: Credentials | None = RIGHT, deadline_s: float = 10.0
) -> PlayingStream:
    target = StreamTarget(camera.host, camera.rtsp_port, camera.stream_path())
    return await open_stream(target, credentials, deadline_s=deadline_s)


async def played(
    loop: MediaLoop, camera: Camera, *sinks: Memory
) -> tuple[CameraFeed, StreamHandle, Ears]:
    ears = Ears()
    feed = loop.open_feed(camera.name, sinks)
    return feed, feed.play(await opened(camera), ears), ears


async def refusal(camera: Camera, credentials: Credentials | None = RIGHT) -> IngestError:
    with pytest.raises(IngestError) as caught:
        await opened(camera, credentials, deadline_s=5)
    return caught.value


def units_of(data: bytes) -> tuple[bytes, ...]:
    units, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("!I", data, at)
        units.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return tuple(units)


def expected_pictures(clip: Clip) -> list[tuple[bytes, ...]]:
    """Each frame without parameter sets, delimiters and filler."""
    kept = (
        (lambda u: u[0] & 31 not in (7, 8, 9, 12))
        if clip.codec == "h264"
        else (lambda u: u[0] >> 1 & 63 not in (32, 33, 34, 35, 38))
    )
    return [tuple(filter(kept, frame.units)) for frame in clip.frames]


def assert_is_the_clip(received: list[AccessUnit], clip: Clip) -> None:
    """In order, each once, from some key frame on, round and round."""
    truth = expected_pictures(clip)
    first = truth.index(units_of(received[0].data))
    assert received[0].key
    for index, unit in enumerate(received):
        at = (first + index) % len(truth)
        assert units_of(unit.data) == truth[at], f"access unit {index} is not frame {at}"
        assert unit.key == clip.frames[at].key


def decoded_pictures(units: list[AccessUnit]) -> int:
    """How many pictures FFmpeg makes of them, as Annex B with the format's parameter sets."""
    video_format = units[0].format
    stream = b"".join(b"\0\0\0\1" + nal for nal in video_format.parameter_sets)
    for unit in units:
        stream += b"".join(b"\0\0\0\1" + nal for nal in units_of(unit.data))
    name = "h264" if video_format.codec is Codec.H264 else "hevc"
    with av.open(io.BytesIO(stream), "r", format=name) as container:
        return len(list(container.decode(video=0)))


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("server", SERVERS)
async def test_every_access_unit_arrives_whole_in_order_and_once(
    simulator: Simulator, loop: MediaLoop, server: str, codec: str
) -> None:
    camera = await simulator.add(camera_settings(server=server, codec=codec))
    clip, memory = camera.clips["main"], Memory()
    feed, handle, ears = await played(loop, camera, memory)
    await eventually_async(lambda: len(memory.units) >= 60, within_s=30)
    await asyncio.wrap_future(feed.close())

    assert_is_the_clip(memory.units, clip)
    assert handle.counters.lost_packets == handle.counters.damaged_access_units == 0
    assert handle.counters.access_units == len(memory.units)
    assert handle.counters.key_frames == sum(unit.key for unit in memory.units)
    (video_format,) = ears.formats
    assert (video_format.width, video_format.height) == (clip.width, clip.height)
    assert video_format.parameter_sets == clip.parameter_sets
    assert {id(unit.format) for unit in memory.units} == {id(video_format)}
    assert decoded_pictures(memory.units) == len(memory.units)
    assert not ears.errors


@pytest.mark.parametrize("server", SERVERS)
async def test_durations_are_those_of_the_camera_and_times_only_rise(
    simulator: Simulator, loop: MediaLoop, server: str
) -> None:
    camera = await simulator.add(camera_settings(server=server))
    memory = Memory()
    await played(loop, camera, memory)
    await eventually_async(lambda: len(memory.units) >= 40, within_s=30)
    times = [unit.pts_90k for unit in memory.units]
    steps = [after - before for before, after in itertools.pairwise(times)]
    frame = camera.clips["main"].ticks_per_frame
    assert times[0] >= 0
    assert all(abs(step - frame) <= 1 for step in steps), steps


@pytest.mark.quirk(8)
@pytest.mark.parametrize("schemes", [("basic",), ("digest",), ("basic", "digest")])
async def test_each_way_to_log_in_opens_the_stream_with_one_attempt(
    simulator: Simulator, schemes: tuple[str, ...]
) -> None:
    camera = await simulator.add(camera_settings(rtsp_schemes=schemes))
    attempts = 0

    async def note_attempt() -> None:
        nonlocal attempts
        assert camera.counters.accepted("rtsp") == 0, "credentials went out before the hook"
        attempts += 1

    target = StreamTarget(camera.host, camera.rtsp_port, camera.stream_path())
    stream = await open_stream(target, RIGHT, deadline_s=5, before_attempt=note_attempt)
    stream.socket.close()
    assert attempts == 1
    assert camera.counters.refused("rtsp") == 0


async def test_a_camera_that_requires_no_login_gets_no_credentials(simulator: Simulator) -> None:
    camera = await simulator.add(camera_settings(password=None))

    async def refuse() -> None:
        raise AssertionError("nobody asked for credentials")

    target = StreamTarget(camera.host, camera.rtsp_port, camera.stream_path())
    stream = await open_stream(target, RIGHT, deadline_s=5, before_attempt=refuse)
    stream.socket.close()
    assert not camera.counters.attempts


@pytest.mark.quirk(9)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_wrong_password_is_tried_once_and_reported(
    simulator: Simulator, server: str
) -> None:
    camera = await simulator.add(camera_settings(server=server))
    error = await refusal(camera, Credentials("ingest", "wrong", "1"))
    assert (error.condition, error.reason, error.retry) == (
        ConditionType.AUTHENTICATED,
        Reason.RTSP_CREDENTIALS_REJECTED,
        Retry.ON_SECRET_CHANGE,
    )
    assert "wrong" not in error.message
    await eventually_async(lambda: camera.counters.refused("rtsp") == 1)


async def test_a_refused_attempt_never_reaches_the_camera(simulator: Simulator) -> None:
    camera = await simulator.add(camera_settings())
    spent = IngestError(ConditionType.AUTHENTICATED, Reason.RTSP_CREDENTIALS_REJECTED, "None left")

    async def refuse() -> None:
        raise spent

    target = StreamTarget(camera.host, camera.rtsp_port, camera.stream_path())
    with pytest.raises(IngestError) as caught:
        await open_stream(target, RIGHT, deadline_s=5, before_attempt=refuse)
    assert caught.value is spent
    assert not camera.counters.attempts


async def test_without_credentials_the_camera_that_wants_some_is_named(
    simulator: Simulator,
) -> None:
    camera = await simulator.add(camera_settings())
    error = await refusal(camera, None)
    assert (error.condition, error.reason) == (
        ConditionType.AUTHENTICATED,
        Reason.CREDENTIALS_MISSING,
    )


async def test_a_camera_without_a_free_session_gives_session_limit(simulator: Simulator) -> None:
    camera = await simulator.add(camera_settings(max_sessions=1))
    first = await opened(camera)
    error = await refusal(camera)
    first.socket.close()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.SESSION_LIMIT)


@pytest.mark.quirk(49)
async def test_a_login_counts_as_accepted_also_where_no_stream_can_be_had(
    simulator: Simulator,
) -> None:
    camera = await simulator.add(camera_settings(max_sessions=1))
    first = await opened(camera)
    accepted: list[str] = []
    for path in (camera.stream_path(), "/no/such/stream"):
        target = StreamTarget(camera.host, camera.rtsp_port, path)
        with pytest.raises(IngestError):
            await open_stream(target, RIGHT, deadline_s=5, accepted=partial(accepted.append, path))
    first.socket.close()
    assert accepted == [camera.stream_path(), "/no/such/stream"]


@pytest.mark.quirk(54)
@pytest.mark.parametrize("how", ["announced", "silently"])
async def test_a_challenge_that_closes_the_connection_is_answered_on_another(
    simulator: Simulator, how: str
) -> None:
    camera = await simulator.add(camera_settings(faults=(f"closes-{how}-after-401",)))
    attempts = 0

    async def note_attempt() -> None:
        nonlocal attempts
        attempts += 1

    target = StreamTarget(camera.host, camera.rtsp_port, camera.stream_path())
    stream = await open_stream(target, RIGHT, deadline_s=5, before_attempt=note_attempt)
    stream.socket.close()
    assert attempts == 1
    assert camera.counters.rtsp_connects == 2
    assert camera.counters.refused("rtsp") == 0
    error = await refusal(camera, Credentials("ingest", "wrong", "1"))
    assert error.reason is Reason.RTSP_CREDENTIALS_REJECTED
    assert camera.counters.refused("rtsp") == 1


async def test_a_refused_login_is_not_accepted(simulator: Simulator) -> None:
    camera = await simulator.add(camera_settings())
    target = StreamTarget(camera.host, camera.rtsp_port, camera.stream_path())

    def accepted() -> None:
        raise AssertionError("the password is wrong")

    with pytest.raises(IngestError):
        await open_stream(
            target, Credentials("ingest", "wrong", "1"), deadline_s=5, accepted=accepted
        )


async def test_a_stream_that_does_not_exist_is_refused(simulator: Simulator) -> None:
    camera = await simulator.add(camera_settings())
    target = StreamTarget(camera.host, camera.rtsp_port, "/no/such/stream")
    with pytest.raises(IngestError) as caught:
        await open_stream(target, RIGHT, deadline_s=5)
    assert (caught.value.condition, caught.value.reason) == (
        ConditionType.STREAMING,
        Reason.STREAM_REFUSED,
    )
    assert "404" in caught.value.detail


async def test_a_closed_port_a_silent_port_and_an_unknown_name_have_different_reasons() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        silent = await connect_error("127.0.0.1", port)
    refused = await connect_error("127.0.0.1", port)
    unknown = await connect_error("no-such-camera.invalid", 554)
    assert (silent.condition, silent.reason) == (ConditionType.REACHABLE, Reason.TIMEOUT)
    assert (refused.condition, refused.reason) == (
        ConditionType.REACHABLE,
        Reason.CONNECTION_REFUSED,
    )
    assert (unknown.condition, unknown.reason) == (
        ConditionType.REACHABLE,
        Reason.NAME_NOT_RESOLVED,
    )


async def connect_error(host: str, port: int, **target: bool) -> IngestError:
    with pytest.raises(IngestError) as caught:
        await open_stream(StreamTarget(host, port, "/", **target), RIGHT, deadline_s=0.5)  # type: ignore[arg-type]
    return caught.value


async def test_a_host_that_does_not_answer_a_connect_is_unreachable_and_does_not_hang() -> None:
    """As over ONVIF: who reads of a timeout looks at the line's load, not at the power."""
    with socket.socket() as listener, contextlib.ExitStack() as filling:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # its backlog is full, and the kernel drops what comes then
            one = filling.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        error = await connect_error("127.0.0.1", listener.getsockname()[1])
        port = listener.getsockname()[1]
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.HOST_UNREACHABLE)
    assert error.message == (
        f"Nothing answers at port {port} (RTSP). Check power, cable and address of the camera."
    )


async def test_a_port_that_does_not_answer_by_tls_may_also_hang() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = await connect_error("127.0.0.1", listener.getsockname()[1], tls=True)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.TLS_FAILED)
    assert error.detail.endswith("it speaks none, or the camera hangs")


@pytest.mark.parametrize(("tls", "named"), [(False, True), (True, False)])
async def test_a_port_that_closes_at_describe_may_speak_tls_where_it_is_asked_without(
    tls: bool, named: bool, simulator: Simulator
) -> None:
    camera = await simulator.add(camera_settings(rtsp_tls=True))
    if tls:
        await camera.change(rtsp_tls=False)
    error = await connect_error(camera.host, camera.rtsp_port, tls=tls)
    assert ("speak TLS there" in error.detail) is named


@pytest.mark.parametrize(
    ("answer", "condition", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ConditionType.STREAMING, Reason.NOT_RTSP),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ConditionType.STREAMING, Reason.NOT_RTSP),
        (b"\x15\x03\x01\x00\x02\x02\x0a", ConditionType.STREAMING, Reason.NOT_RTSP),
        (b"RTSP/1.0 OK 200\r\n\r\n", ConditionType.STREAMING, Reason.PROTOCOL_ERROR),
        (b"", ConditionType.STREAMING, Reason.STREAM_REFUSED),
        (
            serialise_response(
                200, "OK", [("CSeq", "1")], b"v=0\r\nm=video 0 RTP/AVP 26\r\nm=audio 0 RTP/AVP 0"
            ),
            ConditionType.ELIGIBLE,
            Reason.NO_ALLOWED_STREAM,
        ),
        (
            b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://198.51.100.7/\r\n\r\n",
            ConditionType.STREAMING,
            Reason.STREAM_REDIRECTED,
        ),
        (
            b"RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Kerberos\r\n\r\n",
            ConditionType.STREAMING,
            Reason.PROTOCOL_ERROR,
        ),
    ],
    ids=[
        "http",
        "ssh",
        "tls-alert",
        "bad-status",
        "hang-up",
        "no-h264",
        "redirect",
        "unknown-scheme",
    ],
)
async def test_unusable_rtsp_answers_have_their_reasons(
    answer: bytes, condition: ConditionType, reason: Reason
) -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    async with server:
        error = await connect_error("127.0.0.1", server.sockets[0].getsockname()[1])
    assert (error.condition, error.reason) == (condition, reason)


@pytest.mark.quirk(31)
async def test_frames_sent_before_the_answer_to_play_are_kept_and_those_of_a_dead_session_not() -> (
    None
):
    dead, early, late = (serialise_frame(0, name) for name in (b"dead", b"early", b"late"))
    description = b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    hung_up = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for cseq, frame in enumerate((dead, dead, early), start=1):
            await reader.readuntil(b"\r\n\r\n")
            headers = [("CSeq", str(cseq)), ("Session", "1")]
            body = description if cseq == 1 else b""
            writer.write(frame + serialise_response(200, "OK", headers, body))
        writer.write(late)
        await writer.drain()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        target = StreamTarget("127.0.0.1", server.sockets[0].getsockname()[1], "/")
        stream = await open_stream(target, None, deadline_s=5)
        received = stream.received
        while late not in received:
            assert isinstance(stream.socket, socket.socket)
            received += await asyncio.get_running_loop().sock_recv(stream.socket, 100)
        stream.socket.close()
        await hung_up.wait()
    assert received == early + late


@pytest.mark.parametrize("server", SERVERS)
async def test_stopping_tears_the_session_down(
    simulator: Simulator, loop: MediaLoop, server: str
) -> None:
    camera = await simulator.add(camera_settings(server=server))
    memory = Memory()
    _, handle, ears = await played(loop, camera, memory)
    await eventually_async(lambda: memory.units, within_s=30)
    await asyncio.wrap_future(handle.stop())
    await eventually_async(lambda: camera.counters.teardowns == 1)
    await eventually_async(lambda: camera.counters.sessions_open == 0)
    assert camera.counters.sessions_lost == 0
    assert not ears.errors
    assert not memory.closed, "sinks outlive a session"


async def test_stopping_the_loop_tears_down_and_closes_everything(simulator: Simulator) -> None:
    camera = await simulator.add(camera_settings())
    loop, memory = MediaLoop(tick_s=0.02), Memory()
    loop.start()
    await played(loop, camera, memory)
    await eventually_async(lambda: memory.units)
    await asyncio.to_thread(loop.stop)
    await eventually_async(lambda: camera.counters.teardowns == 1)
    assert memory.closed


async def test_a_sink_goes_on_after_a_reconnect_with_a_later_time(
    simulator: Simulator, loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings())
    memory = Memory()
    feed, handle, ears = await played(loop, camera, memory)
    await eventually_async(lambda: len(memory.units) >= 10)
    await camera.power(False)
    await eventually_async(lambda: ears.errors)
    seen = len(memory.units)
    await camera.power(True)
    feed.play(await opened(camera), Ears())
    await eventually_async(lambda: len(memory.units) >= seen + 10)
    assert (ears.errors[0].condition, ears.errors[0].reason) == (
        ConditionType.STREAMING,
        Reason.STREAM_ENDED,
    )
    assert memory.units[seen].key
    before, after = memory.units[seen - 1], memory.units[seen]
    gap_s = (after.pts_90k - before.pts_90k) / 90_000
    assert abs(gap_s - (after.arrived_at - before.arrived_at)) < 1.0
    assert handle.counters.access_units == seen


def longer_than(units: list[AccessUnit], count: int) -> bool:
    return len(units) > count


def ticked_past(loop: MediaLoop, ticks: int) -> bool:
    return loop.counters.ticks > ticks


async def test_a_camera_whose_clock_does_not_notice_the_break_still_leaves_a_gap(
    simulator: Simulator, loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings())
    memory = Memory()
    feed = loop.open_feed("camera", [memory])
    for timestamp in (0, 3600):
        near, far = socket.socketpair()
        near.setblocking(False)
        stream = PlayingStream(
            near,
            RtspSession(None),
            InterleavedIds(0, 1),
            Codec.H264,
            96,
            camera.clips["main"].parameter_sets,
            b"",
        )
        with far:
            rtp = struct.pack("!BBHII", 0x80, 0xE0, timestamp & 0xFFFF, timestamp, 7)
            far.sendall(serialise_frame(0, rtp + b"\x65\x88picture"))
            seen, ticks = len(memory.units), loop.counters.ticks
            handle = feed.play(stream, Ears())
            await eventually_async(partial(longer_than, memory.units, seen))
            await eventually_async(partial(ticked_past, loop, ticks + 25))
        await asyncio.wrap_future(handle.stop())
    before, after = memory.units
    gap_s = (after.pts_90k - before.pts_90k) / 90_000
    assert gap_s > 0.3
    assert abs(gap_s - (after.arrived_at - before.arrived_at)) < 0.1


@pytest.mark.quirk(39)
@pytest.mark.parametrize("patience", [Patience(no_packets_s=1.0)])
async def test_a_stream_that_freezes_ends_for_want_of_frames(
    simulator: Simulator, loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings())
    memory = Memory()
    _, _, ears = await played(loop, camera, memory)
    await eventually_async(lambda: memory.units)
    await camera.change(freeze=True)
    await eventually_async(lambda: ears.errors)
    assert ears.errors[0].reason is Reason.NO_FRAMES
    await eventually_async(lambda: camera.counters.teardowns == 1)


@pytest.mark.quirk(39)
@pytest.mark.parametrize("patience", [Patience(no_key_frame_s=1.0)])
async def test_pictures_without_a_key_frame_end_for_want_of_one(
    simulator: Simulator, loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(media="p-frames-only"))
    memory = Memory()
    _, handle, ears = await played(loop, camera, memory)
    await eventually_async(lambda: ears.errors)
    assert ears.errors[0].reason is Reason.NO_KEYFRAME
    assert handle.counters.skipped_access_units > 0
    assert not memory.units


@pytest.mark.quirk(29)
@pytest.mark.parametrize("keepalive", ["OPTIONS", "GET_PARAMETER"])
async def test_a_session_lives_on_by_the_keepalive_its_camera_takes(
    simulator: Simulator, loop: MediaLoop, keepalive: str
) -> None:
    camera = await simulator.add(camera_settings(keepalive=(keepalive,), session_timeout_s=4))
    memory = Memory()
    _, handle, ears = await played(loop, camera, memory)
    await eventually_async(lambda: handle.counters.keepalives >= 4, within_s=20)
    assert not ears.errors
    assert camera.counters.sessions_expired == 0


@pytest.mark.quirk(7)
async def test_a_keepalive_with_an_old_nonce_is_answered_with_the_new_one(
    simulator: Simulator, loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(session_timeout_s=4, keepalive=("GET_PARAMETER",)))
    _, handle, ears = await played(loop, camera, Memory())
    camera.doorkeeper._digest_nonces.clear()
    await eventually_async(lambda: handle.counters.keepalives >= 4, within_s=20)
    # OPTIONS, GET_PARAMETER refused and repeated, OPTIONS, GET_PARAMETER.
    await eventually_async(lambda: camera.counters.rtsp_requests["GET_PARAMETER"] == 3)
    assert not ears.errors
    assert camera.counters.sessions_expired == 0


async def test_a_sink_with_a_bug_disturbs_neither_the_other_nor_the_stream(
    simulator: Simulator, loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings())
    broken, memory = Broken(), Memory()
    _, _, ears = await played(loop, camera, broken, memory)
    await eventually_async(lambda: len(memory.units) >= 30)
    assert loop.counters.sink_faults >= 1
    assert broken.ticks > 0
    assert_is_the_clip(memory.units, camera.clips["main"])
    assert not ears.errors


async def test_a_sink_that_joins_later_starts_at_a_key_frame(
    simulator: Simulator, loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings())
    first, second = Memory(), Memory()
    feed, _, _ = await played(loop, camera, first)
    await eventually_async(lambda: len(first.units) >= 5)
    feed.replace_sinks([first, second])
    await eventually_async(lambda: second.units)
    assert second.units[0].key
    feed.replace_sinks([second])
    await eventually_async(lambda: first.closed)
    seen = len(first.units)
    await consistently_async(lambda: len(first.units) == seen, during_s=0.3)
    assert_is_the_clip(second.units, camera.clips["main"])


class Defective:
    """A stream that has a bug while the name of its camera stands in `broken`."""

    def __init__(self, broken: set[str], *arguments: Any) -> None:
        self._broken = broken
        self._stream = Stream(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def tick(self, now: float, ahead_s: float, buffer: memoryview) -> None:
        if self._stream.fanout.camera in self._broken:
            raise ZeroDivisionError
        self._stream.tick(now, ahead_s, buffer)


async def test_a_bug_in_one_stream_ends_that_stream_only(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: set[str] = set()
    monkeypatch.setattr(loop_module, "Stream", partial(Defective, broken))
    loop = MediaLoop(tick_s=0.02)
    loop.start()
    good = await simulator.add(camera_settings(name="good"))
    bad = await simulator.add(camera_settings(name="bad"))
    memory = Memory()
    await played(loop, good, memory)
    feed, handle, ears = await played(loop, bad, Memory())
    await eventually_async(lambda: handle.counters.access_units > 0)

    broken.add("bad")
    await eventually_async(lambda: ears.errors)
    seen = len(memory.units)
    await eventually_async(lambda: len(memory.units) > seen + 10)
    assert loop.counters.stream_faults == 1
    assert [failure.cause for failure in feed.arrivals.failures] == [Cause.SYSTEM]
    await asyncio.to_thread(loop.stop)


async def test_twenty_cameras_share_one_loop_without_a_loss(
    simulator: Simulator, loop: MediaLoop
) -> None:
    cameras = [await simulator.add(camera_settings(name=f"c{i}")) for i in range(20)]
    memories = [Memory() for _ in cameras]
    for camera, memory in zip(cameras, memories, strict=True):
        await played(loop, camera, memory)
    await eventually_async(lambda: all(len(m.units) >= 50 for m in memories), within_s=30)
    for camera, memory in zip(cameras, memories, strict=True):
        assert_is_the_clip(list(memory.units), camera.clips["main"])
