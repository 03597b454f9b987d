# SPDX-License-Identifier: Apache-2.0
"""The VMS of tests and demo, pushed to by FFmpeg's muxers: does it count exactly what was sent?

A receiver that counted wrongly would make every claim about lost frames worthless, so its counts
are compared with clips whose every frame is known.
"""

from __future__ import annotations

import io
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import pytest

import vms
from camera_simulator import Clip
from camera_simulator.footage import prepared_clip
from eventually import eventually
from vms import RecordServer, RtmpServer


@pytest.fixture
def record_server() -> Iterator[RecordServer]:
    with RecordServer() as running:
        yield running


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_every_frame_pushed_by_rtsp_is_counted_and_identified(
    record_server: RecordServer, codec: str
) -> None:
    clip = prepared_clip(f"360p-{codec}")
    with Publisher(clip, record_server.url("live/cam01"), "rtsp"):
        eventually(lambda: record_server.streams()["/live/cam01"].frames >= 60)
        counts = record_server.streams()["/live/cam01"]
        frames = record_server.frames("/live/cam01")
    assert (counts.codec, counts.publishers, counts.connected) == (codec, 1, True)
    assert (counts.pts_gaps, counts.pts_backwards) == (0, 0)
    assert [f.sha256 for f in frames] == list(clip.frame_hashes[: len(frames)])
    assert [f.number for f in frames if f.key] == list(range(1, len(frames) + 1, clip.gop))
    steps = {round(b.pts_s - a.pts_s, 3) for a, b in itertools.pairwise(frames)}
    assert steps == {0.04}
    eventually(lambda: not record_server.streams()["/live/cam01"].connected)


def test_a_publisher_that_comes_back_is_counted_as_a_new_one(record_server: RecordServer) -> None:
    clip = prepared_clip("240p-h264")
    for publisher in (1, 2):
        with Publisher(clip, record_server.url("live/cam01"), "rtsp"):
            eventually(partial(frames_of, record_server, publisher))
        eventually(lambda: not record_server.streams()["/live/cam01"].connected)
    assert record_server.streams()["/live/cam01"].publishers == 2


def test_each_path_is_counted_apart(record_server: RecordServer) -> None:
    first, second = prepared_clip("240p-h264"), prepared_clip("240p-h265")
    with (
        Publisher(first, record_server.url("live/phu-yen/cam01"), "rtsp"),
        Publisher(second, record_server.url("live/phu-yen/cam02"), "rtsp"),
    ):
        eventually(lambda: len(record_server.streams()) == 2)
        eventually(lambda: all(s.frames > 5 for s in record_server.streams().values()))
    codecs = {path: s.codec for path, s in record_server.streams().items()}
    assert codecs == {"/live/phu-yen/cam01": "h264", "/live/phu-yen/cam02": "h265"}


def test_the_snapshot_is_the_last_key_frame_as_a_jpeg(record_server: RecordServer) -> None:
    clip = prepared_clip("360p-h264")
    assert record_server.snapshot("/live/cam01") is None
    with Publisher(clip, record_server.url("live/cam01"), "rtsp"):
        picture = eventually(lambda: record_server.snapshot("/live/cam01"))
    with av.open(io.BytesIO(picture), "r") as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (640, 360)


@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_credentials_are_asked_for_and_checked(scheme: str) -> None:
    clip = prepared_clip("240p-h264")
    with RecordServer(username="push", password="s3cret", schemes=(scheme,)) as server:
        url = server.url("live/cam01")
        for login in ("", "push:wrong@"):
            with pytest.raises(av.HTTPUnauthorizedError):
                push_one(clip, url.replace("rtsp://", f"rtsp://{login}"))
        with Publisher(clip, url.replace("rtsp://", "rtsp://push:s3cret@"), "rtsp"):
            eventually(lambda: server.streams()["/live/cam01"].frames > 5)
        server.set_login("push", "changed", (scheme,))
        with pytest.raises(av.HTTPUnauthorizedError):
            push_one(clip, url.replace("rtsp://", "rtsp://push:s3cret@"))


def test_a_vms_that_refuses_drops_its_publishers_and_takes_them_again_at_the_same_port(
    record_server: RecordServer,
) -> None:
    clip = prepared_clip("240p-h264")
    with Publisher(clip, record_server.url("live/cam01"), "rtsp") as publisher:
        eventually(lambda: record_server.streams()["/live/cam01"].frames > 5)
        record_server.refuse(True)
        eventually(lambda: publisher.error is not None)
    with pytest.raises(ConnectionRefusedError):
        push_one(clip, record_server.url("live/cam01"))
    record_server.refuse(False)
    with Publisher(clip, record_server.url("live/cam01"), "rtsp"):
        eventually(lambda: record_server.streams()["/live/cam01"].publishers == 2)


def test_a_path_outside_live_is_not_found(record_server: RecordServer) -> None:
    with pytest.raises(av.HTTPNotFoundError):
        push_one(prepared_clip("240p-h264"), record_server.url("elsewhere/cam01"))


def test_rtmp_is_taken_counted_and_turned_into_hls() -> None:
    clip = prepared_clip("360p-h264")
    with RtmpServer() as server, Publisher(clip, server.url("cam01"), "flv"):
        eventually(lambda: server.streams()["cam01"].bytes > 50_000)
        stream = server.streams()["cam01"]
        assert (stream.publishing, stream.video_codec) == (True, "H264")
        assert (stream.width, stream.height) == (640, 360)
        eventually(lambda: ".ts" in server.hls_playlist("cam01"), within_s=30)


def test_both_servers_end_with_their_parent_process() -> None:
    program = (
        "import sys, time, vms\n"
        "with vms.RecordServer() as a, vms.RtmpServer() as b:\n"
        "    print(a.rtsp_port, b.rtmp_port, flush=True)\n"
        "    time.sleep(600)\n"
    )
    support = str(Path(vms.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": support},
    ) as starter:
        assert starter.stdout is not None
        ports = [int(word) for word in starter.stdout.readline().split()]
        assert all(is_open(port) for port in ports)
        starter.kill()
    eventually(lambda: not any(is_open(port) for port in ports))


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def frames_of(record_server: RecordServer, publisher: int) -> int:
    return sum(f.publisher == publisher for f in record_server.frames("/live/cam01"))


# Publishing


class Publisher:
    """Pushes a clip in a thread, at the clip's own pace, until the block ends."""

    def __init__(self, clip: Clip, url: str, container_format: str) -> None:
        self._clip, self._url, self._format = clip, url, container_format
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            push(self._clip, self._url, self._format, self._stop)
        except OSError as error:
            self.error = error


def push_one(clip: Clip, url: str) -> None:
    """One frame: enough to be let in or refused."""
    stop = threading.Event()
    stop.set()
    push(clip, url, "rtsp", stop)


def push(clip: Clip, url: str, container_format: str, stop: threading.Event) -> None:
    """At least one frame, then on until told to stop; about 25 frames a second as the clip has
    them."""
    options = {"rtsp_transport": "tcp"} if container_format == "rtsp" else {}
    raw_format = "h264" if clip.codec == "h264" else "hevc"
    with (
        av.open(str(clip.stream_path), format=raw_format) as source,
        av.open(url, "w", format=container_format, options=options) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = (packet for packet in source.demux(video=0) if packet.size)
        for number, packet in enumerate(packets):
            packet.stream = stream
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, clip.fps)
            out.mux(packet)
            if stop.wait(1 / clip.fps):
                return
