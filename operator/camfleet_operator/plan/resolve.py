# SPDX-License-Identifier: Apache-2.0
"""The effective configuration of a Camera: its own spec, its Site's, the profile and the VMS. Pure.

A camera that cannot be resolved gets a Refusal, which becomes Accepted=False. A refusal for
something *else* than the camera's own spec does not stop a camera that runs: it keeps the entry
last resolved (see `worklist`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camfleet_api.camera import CameraOverrides, CameraSpec
from camfleet_api.conditions import REASONS, Reason
from camfleet_api.device_address import DeviceAddress, normalised_host
from camfleet_api.ingest_shard import Policy, Relay, ShardCamera
from camfleet_api.policy import Credentials, CredentialsRef, Placement, quantity_bytes
from camfleet_api.site import Network, SiteSpec
from camfleet_api.technical_profile import TechnicalProfileSpec
from camfleet_operator.observed import Camera, Declared
from camfleet_operator.plan.compare import fingerprint
from camfleet_operator.plan.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a declaration cannot be carried out."""

    reason: Reason
    message: str
    own_fault: bool = False
    """True when the camera's own spec is wrong: then it is stopped."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a work list; the policy becomes an index when the list is written."""

    camera: ShardCamera
    policy: Policy

    @property
    def uid(self) -> str:
        return self.camera.uid


@dataclass(frozen=True, slots=True)
class Resolution:
    """The entry or the refusal of one Camera."""

    camera: Camera
    entry: Entry | None
    refusal: Refusal | None
    paused: bool
    placement: Placement | None


def refuse(reason: Reason, fact: str, own_fault: bool = False) -> Refusal:
    """A refusal whose message is the fact and the table's next action."""
    return Refusal(reason, f"{fact} {REASONS[reason].next_action}".strip()[:512], own_fault)


NOT_ENROLLED = refuse(
    Reason.NAMESPACE_NOT_ENROLLED,
    "No RoleBinding of this namespace gives the operator the ClusterRole camfleet-tenant.",
)


def resolve_all(snapshot: Snapshot, enrolled: bool) -> dict[str, Resolution]:
    """The resolution of every Camera of the namespace, by name; duplicates are refused."""
    alive = (camera for camera in snapshot.cameras.values() if not camera.meta.deleting)
    resolved = {
        camera.meta.name: _resolve(camera, snapshot, enrolled)
        for camera in sorted(alive, key=lambda one: one.meta.name)
    }
    return {**resolved, **_duplicates(resolved.values())}


def site_refusal(site: Declared[SiteSpec], snapshot: Snapshot, enrolled: bool) -> Refusal | None:
    """The refusal of a Site itself, if there is one."""
    if not enrolled:
        return NOT_ENROLLED
    if site.spec is None:
        return refuse(Reason.INVALID_SPEC, f"The spec is refused: {site.error}.", own_fault=True)
    found = _profile(site.spec.profile_ref, snapshot)
    if isinstance(found, Refusal):
        return found
    relays = _relays(site.spec.monitoring_system_refs, snapshot)
    return relays if isinstance(relays, Refusal) else None


def placement_key(placement: Placement) -> str:
    """The short hash under which sites of equal placement share workers."""
    return fingerprint(placement.to_wire())[:8]


def mapped_device(spec: CameraSpec, network: Network | None) -> DeviceAddress:
    """The device of a Camera, by the address at which the workers reach it."""
    if network is None:
        return DeviceAddress(spec.host, spec.ports.onvif)
    onvif_port = _mapped_port(spec.host, spec.ports.onvif, network)
    return DeviceAddress(_mapped_host(spec.host, network), onvif_port)


def _mapped_host(host: str, network: Network) -> str:
    hosts = {normalised_host(mapping.host): mapping.to for mapping in network.addresses}
    return hosts.get(normalised_host(host), host)


def _mapped_port(host: str, port: int, network: Network) -> int:
    declared = DeviceAddress(host, port)
    ports = {DeviceAddress(one.host, one.port): one.to for one in network.ports}
    return ports.get(declared, port)


def _resolve(camera: Camera, snapshot: Snapshot, enrolled: bool) -> Resolution:
    spec = camera.spec
    site = snapshot.sites.get(spec.site_ref) if spec else None
    site_spec = site.spec if site and not site.meta.deleting else None
    paused = bool((spec and spec.paused) or (site_spec and site_spec.paused))
    placement = site_spec.placement if site_spec else None
    outcome = _entry(camera, snapshot, enrolled)
    if isinstance(outcome, Refusal):
        return Resolution(camera, None, outcome, paused, placement)
    return Resolution(camera, outcome, None, paused, placement)


def _entry(camera: Camera, snapshot: Snapshot, enrolled: bool) -> Entry | Refusal:
    """The entry of the work list, or the first refusal."""
    if not enrolled:
        return NOT_ENROLLED
    spec = camera.spec
    if spec is None:
        return refuse(Reason.INVALID_SPEC, f"The spec is refused: {camera.error}.", own_fault=True)
    site = snapshot.sites.get(spec.site_ref)
    if site is None or site.meta.deleting:
        return refuse(
            Reason.SITE_NOT_FOUND, f"Site '{spec.site_ref}' does not exist in this namespace."
        )
    if site.spec is None:
        return refuse(Reason.INVALID_SPEC, f"The Site's spec is refused: {site.error}.")
    policy = _policy(spec.overrides or CameraOverrides(), site.spec, snapshot)
    if isinstance(policy, Refusal):
        return policy
    credentials = spec.credentials or site.spec.credentials
    if credentials is None:
        return refuse(
            Reason.CREDENTIALS_NOT_DECLARED,
            f"Neither the Camera nor Site '{spec.site_ref}' says which credentials to use.",
        )
    return Entry(_shard_camera(camera, spec, site.spec.network, credentials), policy)


def _shard_camera(
    camera: Camera, spec: CameraSpec, network: Network, credentials: Credentials
) -> ShardCamera:
    return ShardCamera(
        name=camera.meta.name,
        uid=camera.meta.uid,
        generation=camera.meta.generation,
        site=spec.site_ref,
        host=_mapped_host(spec.host, network),
        onvif_port=_mapped_port(spec.host, spec.ports.onvif, network),
        rtsp_port=_mapped_port(spec.host, spec.ports.rtsp, network),
        scheme=spec.scheme,
        onvif_path=spec.onvif_path,
        rtsp_scheme=spec.rtsp_scheme,
        certificate_fingerprint=spec.certificate_fingerprint,
        serial_number=spec.serial_number,
        source=spec.source,
        credentials=_reference(credentials),
        policy=0,
    )


def _reference(credentials: Credentials) -> CredentialsRef | None:
    return None if credentials.anonymous else credentials.secret


def _policy(overrides: CameraOverrides, site: SiteSpec, snapshot: Snapshot) -> Policy | Refusal:
    profile = _profile(overrides.profile_ref or site.profile_ref, snapshot)
    if isinstance(profile, Refusal):
        return profile
    names = overrides.monitoring_system_refs
    relays = _relays(site.monitoring_system_refs if names is None else names, snapshot)
    if isinstance(relays, Refusal):
        return relays
    recording = profile.recording
    if overrides.recording is not None:
        recording = recording.model_copy(update={"enabled": overrides.recording})
    retention_size = site.recording.retention_size
    return Policy(
        video=profile.video,
        stream=profile.streams.role,
        audio=profile.streams.audio,
        udp_fallback=profile.streams.udp_fallback,
        recording=recording,
        relays=list(relays),
        site_connects_per_second=site.connect_budget.per_second,
        site_retention_bytes=None if retention_size is None else quantity_bytes(retention_size),
        site_maintenance_windows=list(site.maintenance_windows),
    )


def _profile(name: str, snapshot: Snapshot) -> TechnicalProfileSpec | Refusal:
    profile = snapshot.profiles.get(name)
    if profile is None or profile.meta.deleting:
        return refuse(Reason.PROFILE_NOT_FOUND, f"TechnicalProfile '{name}' does not exist.")
    if profile.spec is None:
        return refuse(Reason.INVALID_SPEC, f"TechnicalProfile '{name}': {profile.error}.")
    return profile.spec


def _relays(names: Iterable[str], snapshot: Snapshot) -> tuple[Relay, ...] | Refusal:
    relays = []
    for name in names:
        system = snapshot.systems.get(name)
        if system is None or system.meta.deleting:
            return refuse(
                Reason.MONITORING_SYSTEM_NOT_FOUND, f"MonitoringSystem '{name}' does not exist."
            )
        if system.spec is None:
            return refuse(Reason.INVALID_SPEC, f"MonitoringSystem '{name}': {system.error}.")
        spec = system.spec
        relays.append(
            Relay(
                name=name,
                protocol=spec.protocol,
                url_template=spec.url_template,
                codecs=list(spec.codecs),
                credentials=spec.credentials,
            )
        )
    return tuple(relays)


def _duplicates(resolutions: Iterable[Resolution]) -> Mapping[str, Resolution]:
    """Refuse the younger of two Cameras for the same source.

    The address of its ONVIF service, as workers reach it, identifies a device; the RTSP port does
    not, because one RTSP server may serve many devices.
    """
    first: dict[tuple[object, ...], Resolution] = {}
    refused: dict[str, Resolution] = {}
    by_age = sorted(resolutions, key=lambda one: (one.camera.meta.created, one.camera.meta.name))
    for one in by_age:
        if one.entry is None:
            continue
        camera = one.entry.camera
        source = fingerprint(camera.source.to_wire())
        key = (camera.device, camera.onvif_path, source)
        older = first.setdefault(key, one)
        if older is not one:
            refusal = refuse(
                Reason.DUPLICATE_SOURCE,
                f"Camera '{older.camera.meta.name}' stands for the same video source.",
            )
            refused[camera.name] = Resolution(one.camera, None, refusal, one.paused, one.placement)
    return refused
