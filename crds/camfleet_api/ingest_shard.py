# SPDX-License-Identifier: Apache-2.0
"""IngestShard: the fully resolved work list of one worker. Workers read nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from camfleet_api.base import ATOMIC_LIST, Model, ObjectName, Port, SparseModel
from camfleet_api.camera import Fingerprint, RtspScheme, Scheme, VideoSource
from camfleet_api.device_address import DeviceAddress
from camfleet_api.kind import AGE, Column, Kind
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.names import MAX_CAMERAS_PER_SHARD
from camfleet_api.policy import CredentialsRef, Host, StreamRole, VideoCodec
from camfleet_api.site import MaintenanceWindow
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits


class Relay(Model):
    """One monitoring system, resolved."""

    name: ObjectName = Field(description="Name of the MonitoringSystem.")
    protocol: RelayProtocol = Field(description="How streams are sent.")
    url_template: Annotated[str, Field(max_length=512)] = Field(description="URL of a stream.")
    codecs: Annotated[list[VideoCodec], Field(max_length=2), ATOMIC_LIST] = Field(
        description="Codecs it takes."
    )
    credentials: CredentialsRef | None = Field(None, description="Secret for it.")


class Policy(Model):
    """What cameras of one kind are held to; cameras refer to it by index."""

    video: VideoLimits = Field(description="Bounds on streams.")
    stream: StreamRole = Field(description="Stream that is relayed and recorded.")
    audio: bool = Field(False, description="Keep the audio.")
    udp_fallback: bool = Field(False, description="UDP where a camera takes nothing else.")
    recording: RecordingPolicy = Field(description="Recording and retention.")
    relays: Annotated[list[Relay], Field(max_length=2), ATOMIC_LIST] = Field(
        description="Monitoring systems, resolved."
    )
    site_connects_per_second: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="Connect budget of a site."
    )
    site_retention_bytes: Annotated[int | None, Field(ge=1, le=1 << 60)] = Field(
        None, description="Most that recordings of a site take on one volume."
    )
    site_maintenance_windows: Annotated[
        list[MaintenanceWindow],
        Field(max_length=32, description="Planned work of a site, past and future."),
        ATOMIC_LIST,
    ] = []


class ShardCamera(Model):
    """One camera with everything needed to run it, addresses mapped."""

    name: ObjectName = Field(description="Name of the Camera.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="UID of the Camera.")
    generation: Annotated[int, Field(ge=0)] = Field(
        description="metadata.generation it was resolved from."
    )
    site: ObjectName = Field(description="Name of the Site.")
    host: Host = Field(description="Address to connect to.")
    onvif_port: Port = Field(description="ONVIF port to connect to.")
    rtsp_port: Port = Field(description="RTSP port to connect to.")
    scheme: Scheme = Field(description="http or https.")
    onvif_path: Annotated[str, Field(max_length=256)] = Field(
        description="Path of the device service."
    )
    rtsp_scheme: RtspScheme = Field(RtspScheme.RTSP, description="rtsp or rtsps.")
    certificate_fingerprint: Fingerprint | None = Field(
        None, description="SHA-256 of the certificate it must show; absent: the first one seen."
    )
    serial_number: Annotated[str | None, Field(max_length=64)] = Field(
        None, description="Serial number it must have; absent: the first one seen."
    )
    source: VideoSource = Field(description="Which video source.")
    credentials: CredentialsRef | None = Field(None, description="Absent: no login.")
    login_after: ObjectName | None = Field(
        None,
        description="Camera in the hands of another worker that tries this account first; "
        "without its success no login is tried here, so that two workers lock nothing together.",
    )
    policy: Annotated[int, Field(ge=0, le=MAX_CAMERAS_PER_SHARD)] = Field(
        description="Index into spec.policies."
    )

    @property
    def device(self) -> DeviceAddress:
        """The device that the camera belongs to."""
        return DeviceAddress(self.host, self.onvif_port)


class IngestShardSpec(Model):
    """The work list of one worker."""

    hash: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Hash of policies and cameras; the worker acknowledges it."
    )
    policies: Annotated[
        list[Policy],
        Field(max_length=MAX_CAMERAS_PER_SHARD, description="Policies, by index."),
        ATOMIC_LIST,
    ] = []
    cameras: Annotated[
        list[ShardCamera],
        Field(max_length=MAX_CAMERAS_PER_SHARD, description="The cameras."),
        ATOMIC_LIST,
    ] = []


DELETED_EARLY_STEP = timedelta(days=1)
"""By so much an entry of deletedEarly moves: a volume that is always full loses its oldest minute
every minute, and a report of each would be a write and an Event for ever."""


class DeletedEarly(Model):
    """Recordings of one site that went before their retention was over: space ran out."""

    site: ObjectName = Field(description="Name of the Site.")
    until: datetime = Field(
        description="When the youngest of them began; written again when that has moved by a day."
    )
    retention_days: Annotated[int, Field(ge=1, le=400)] = Field(
        description="Days for which that one should have been kept."
    )


# Sparse: server-side apply refuses a field that the CRD does not know, so a worker that is newer
# than the CRD could otherwise not even acknowledge.
class IngestShardStatus(SparseModel):
    """The worker's acknowledgement, and which recordings it could not keep."""

    observed_hash: Annotated[str, Field(max_length=64)] = Field(
        "", description="spec.hash that the worker runs."
    )
    deleted_early: Annotated[
        list[DeletedEarly],
        Field(
            max_length=MAX_CAMERAS_PER_SHARD,
            description="Sites whose recordings were deleted before their retention was over, "
            "because space ran out; an entry goes when that retention is over.",
        ),
        ATOMIC_LIST,
    ] = []

    atomic: ClassVar[bool] = False


def secrets_of_camera(camera: ShardCamera, policy: Policy) -> frozenset[str]:
    """Names of the Secrets that running this camera under this policy needs."""
    return _names((camera.credentials, *(relay.credentials for relay in policy.relays)))


def secrets_of_shard(spec: IngestShardSpec) -> frozenset[str]:
    """Names of the Secrets that a work list needs: the operator grants these, the worker reads
    these."""
    cameras = (camera.credentials for camera in spec.cameras)
    relays = (relay.credentials for policy in spec.policies for relay in policy.relays)
    return _names((*cameras, *relays))


def _names(refs: Iterable[CredentialsRef | None]) -> frozenset[str]:
    return frozenset(ref.secret_name for ref in refs if ref is not None)


INGEST_SHARD = Kind(
    name="IngestShard",
    plural="ingestshards",
    short_names=("shard",),
    namespaced=True,
    description="An IngestShard is the fully resolved work list of one worker, written by the "
    "operator. Do not edit it: change the Camera, the Site or what they refer to.",
    spec=IngestShardSpec,
    status=IngestShardStatus,
    columns=(
        Column("Hash", ".spec.hash"),
        Column("Observed", ".status.observedHash"),
        AGE,
    ),
)
