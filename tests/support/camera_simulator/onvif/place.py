# SPDX-License-Identifier: Apache-2.0
"""How a camera writes its own addresses: rightly, or as installer and firmware left them."""

from __future__ import annotations

from dataclasses import dataclass

from camera_simulator.settings import CameraSettings

MEDIA_PATH = "/onvif/media_service"
MEDIA2_PATH = "/onvif/media2_service"
EVENTS_PATH = "/onvif/event_service"
SNAPSHOT_PATH = "/onvif/snapshot"


@dataclass(frozen=True)
class Place:
    """The camera's own idea of where it is, for one answer."""

    settings: CameraSettings
    local_host: str
    onvif_port: int
    rtsp_port: int

    @property
    def host(self) -> str:
        return self.settings.advertised_host or self.local_host

    @property
    def device_xaddr(self) -> str:
        return self.web(self.settings.device_path)

    @property
    def snapshot_uri(self) -> str:
        kind = self.settings.snapshot
        if kind == "rtsp":
            return self.stream_uri("/live/main")
        return self.web(SNAPSHOT_PATH + ("?user=admin&pwd=12345" if kind == "with-user" else ""))

    def web(self, path: str) -> str:
        s = self.settings
        return _address(
            "http", self.host, s.advertised_port or self.onvif_port, path, s.address_form
        )

    def stream_uri(self, path: str) -> str:
        s = self.settings
        host, port = s.stream_host or self.host, s.stream_port or self.rtsp_port
        return _address("rtsp", host, port, path, s.address_form)


def _address(scheme: str, host: str, port: int, path: str, form: str) -> str:
    host = f"[{host}]" if ":" in host else host
    if form == "schemeless":
        return f"{host}:{port}{path}"
    user = "admin:12345@" if form == "with-credentials" else ""
    return f"{scheme}://{user}{host}:{port}{path}"
