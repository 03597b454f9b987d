# SPDX-License-Identifier: Apache-2.0
"""Entries of an IngestShard for unit tests: valid as they are, any field replaced by name."""

from __future__ import annotations

from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.ingest_shard import Policy, Relay, ShardCamera
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.policy import CredentialsRef, StreamRole
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits


def shard_camera(name: str = "gate", /, **fields: object) -> ShardCamera:
    """A camera that asks for no login; its uid is its name."""
    defaults: dict[str, object] = {
        "name": name,
        "uid": name,
        "generation": 1,
        "site": "hospital",
        "host": "192.0.2.1",
        "onvif_port": 80,
        "rtsp_port": 554,
        "scheme": Scheme.HTTP,
        "onvif_path": "/onvif/device_service",
        "source": VideoSource(channel=1),
        "policy": 0,
    }
    return ShardCamera(**(defaults | fields))


def shard_policy(*relays: Relay, **fields: object) -> Policy:
    """Nothing is recorded, and relayed only where relays are named."""
    defaults: dict[str, object] = {
        "video": VideoLimits(),
        "stream": StreamRole.MAIN,
        "recording": RecordingPolicy(enabled=False),
        "relays": list(relays),
    }
    return Policy(**(defaults | fields))


def relay_with(secret: str | None) -> Relay:
    """A relay to a monitoring system whose account is in this Secret."""
    return Relay(
        name="national",
        protocol=RelayProtocol.RTSP,
        url_template="rtsp://vms/{camera}",
        codecs=[],
        credentials=secret_ref(secret),
    )


def secret_ref(secret: str | None) -> CredentialsRef | None:
    """A reference to the account in this Secret; None for none."""
    return None if secret is None else CredentialsRef(secret_name=secret)
