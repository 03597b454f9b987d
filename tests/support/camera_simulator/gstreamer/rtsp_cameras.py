# SPDX-License-Identifier: Apache-2.0
"""gst-rtsp-server playing clips: one server and port a camera, one shared pipeline a watched
stream.

A looping file source would jump back in time at each end and upset every receiver, so frames are
pushed by an appsrc with presentation times of our own that only ever grow. Authentication is
GStreamer's (Basic, and Digest in MD5 without qop); we only look on and tell what it decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

from camera_simulator.clips import Clip, load_clip  # noqa: E402

Tell = Callable[[dict[str, Any]], None]

TICK_MS = 20
_ROLE = "viewer"
_METHODS = {"digest": GstRtsp.RTSPAuthMethod.DIGEST, "basic": GstRtsp.RTSPAuthMethod.BASIC}


class RtspCameras:
    """All cameras of this process, and the ticker that feeds the watched ones."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._cameras: dict[str, RtspCamera] = {}
        GLib.timeout_add(TICK_MS, self._tick)
        GLib.timeout_add_seconds(1, self._every_second)

    def obey(self, command: dict[str, Any]) -> None:
        name = command["name"]
        if command["do"] == "remove":
            self._cameras.pop(name).power(False)
            return
        if name not in self._cameras:
            self._cameras[name] = RtspCamera(command, self._tell)
        self._cameras[name].set(command)

    def _tick(self) -> bool:
        for camera in self._cameras.values():
            camera.feed()
        return True

    def _every_second(self) -> bool:
        for camera in self._cameras.values():
            camera.every_second()
        return True


class RtspCamera:
    """One camera: its server, its streams, and what it has sent."""

    def __init__(self, command: dict[str, Any], tell: Tell) -> None:
        self.name: str = command["name"]
        self._tell = tell
        self._freeze = False
        self._source = 0
        self._auth: Any = None
        self._frames_told = 0
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address(command["host"])
        self._server.set_service(str(command["port"]))
        self._server.connect("client-connected", self._client_connected)
        self._streams = [
            ClipFactory(load(folder), command["start_frame"], command["audio"])
            for folder in command["streams"].values()
        ]
        for stream, factory in zip(command["streams"], self._streams, strict=True):
            self._server.get_mount_points().add_factory(f"/live/{stream}", factory)

    def _say(self, **event: Any) -> None:
        self._tell({"camera": self.name, **event})

    def set(self, command: dict[str, Any]) -> None:
        """Make it what the command says: credentials, freeze, power."""
        self._auth = Doorman(command, self._say) if command["password"] is not None else None
        self._server.set_auth(self._auth)
        self._freeze = command["freeze"]
        self.power(command["power"])

    def power(self, on: bool) -> None:
        if on and not self._source:
            self._source = self._server.attach(None)
            if not self._source:
                raise OSError(f"cannot listen on port {self._server.get_service()}")
        elif not on and self._source:
            GLib.source_remove(self._source)
            self._source = 0
            self._server.client_filter(lambda _s, _c: GstRtspServer.RTSPFilterResult.REMOVE)

    def feed(self) -> None:
        for factory in self._streams:
            factory.feed(self._freeze)

    def every_second(self) -> None:
        """Tell what was sent, and let sessions end whose keepalive stayed away."""
        self._server.get_session_pool().cleanup()
        frames = sum(factory.frames_sent for factory in self._streams)
        if frames != self._frames_told:
            self._say(event="sent", frames=frames, bytes=sum(f.bytes_sent for f in self._streams))
            self._frames_told = frames

    def _client_connected(self, server: Any, client: Any) -> None:
        self._say(event="connected")
        playing: set[bool] = set()

        def played(_client: Any, _context: Any) -> None:
            if not playing:
                playing.add(True)
                self._say(event="playing")

        def torn_down(_client: Any, _context: Any) -> None:
            playing.clear()
            self._say(event="teardown")

        def closed(_client: Any) -> None:
            self._say(event="closed", playing=bool(playing))

        client.connect("play-request", played)
        client.connect("teardown-request", torn_down)
        client.connect("closed", closed)


class ClipFactory(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc]  # gi has no types
    """One stream: a pipeline while somebody watches, shared by all who do."""

    def __init__(self, clip: Clip, start_frame: int, audio: dict[str, Any] | None) -> None:
        super().__init__()
        self._clip = clip
        self._audio = Tone(audio) if audio else None
        self._first = start_frame - start_frame % clip.gop
        self._source: Any = None
        self._next = 0
        self.frames_sent = 0
        self.bytes_sent = 0
        self.set_shared(True)
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role(_ROLE, right, True)
        self.set_permissions(permissions)
        self.connect("media-configure", self._configured)

    def do_create_element(self, url: Any) -> Any:
        codec = self._clip.codec
        caps = f"video/x-{codec},stream-format=byte-stream,alignment=au"
        return Gst.parse_launch(
            f"( appsrc name=source is-live=true format=time caps={caps},"
            f"framerate={self._clip.fps}/1 ! {codec}parse "
            f"! rtp{codec}pay name=pay0 pt=96 config-interval=-1 "
            f"{self._audio.pipeline if self._audio else ''} )"
        )

    def _configured(self, factory: Any, media: Any) -> None:
        self._next = 0
        if self._audio is not None:
            self._audio.begin(media.get_element().get_by_name("tone"))
        # Last: this is a client's thread, and the main loop feeds whatever has a source.
        self._source = media.get_element().get_by_name("source")
        media.connect("unprepared", self._unwatched, self._source)

    def _unwatched(self, media: Any, source: Any) -> None:
        if self._source is source:  # a newer pipeline may have taken its place already
            self._source = None

    def feed(self, frozen: bool) -> None:
        """Push what is due by the pipeline's own running time; nothing before it runs."""
        source = self._source
        if source is None:
            return
        now = _running_time(source)
        frame_ns = Gst.SECOND // self._clip.fps
        while self._next * frame_ns <= now:
            if not frozen:
                self._push(source, self._next * frame_ns)
            self._next += 1
        if self._audio is not None:
            self._audio.feed(now)

    def _push(self, source: Any, pts: int) -> None:
        data = buffers(self._clip.folder)[(self._first + self._next) % len(self._clip.frames)]
        source.emit("push-buffer", stamped(data, pts, Gst.SECOND // self._clip.fps))
        self.frames_sent += 1
        self.bytes_sent += data.get_size()


class Tone:
    """The audio beside a clip, round and round."""

    _PAYLOADS: ClassVar = {
        "pcmu": ("audio/x-mulaw,rate=8000,channels=1", "rtppcmupay name=pay1 pt=0"),
        "pcma": ("audio/x-alaw,rate=8000,channels=1", "rtppcmapay name=pay1 pt=8"),
        "opus": (
            "audio/x-opus,rate=48000,channels=1,channel-mapping-family=0",
            "rtpopuspay name=pay1 pt=97",
        ),
        "aac": (
            "audio/mpeg,mpegversion=4,stream-format=raw,rate=16000,channels=1,codec_data=(buffer)",
            "rtpmp4gpay name=pay1 pt=97",
        ),
    }

    def __init__(self, audio: dict[str, Any]) -> None:
        caps, payloader = self._PAYLOADS[audio["codec"]]
        size = " mtu=150" if audio["in_fragments"] else ""
        self.pipeline = (
            f"appsrc name=tone is-live=true format=time caps={caps}{audio['config']} "
            f"! {payloader}{size}"
        )
        self._unit_ns = Gst.SECOND * audio["unit_ticks"] // audio["clock_hz"]
        self._units = [Gst.Buffer.new_wrapped(bytes.fromhex(unit)) for unit in audio["units"]]
        self._source: Any = None
        self._next = 0

    def begin(self, source: Any) -> None:
        self._source, self._next = source, 0

    def feed(self, now: int) -> None:
        while self._next * self._unit_ns <= now:
            data = self._units[self._next % len(self._units)]
            buffer = stamped(data, self._next * self._unit_ns, self._unit_ns)
            self._source.emit("push-buffer", buffer)
            self._next += 1


class Doorman(GstRtspServer.RTSPAuth):  # type: ignore[misc]  # gi has no types
    """GStreamer's own authentication; every verdict on a request with credentials is told."""

    def __init__(self, command: dict[str, Any], say: Callable[..., None]) -> None:
        super().__init__()
        self._username, self._say = command["username"], say
        methods = [_METHODS[scheme] for scheme in command["schemes"]]
        self.set_supported_methods(methods[0] if len(methods) == 1 else methods[0] | methods[1])
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", _ROLE)
        if "digest" in command["schemes"]:
            self.add_digest(command["username"], command["password"], token)
        if "basic" in command["schemes"]:
            make_basic = GstRtspServer.RTSPAuth.make_basic
            self.add_basic(make_basic(command["username"], command["password"]), token)

    def do_check(self, context: Any, check: str) -> bool:
        opened = bool(GstRtspServer.RTSPAuth.do_check(self, context, check))
        # DESCRIBE and SETUP come here twice, for access and for construction; once is one attempt.
        if check == "auth.check.media.factory.access":
            found, header = context.request.get_header(GstRtsp.RTSPHeaderField.AUTHORIZATION, 0)
            if found == GstRtsp.RTSPResult.OK:
                self._tell_attempt(header, opened)
        return opened

    def _tell_attempt(self, header: str, opened: bool) -> None:
        scheme = header.partition(" ")[0].lower()
        named = re.search(r'username="([^"]*)"', header)
        account = named[1] if named else self._username
        self._say(event="attempt", scheme=scheme, account=account, opened=opened)


def _running_time(source: Any) -> int:
    """Of the pipeline, in ns. 0 while it does not play yet: one frame is due then, from which
    GStreamer learns the format for the SDP.

    On its way to playing an element has a clock before it has a base time, and a running time as
    long as this machine has been up: whoever believed it pushed 670,000 frames at once, and the
    next one hours later.
    """
    if not source.get_base_time():
        return 0
    now: int = source.get_current_running_time()
    return 0 if now == Gst.CLOCK_TIME_NONE else now


@cache
def load(folder: str) -> Clip:
    return load_clip(Path(folder))


@cache
def buffers(folder: Path) -> list[Any]:
    """The clip's access units as GStreamer buffers in Annex B form, shared by all its cameras."""
    clip = load(str(folder))
    start_code = b"\x00\x00\x00\x01"
    return [
        Gst.Buffer.new_wrapped(b"".join(start_code + unit for unit in frame.units))
        for frame in clip.frames
    ]


def stamped(data: Any, pts: int, duration: int) -> Any:
    """A buffer with times of its own, in ns, that shares the memory of `data`.

    PyGObject's `Buffer.copy()` only takes another reference: with it, cameras that came to the same
    frame of a clip at once sent it with each other's times (GStreamer 1.22).
    """
    buffer = data.copy_region(Gst.BufferCopyFlags.MEMORY, 0, data.get_size())
    buffer.pts = buffer.dts = pts
    buffer.duration = duration
    return buffer
