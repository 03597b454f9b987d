# SPDX-License-Identifier: Apache-2.0
"""MonitoringSystem: the designated VMS that streams are relayed to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from camfleet_api.base import ListType, Model, Rule
from camfleet_api.kind import AGE, NAME_RULE, Column, Kind
from camfleet_api.policy import CredentialsRef, VideoCodec


class RelayProtocol(StrEnum):
    """How streams are sent. We connect to the VMS and push; it connects to nothing of ours."""

    RTSP = "rtsp"
    RTSPS = "rtsps"
    RTMP = "rtmp"
    RTMPS = "rtmps"


class MonitoringSystemSpec(Model):
    """The designated VMS, as declared."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.urlTemplate.startsWith(self.protocol + '://')",
            "urlTemplate must begin with the protocol, such as rtsp://",
            ".urlTemplate",
        ),
        Rule(
            "!self.urlTemplate.contains('@')",
            "urlTemplate must hold no credentials: name a Secret in spec.credentials",
            ".urlTemplate",
        ),
        Rule(
            "self.urlTemplate.contains('{camera}') || self.urlTemplate.contains('{uid}')",
            "urlTemplate must contain {camera} or {uid}, so that each camera has its own stream",
            ".urlTemplate",
        ),
    )

    protocol: RelayProtocol = Field(
        description="rtsp or rtsps (RECORD), rtmp or rtmps; "
        "over TLS the certificate of the VMS must verify."
    )
    url_template: Annotated[
        str,
        Field(
            min_length=8,
            max_length=512,
            pattern=r"^[a-z]+://\S+$",
            description="URL of a stream with {namespace}, {site}, {camera}, {uid}.",
        ),
    ]
    codecs: Annotated[
        list[VideoCodec],
        Field(min_length=1, max_length=2, description="Codecs it takes."),
        ListType("set"),
    ] = [VideoCodec.H264]
    credentials: CredentialsRef | None = Field(
        None,
        description="Secret that each namespace holds for it, of type "
        "camfleet.vnpt.vn/credentials; absent for a VMS without login. Its key ca.crt may hold, in "
        "PEM, authorities to trust beside the worker's own.",
    )


MONITORING_SYSTEM = Kind(
    name="MonitoringSystem",
    plural="monitoringsystems",
    short_names=("vms",),
    namespaced=False,
    description="A MonitoringSystem is a designated VMS: its protocol, the codecs it takes, the "
    "URL of each camera's stream and the Secret that each namespace holds for it.",
    spec=MonitoringSystemSpec,
    status=None,
    columns=(
        Column("Protocol", ".spec.protocol"),
        Column("URL", ".spec.urlTemplate"),
        Column("Codecs", ".spec.codecs"),
        AGE,
    ),
    rules=(NAME_RULE,),
)
