# SPDX-License-Identifier: Apache-2.0
"""Camera: one video source of a device."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from camfleet_api.base import (
    ATOMIC_LIST,
    DisplayName,
    ListType,
    Model,
    ObjectName,
    Rule,
    SparseModel,
)
from camfleet_api.conditions import Condition
from camfleet_api.kind import (
    AGE,
    NAME_RULE,
    Column,
    Kind,
    message_column,
    ready_column,
    reason_column,
)
from camfleet_api.policy import HOST_RULE, ZONE_RULE, Credentials, Host, Ports, Zone

Token = Annotated[str, Field(min_length=1, max_length=64)]
"""An ONVIF ReferenceToken (ONVIF Core, section 5.3: up to 64 characters)."""


class Scheme(StrEnum):
    """How the ONVIF service is spoken to."""

    HTTP = "http"
    HTTPS = "https"


class RtspScheme(StrEnum):
    """How streams are fetched."""

    RTSP = "rtsp"
    RTSPS = "rtsps"


Fingerprint = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a certificate in DER form, lower-case hexadecimal without colons."""


class VideoSource(Model):
    """Which video source of the device: exactly one way to name it."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.channel) ? 1 : 0) + (has(self.videoSourceToken) ? 1 : 0) + "
            "(has(self.profileToken) ? 1 : 0) == 1",
            "source needs exactly one of channel, videoSourceToken and profileToken",
        ),
    )

    channel: Annotated[
        int | None,
        Field(ge=1, le=256, description="n-th video source in the device's order, from 1."),
    ] = None
    video_source_token: Token | None = Field(None, description="ONVIF token of the video source.")
    profile_token: Token | None = Field(
        None, description="ONVIF token of one media profile; no choice is made then."
    )


class CameraOverrides(Model):
    """What this camera does differently from its site."""

    profile_ref: ObjectName | None = Field(
        None, description="TechnicalProfile instead of the site's."
    )
    monitoring_system_refs: Annotated[
        list[ObjectName] | None,
        Field(
            max_length=2,
            description="MonitoringSystems instead of the site's; an empty list relays nowhere.",
        ),
        ATOMIC_LIST,
    ] = None
    recording: bool | None = Field(
        None, description="Record or not, instead of what the profile says."
    )


class CameraSpec(Model):
    """One video source of a device at a site, as declared."""

    cel: ClassVar[tuple[Rule, ...]] = (
        HOST_RULE,
        ZONE_RULE,
        Rule(
            "self.siteRef == oldSelf.siteRef",
            "siteRef cannot change: delete the Camera and create it at the other Site",
            ".siteRef",
        ),
        Rule(
            "!has(self.onvifPath) || !self.onvifPath.contains('@')",
            "onvifPath must be a path alone, without host and credentials",
            ".onvifPath",
        ),
    )

    site_ref: ObjectName = Field(description="Name of the Site in this namespace. Immutable.")
    display_name: DisplayName | None = Field(
        None, description="Label for people, such as 'Gate, north side'."
    )
    host: Host = Field(description="Address or name of the device, without scheme and port.")
    ports: Ports = Field(default_factory=Ports, description="Ports of the device.")
    scheme: Scheme = Field(Scheme.HTTP, description="http or https for the ONVIF service.")
    onvif_path: Annotated[
        str, Field(max_length=256, pattern=r"^/\S*$", description="Path of the device service.")
    ] = "/onvif/device_service"
    rtsp_scheme: RtspScheme = Field(
        RtspScheme.RTSP, description="rtsp, or rtsps for streams over TLS."
    )
    certificate_fingerprint: Fingerprint | None = Field(
        None,
        description="SHA-256 of the device's TLS certificate, 64 hexadecimal digits; when absent, "
        "the first one seen is held on to. Holds wherever TLS is spoken; to demand TLS, set "
        "scheme to https and rtspScheme to rtsps.",
    )
    serial_number: Annotated[str | None, Field(min_length=1, max_length=64)] = Field(
        None,
        description="Serial number that the device must have; setting it confirms an exchange.",
    )
    source: VideoSource = Field(
        default_factory=lambda: VideoSource(channel=1),
        description="Which video source of the device; its first when absent.",
    )
    zone: Zone = Field(description="Where the camera looks.")
    credentials: Credentials | None = Field(
        None, description="How to log in; the Site's when absent."
    )
    overrides: CameraOverrides | None = Field(
        None, description="What this camera does differently from its site."
    )
    paused: bool = Field(False, description="True: connected to nothing, counted as paused.")


class DeviceStatus(SparseModel):
    """What the device says it is (ONVIF GetDeviceInformation).

    Held on to: when another device answers, IdentityStable says so and this stays until a person
    confirms the exchange.
    """

    atomic: ClassVar[bool] = True

    manufacturer: Annotated[str, Field(max_length=64)] = Field("", description="Maker.")
    model: Annotated[str, Field(max_length=64)] = Field("", description="Model.")
    firmware_version: Annotated[str, Field(max_length=64)] = Field(
        "", description="Firmware version."
    )
    serial_number: Annotated[str, Field(max_length=64)] = Field(
        "", description="Serial number; not unique in practice."
    )
    hardware_id: Annotated[str, Field(max_length=64)] = Field("", description="Hardware id.")
    endpoint_reference: Annotated[str, Field(max_length=128)] = Field(
        "", description="WS-Addressing endpoint reference (ONVIF Core, GetEndpointReference)."
    )
    mac_address: Annotated[str, Field(max_length=17)] = Field(
        "", description="Hardware address of its first enabled network interface."
    )


class LearnedStatus(SparseModel):
    """What a worker found out about the camera, so that a restart goes straight to RTSP."""

    atomic: ClassVar[bool] = True

    clock_offset_seconds: Annotated[
        int | None,
        Field(
            ge=-(2**40),
            le=2**40,
            description="Camera's clock minus ours when last asked, in seconds.",
        ),
    ] = None
    auth_scheme: Annotated[str, Field(max_length=32)] = Field(
        "", description="digest, ws-username-token or none."
    )
    media_version: Annotated[str, Field(max_length=2)] = Field(
        "", description="ONVIF media service version used."
    )
    media_path: Annotated[str, Field(max_length=256)] = Field(
        "", description="Path of the media service."
    )
    scheme: Annotated[str, Field(max_length=5)] = Field(
        "", description="http or https, where it differs from spec.scheme."
    )
    device_path: Annotated[str, Field(max_length=256)] = Field(
        "", description="Path of the device service, where it differs from spec.onvifPath."
    )
    soap_version: Annotated[str, Field(max_length=3)] = Field(
        "", description="1.1 where the device does not speak SOAP 1.2."
    )
    certificate: Annotated[str, Field(max_length=64)] = Field(
        "", description="SHA-256 of the certificate of the ONVIF port when it was first seen."
    )
    stream_certificate: Annotated[str, Field(max_length=64)] = Field(
        "", description="SHA-256 of the certificate of the RTSP port when it was first seen."
    )
    transport: Annotated[str, Field(max_length=3)] = Field(
        "", description="udp where the camera sends its stream in no other way."
    )
    keepalive: Annotated[str, Field(max_length=13)] = Field(
        "",
        description="RTSP method that keeps a session alive though the camera does not name it.",
    )
    profile_token: Annotated[str, Field(max_length=64)] = Field(
        "", description="Media profile that was picked."
    )
    encoder_token: Annotated[str, Field(max_length=64)] = Field(
        "", description="Video encoder configuration of that profile."
    )
    video_source_token: Annotated[str, Field(max_length=64)] = Field(
        "", description="Video source of that profile."
    )
    channel: Annotated[int, Field(ge=0)] = Field(
        0, description="Channel that this video source is; 0 where another selector is declared."
    )
    stream_path: Annotated[str, Field(max_length=512)] = Field(
        "", description="Path and query of the stream, without credentials."
    )
    codec: Annotated[str, Field(max_length=16)] = Field("", description="Codec of the stream.")
    width: Annotated[int, Field(ge=0, le=65535)] = Field(0, description="Picture width.")
    height: Annotated[int, Field(ge=0, le=65535)] = Field(0, description="Picture height.")
    generation: Annotated[int, Field(ge=0)] = Field(
        0, description="metadata.generation it was learnt under."
    )


class Attempts(Model):
    """Logins with credentials not yet proven, written before each is made.

    Shared by every worker that ever holds the camera, so that restarts and moves spend no more:
    cameras lock accounts after five.
    """

    atomic: ClassVar[bool] = True

    account: Annotated[str, Field(max_length=64)] = Field(
        description="Hash of device address, user name and Secret version."
    )
    count: Annotated[int, Field(ge=0, le=100)] = Field(description="Attempts made.")
    proven: bool = Field(False, description="True once one of them succeeded.")
    last: datetime = Field(description="When the last one was made.")


class CameraStatus(Model):
    """What is known of the camera."""

    observed_generation: Annotated[
        int | None, Field(ge=0, description="metadata.generation last planned.")
    ] = None
    shard: Annotated[str | None, Field(max_length=63)] = Field(
        None, description="IngestShard that holds the camera."
    )
    conditions: Annotated[
        list[Condition],
        Field(max_length=32, description="Conditions by type; see crds/README.md."),
        ListType("map", ("type",)),
    ] = []
    device: DeviceStatus | None = Field(None, description="What the device says it is.")
    learned: LearnedStatus | None = Field(
        None, description="What a worker learnt in order to connect quickly."
    )
    attempts: Attempts | None = Field(None, description="Logins spent, to spare the account.")


CAMERA = Kind(
    name="Camera",
    plural="cameras",
    short_names=("cam", "cams"),
    namespaced=True,
    description="A Camera is one video source of a device at a Site: declared here, connected by "
    "a worker over ONVIF and RTSP, relayed to the monitoring system and recorded.",
    spec=CameraSpec,
    status=CameraStatus,
    columns=(
        Column("Site", ".spec.siteRef"),
        Column("Zone", ".spec.zone", wide=True),
        Column("Host", ".spec.host", wide=True),
        ready_column("Ready"),
        reason_column("Ready"),
        Column("Shard", ".status.shard", wide=True),
        Column("Model", ".status.device.model", wide=True),
        message_column("Ready"),
        AGE,
    ),
    rules=(NAME_RULE,),
)
