# SPDX-License-Identifier: Apache-2.0
"""Site: a facility, and what its cameras have in common."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from camfleet_api.base import ATOMIC_LIST, DisplayName, ListType, Model, ObjectName, Port, Rule
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
from camfleet_api.policy import ZONE_RULE, Credentials, Host, Placement, Zone


class FacilityKind(StrEnum):
    """What a facility is."""

    QUARANTINE = "quarantine"
    HOSPITAL = "hospital"
    SCHOOL = "school"
    OFFICE = "office"
    OTHER = "other"


class ManagedBy(StrEnum):
    """Under whose command a facility is."""

    MILITARY = "military"
    CIVIL = "civil"
    HOTEL = "hotel"


class ProvinceRef(Model):
    """The province as surveyed: an attribute, never part of a name, for provinces merge and
    codes change their meaning."""

    code: Annotated[str, Field(pattern=r"^[0-9]{2}$", max_length=2, description="Two-digit code.")]
    vintage: Annotated[
        str,
        Field(pattern=r"^[0-9]{4}$", max_length=4, description="Year whose list of codes holds."),
    ]


class ZoneCoverage(Model):
    """How many cameras a zone needs."""

    cel: ClassVar[tuple[Rule, ...]] = (ZONE_RULE,)

    zone: Zone = Field(description="The zone.")
    cameras: Annotated[int, Field(ge=1, le=500, description="Least number of cameras.")]


class AddressMapping(Model):
    """One address of the site as it is reached from the workers (NAT)."""

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.to.contains('/') && !self.to.contains('@') && "
            "(!self.to.contains(':') || isIP(self.to))",
            "to must be an address or a name alone: no scheme, no credentials, no path",
            ".to",
        ),
    )

    host: Host = Field(description="spec.host of the cameras behind it.")
    to: Host = Field(description="Address the workers connect to instead.")


class PortMapping(Model):
    """One port of a device as it is reached from the workers (NAT)."""

    host: Host = Field(description="spec.host of the device.")
    port: Port = Field(description="Port on the device.")
    to: Port = Field(description="Port the workers connect to instead.")


class Network(Model):
    """Address and port maps between the site and the workers."""

    addresses: Annotated[
        list[AddressMapping],
        Field(max_length=256, description="Addresses by host."),
        ListType("map", ("host",)),
    ] = []
    ports: Annotated[
        list[PortMapping],
        Field(max_length=512, description="Ports by host and port."),
        ListType("map", ("host", "port")),
    ] = []


class MaintenanceWindow(Model):
    """Planned work: what is missing meanwhile is missing as planned, with this author and reason.

    Past windows count too, also those that are declared afterwards.
    """

    cel: ClassVar[tuple[Rule, ...]] = (
        Rule("self.until > self.from", "until must be later than from", ".until"),
    )

    from_: datetime = Field(alias="from", description="Start.")
    until: datetime = Field(description="End.")
    author: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="Account or team that planned it; no personal names."
    )
    reason: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="Why.")


class ConnectBudget(Model):
    """How fast cameras of the site are connected, so that a returning line is not flooded."""

    per_second: Annotated[int, Field(ge=1, le=100, description="New connections a second.")] = 5


class SiteRecording(Model):
    """What the site's recordings may take, beside the days that its profile keeps them."""

    retention_size: Annotated[
        str | None, Field(max_length=8, pattern=r"^[1-9][0-9]{0,5}(Gi|Ti)$")
    ] = Field(
        None,
        description="Most that recordings of the site's cameras take on one volume, as a quantity "
        "such as 500Gi. Beyond it the oldest are deleted, whatever retentionDays says; without it "
        "the volume alone is the bound.",
    )


class SiteSpec(Model):
    """A facility as declared."""

    display_name: DisplayName = Field(description="Name for people.")
    kind: FacilityKind = Field(FacilityKind.QUARANTINE, description="What the facility is.")
    managed_by: ManagedBy = Field(description="Under whose command it is.")
    province: ProvinceRef | None = Field(None, description="Province as surveyed.")
    address: Annotated[str | None, Field(max_length=300)] = Field(None, description="Where it is.")
    coverage: Annotated[
        list[ZoneCoverage],
        Field(max_length=16, description="Required coverage: zone and number of cameras."),
        ListType("map", ("zone",)),
    ] = []
    network: Network = Field(default_factory=Network, description="NAT maps.")
    placement: Placement = Field(
        default_factory=Placement, description="Where the site's workers run."
    )
    profile_ref: ObjectName = Field(description="TechnicalProfile of the site's cameras.")
    monitoring_system_refs: Annotated[
        list[ObjectName],
        Field(max_length=2, description="MonitoringSystems the cameras are relayed to."),
        ATOMIC_LIST,
    ] = []
    credentials: Credentials | None = Field(
        None, description="Login of cameras that do not name their own."
    )
    connect_budget: ConnectBudget = Field(
        default_factory=ConnectBudget, description="How fast its cameras are connected."
    )
    recording: SiteRecording = Field(
        default_factory=SiteRecording, description="What its recordings may take."
    )
    maintenance_windows: Annotated[
        list[MaintenanceWindow],
        Field(max_length=32, description="Planned work."),
        ATOMIC_LIST,
    ] = []
    paused: bool = Field(False, description="True: none of its cameras is connected.")


class CameraCounts(Model):
    """How many cameras of the site are in which state."""

    atomic: ClassVar[bool] = True

    total: Annotated[int, Field(ge=0)] = Field(description="Cameras that refer to the site.")
    ready: Annotated[int, Field(ge=0)] = Field(description="Cameras with Ready=True.")


class NotReadyCamera(Model):
    """One camera that is not Ready, and why."""

    name: ObjectName = Field(description="The Camera.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="Reason of its Ready.")


class SiteStatus(Model):
    """What is known of the site."""

    observed_generation: Annotated[
        int | None, Field(ge=0, description="metadata.generation last planned.")
    ] = None
    conditions: Annotated[
        list[Condition],
        Field(max_length=16, description="Accepted, CamerasReady, Reachable, Covered."),
        ListType("map", ("type",)),
    ] = []
    cameras: CameraCounts | None = Field(None, description="Roll-up of its cameras.")
    ready: Annotated[str | None, Field(max_length=16)] = Field(
        None, description="Ready of total, for people."
    )
    not_ready: Annotated[
        list[NotReadyCamera],
        Field(max_length=20, description="The first twenty cameras that are not Ready."),
        ATOMIC_LIST,
    ] = []


SITE = Kind(
    name="Site",
    plural="sites",
    short_names=("site",),
    namespaced=True,
    description="A Site is a facility: who runs it, what coverage it needs, how its network is "
    "reached, where its workers run and to which monitoring system its cameras are relayed.",
    spec=SiteSpec,
    status=SiteStatus,
    columns=(
        Column("Managed-By", ".spec.managedBy"),
        Column("Cameras", ".status.ready"),
        ready_column("CamerasReady"),
        reason_column("CamerasReady"),
        Column("Reachable", ".status.conditions[?(@.type=='Reachable')].status"),
        Column("Covered", ".status.conditions[?(@.type=='Covered')].status"),
        message_column("CamerasReady"),
        AGE,
    ),
    rules=(NAME_RULE,),
)
