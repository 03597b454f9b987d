# SPDX-License-Identifier: Apache-2.0
"""The address of a stream, declared except for its path, and how the stream may be fetched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtsp.sdp import path_of


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Host and port are the declared ones; only the path is the camera's."""

    host: str
    port: int
    path: str = field(repr=False)
    """Path and query. Some makers want the password in it, so it never enters a message."""
    tls: bool = False
    """Whether to use rtsps."""
    pinned: str | None = None
    """SHA-256 of the certificate that the camera must show; None accepts any."""
    udp_allowed: bool = False
    """Whether to use UDP where the camera offers nothing else."""
    udp_first: bool = False
    """Whether to ask for UDP first, because the camera offered nothing else the last time."""
    audio: bool = False
    """Whether to ask for audio, where the camera offers a codec that we take."""
    keepalive: str = ""
    """A method by which to keep the session alive though Public does not name it; "" for none."""
    session_timeout_s: float = 0.0
    """The timeout that the camera stated last: for so long it may keep a lost session."""

    codecs: tuple[Codec, ...] = tuple(Codec)
    """The codecs that the technical profile allows; the SDP decides, not ONVIF."""

    @classmethod
    def at(cls, host: str, port: int, uri: str) -> StreamTarget:
        """The declared address with the path of any URI that the camera named (quirk 13)."""
        return cls(host, port, path_of(uri) or "/")

    def with_path(self, path: str) -> StreamTarget:
        """The same camera with another path."""
        return replace(self, path=path)

    def url(self, path: str | None = None) -> str:
        """The absolute URL of a path at this address."""
        # A zone (RFC 4007 section 11) means something on this machine only.
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        path = self.path if path is None else path
        # A blank would end the URL in the request line.
        path = path.replace(" ", "%20")
        scheme = "rtsps" if self.tls else "rtsp"
        return f"{scheme}://{host}:{self.port}{path if path.startswith('/') else '/' + path}"
