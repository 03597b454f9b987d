# SPDX-License-Identifier: Apache-2.0
"""GStreamer's RTSP server taking ANNOUNCE and RECORD on any path under /live/.

A mount point is made when its path is first announced, with one depayloader for each media section
of the announced SDP (gst-rtsp-server wants exactly as many streams as sections). Video in H.264 or
H.265 ends in an appsink that writes each access unit into the ledger, and so does audio in AAC,
G.711 and Opus; every other section is taken and thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, Gst, GstRtsp, GstRtspServer  # noqa: E402

from vms.receiver.ledger import Ledger  # noqa: E402

PREFIX = "/live/"
_ROLE = "publisher"


@dataclass(frozen=True)
class Login:
    """Who may publish; without a username everybody may."""

    username: str = ""
    password: str = ""
    schemes: tuple[str, ...] = ("digest",)


class RecordingServer:
    """Listens from `listen` until `refuse(True)`; runs on the default GLib main context."""

    def __init__(
        self, host: str, port: int, login: Login, ledger: Ledger, certificate: str = ""
    ) -> None:
        """`certificate`: key and certificate in PEM, to speak TLS only; empty for no TLS."""
        self._certificate = certificate
        self._ledger = ledger
        self._host = host
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address(host)
        self._server.set_service(str(port))
        self._source: int = 0
        self.set_login(login)

    @property
    def port(self) -> int:
        return int(self._server.get_bound_port())

    def listen(self) -> None:
        _load_types()
        self._source = self._server.attach(None)
        if not self._source:
            raise OSError(f"cannot listen on {self._host}:{self._server.get_service()}")
        # From now on the same port, also after refusing for a while.
        self._server.set_service(str(self.port))

    def refuse(self, on: bool) -> None:
        """Close the listener and drop every client, or listen again. Call on the main context."""
        if on and self._source:
            _remove_source(self._source)
            self._source = 0
            self._server.client_filter(
                lambda _server, _client: GstRtspServer.RTSPFilterResult.REMOVE
            )
        elif not on and not self._source:
            self.listen()

    def set_login(self, login: Login) -> None:
        """From now on these credentials; publishers that are connected stay."""
        doorman = Doorman(login, self._announced)
        if self._certificate:
            doorman.set_tls_certificate(Gio.TlsCertificate.new_from_pem(self._certificate, -1))
        self._server.set_auth(doorman)

    def _announced(self, path: str, sdp: str) -> None:
        """Make the mount point of what is announced; GStreamer answers 404 where there is none."""
        sections = media_sections(sdp)
        if not path.startswith(PREFIX) or not sections:
            return
        factory = PublisherFactory(path, sections, self._ledger)
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role(_ROLE, right, True)
        factory.set_permissions(permissions)
        self._server.get_mount_points().add_factory(path, factory)


def _body(request: Any) -> str:
    ok, body = request.get_body()
    return bytes(body).decode("utf-8", "replace") if ok == GstRtsp.RTSPResult.OK else ""


class PublisherFactory(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc]  # gi has no types
    """Builds what one publisher's packets run into."""

    def __init__(self, path: str, sections: list[str], ledger: Ledger) -> None:
        super().__init__()
        self._path, self._sections, self._ledger = path, sections, ledger
        self.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        # Over TCP nothing comes late; a jitter buffer would only hold back the last frames at the
        # end.
        self.set_latency(0)
        self.connect("media-configure", self._configured)

    def do_create_element(self, url: Any) -> Any:
        chains = [_chain(number, section) for number, section in enumerate(self._sections)]
        return Gst.parse_launch(f"( {'  '.join(chains)} )")

    def _configured(self, factory: Any, media: Any) -> None:
        codec = next((s for s in self._sections if s in _DEPAYLOADERS), self._sections[0])
        publisher = self._ledger.published(self._path, codec)
        sink = media.get_element().get_by_name("frames")
        if sink is not None:
            sink.connect("new-sample", self._frame, publisher)
        audio = media.get_element().get_by_name("audio")
        if audio is not None:
            audio.connect("new-sample", self._audio, publisher)
        media.connect("prepared", _stamp_by_rtp)
        media.connect("unprepared", lambda _media: self._ledger.left(self._path))

    def _frame(self, sink: Any, publisher: int) -> Any:
        buffer = sink.emit("pull-sample").get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        pts_s = buffer.pts / Gst.SECOND if buffer.pts != Gst.CLOCK_TIME_NONE else -1.0
        self._ledger.frame(self._path, publisher, data, key, pts_s)
        return Gst.FlowReturn.OK

    def _audio(self, sink: Any, publisher: int) -> Any:
        buffer = sink.emit("pull-sample").get_buffer()
        pts_s = buffer.pts / Gst.SECOND if buffer.pts != Gst.CLOCK_TIME_NONE else -1.0
        self._ledger.audio(self._path, publisher, buffer.extract_dup(0, buffer.get_size()), pts_s)
        return Gst.FlowReturn.OK


def _load_types() -> None:
    """Use every foreign type once, before there are threads.

    PyGObject makes its classes at first use, and not for several threads at a time: with twenty
    publishers that began in the same instant there were two classes Gst.Buffer, and each access to
    `pts` raised TypeError ("Must be Gst.Buffer, not Buffer") from then on.
    """
    sample = Gst.Sample.new(Gst.Buffer.new_wrapped(b"0"), None, None, None)
    buffer = sample.get_buffer()
    buffer.extract_dup(0, buffer.get_size())
    buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
    assert buffer.pts == Gst.CLOCK_TIME_NONE


def _stamp_by_rtp(media: Any) -> None:
    """Presentation times from the RTP timestamps alone, not smoothed by when packets happened to
    come."""
    pipeline = media.get_element().get_parent()
    for number in range(pipeline.get_children_count()):
        child = pipeline.get_child_by_index(number)
        if child.get_factory() is not None and child.get_factory().get_name() == "rtpbin":
            child.set_property("buffer-mode", 0)


_DEPAYLOADERS = {"h264": "rtph264depay", "h265": "rtph265depay"}
_AUDIO_DEPAYLOADERS = {
    "mpeg4-generic": "rtpmp4gdepay",
    "pcmu": "rtppcmudepay",
    "pcma": "rtppcmadepay",
    "opus": "rtpopusdepay",
}


def _chain(number: int, section: str) -> str:
    depayloader = _DEPAYLOADERS.get(section)
    if section in _AUDIO_DEPAYLOADERS:
        sink = "appsink name=audio sync=false async=false emit-signals=true max-buffers=0"
        return f"{_AUDIO_DEPAYLOADERS[section]} name=depay{number} ! {sink}"
    if depayloader is None:
        return f"fakesink name=depay{number} sync=false async=false"
    # alignment=au: a buffer is one whole access unit, pushed when the marker or the next timestamp
    # ends it.
    caps = f"video/x-{section},stream-format=byte-stream,alignment=au"
    sink = "appsink name=frames sync=false async=false emit-signals=true max-buffers=0"
    return f"{depayloader} name=depay{number} ! {caps} ! {sink}"


def media_sections(sdp: str) -> list[str]:
    """One word for each m= section: its encoding where we take it apart, else its media type."""
    sections = re.split(r"^m=", sdp, flags=re.MULTILINE)[1:]
    words = []
    for section in sections:
        encoding = re.search(r"^a=rtpmap:\d+ ([^/\s]+)/", section, re.MULTILINE)
        word = encoding[1].lower() if encoding else ""
        known = word in _DEPAYLOADERS or word in _AUDIO_DEPAYLOADERS
        words.append(word if known else section.split(" ", 1)[0])
    return words


_METHODS = {"digest": GstRtsp.RTSPAuthMethod.DIGEST, "basic": GstRtsp.RTSPAuthMethod.BASIC}


class Doorman(GstRtspServer.RTSPAuth):  # type: ignore[misc]  # gi has no types
    """GStreamer's own authentication (Basic, and Digest in MD5 without qop), and a look at each
    request.

    This check is the first that GStreamer makes of a request and the only one, in 1.22, that shows
    us an ANNOUNCE before it looks for the mount point; its pre-announce signal comes too late.
    """

    def __init__(self, login: Login, announced: Callable[[str, str], None]) -> None:
        super().__init__()
        self._announced = announced
        self._open_to_all = not login.username
        methods = [_METHODS[scheme] for scheme in login.schemes]
        self.set_supported_methods(methods[0] if len(methods) == 1 else methods[0] | methods[1])
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", _ROLE)
        if "digest" in login.schemes:
            self.add_digest(login.username, login.password, token)
        if "basic" in login.schemes:
            basic = GstRtspServer.RTSPAuth.make_basic(login.username, login.password)
            self.add_basic(basic, token)

    def do_check(self, context: Any, check: str) -> bool:
        # In its check of the connection GStreamer asks for no login and sets the certificate.
        asked = check == "auth.check.connect" or not self._open_to_all
        if asked and not GstRtspServer.RTSPAuth.do_check(self, context, check):
            return False
        if check == "auth.check.url" and context.method == GstRtsp.RTSPMethod.ANNOUNCE:
            self._announced(context.uri.abspath, _body(context.request))
        return True


def _remove_source(source: int) -> None:
    from gi.repository import GLib

    GLib.source_remove(source)
