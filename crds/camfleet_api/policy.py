# SPDX-License-Identifier: Apache-2.0
"""Values that several kinds share: codecs, stream roles, zones, credentials, storage."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from camfleet_api.base import Model, ObjectName, Port, Rule, SecretKey


class VideoCodec(StrEnum):
    """Video codecs by their SDP encoding name."""

    H264 = "H264"
    H265 = "H265"


class StreamRole(StrEnum):
    """Which of a camera's streams is meant."""

    MAIN = "main"
    SUB = "sub"


class Zone(StrEnum):
    """Where in a facility a camera looks. The last three must not be watched at all."""

    CORRIDOR = "corridor"
    LOBBY = "lobby"
    YARD = "yard"
    RECEPTION = "reception"
    MEDICAL = "medical"
    SUPPLY = "supply"
    WASHROOM_OUTSIDE = "washroom-outside"
    GATE = "gate"
    OTHER_PUBLIC = "other-public"
    ROOM = "room"
    TOILET = "toilet"
    BATHROOM = "bathroom"


FORBIDDEN_ZONES = (Zone.ROOM, Zone.TOILET, Zone.BATHROOM)

ZONE_RULE = Rule(
    f"!(self.zone in {[zone.value for zone in FORBIDDEN_ZONES]})",
    "zone must be a public area: cameras inside rooms, toilets and bathrooms are forbidden",
    ".zone",
)

HOST_RULE = Rule(
    "!self.host.contains('/') && !self.host.contains('@') && "
    "(!self.host.contains(':') || isIP(self.host))",
    "host must be an address or a name alone: no scheme, no credentials, no path; "
    "put ports into spec.ports",
    ".host",
)

Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^\S+$")]


class CredentialsRef(Model):
    """Where a user name and a password are: keys of a Secret of the same namespace.

    The Secret must be of type camfleet.vnpt.vn/credentials. One Secret for a site with many keys
    is better than one Secret for each camera.
    """

    secret_name: ObjectName = Field(description="Name of the Secret in this namespace.")
    username_key: SecretKey = Field("username", description="Key that holds the user name.")
    password_key: SecretKey = Field("password", description="Key that holds the password.")


class Credentials(Model):
    """How to log in to a camera: by a Secret, or not at all."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.secret) != (has(self.anonymous) && self.anonymous)",
            "credentials needs exactly one of secret and anonymous: true",
        ),
    )

    secret: CredentialsRef | None = Field(None, description="Log in with this Secret.")
    anonymous: bool | None = Field(None, description="True for a camera that asks for no login.")


class Ports(Model):
    """The TCP ports of a device as seen from the workers."""

    onvif: Port = Field(80, description="Port of the ONVIF device service.")
    rtsp: Port = Field(554, description="Port of the RTSP server.")


class VolumeClaim(Model):
    """A PersistentVolumeClaim of the same namespace."""

    claim_name: ObjectName = Field(description="Name of the PersistentVolumeClaim.")


class HostPath(Model):
    """A folder of one node; the worker is pinned to nodes that nodeSelector names."""

    path: Annotated[
        str,
        Field(
            min_length=2,
            max_length=512,
            pattern=r"^/[^\s]+$",
            description="Absolute path on the node.",
        ),
    ]


_BINARY_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


def quantity_bytes(quantity: str) -> int:
    """A Kubernetes quantity in whole binary units, such as 10Gi, in bytes."""
    return int(quantity[:-2]) * _BINARY_UNITS[quantity[-2:]]


class EmptyDir(Model):
    """Storage that lives and dies with the worker's pod."""

    size_limit: Annotated[
        str,
        Field(
            max_length=20,
            pattern=r"^[0-9]+(Ki|Mi|Gi|Ti)$",
            description="Kubernetes quantity in binary units, such as 10Gi.",
        ),
    ] = "10Gi"


class RecordingVolume(Model):
    """Where recordings are kept: exactly one kind of volume."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.emptyDir) ? 1 : 0) + (has(self.persistentVolumeClaim) ? 1 : 0) + "
            "(has(self.hostPath) ? 1 : 0) == 1",
            "recordingVolume needs exactly one of emptyDir, persistentVolumeClaim and hostPath",
        ),
    )

    empty_dir: EmptyDir | None = Field(None, description="Lost with the pod.")
    persistent_volume_claim: VolumeClaim | None = Field(
        None, description="Kept; one worker of the placement mounts it."
    )
    host_path: HostPath | None = Field(None, description="A folder of the node.")


class Placement(Model):
    """Where the workers of a site run. Sites of equal placement in a namespace share workers."""

    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]],
        Field(max_length=8, description="Labels a node must have."),
    ] = {}
    recording_volume: RecordingVolume = Field(
        default_factory=lambda: RecordingVolume(empty_dir=EmptyDir()),
        description="Where recordings are kept; an emptyDir of 10Gi when absent.",
    )
