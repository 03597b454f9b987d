# SPDX-License-Identifier: Apache-2.0
"""Where a stream is and how it may be fetched: the declared address with a path of the camera's."""

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
    """rtsps."""
    pinned: str | None = None
    """SHA-256 of the certificate the camera must show; None: whichever it shows first."""
    udp_allowed: bool = False
    """UDP where the camera takes nothing else."""
    udp_first: bool = False
    """It took nothing else the last time."""
    audio: bool = False
    """Audio too, where the camera offers one that we take."""
    session_timeout_s: float = 0.0
    """What the camera stated the last time: how long a lost session may occupy a place."""

    codecs: tuple[Codec, ...] = tuple(Codec)
    """What the technical profile allows; the SDP is believed, whatever ONVIF called it."""

    @classmethod
    def at(cls, host: str, port: int, uri: str) -> StreamTarget:
        """The declared address with the path of any URI that the camera named (quirk 13)."""
        return cls(host, port, path_of(uri) or "/")

    def with_path(self, path: str) -> StreamTarget:
        """The same camera, elsewhere on it."""
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
