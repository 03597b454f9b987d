# SPDX-License-Identifier: Apache-2.0
"""Parses raw objects of the API server into frozen values. Pure.

`store` calls it once for every event and every listed object, so that planning never parses. An
object whose spec does not pass today's schema is kept with a sentence about the error: the plan
reports it to its owner. `managedFields` are left out, because nothing here needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from camfleet_api.base import Model
from camfleet_api.camera import CameraSpec, CameraStatus
from camfleet_api.ingest_shard import DeletedEarly, IngestShardSpec, IngestShardStatus
from camfleet_api.monitoring_system import MonitoringSystemSpec
from camfleet_api.site import SiteSpec, SiteStatus
from camfleet_api.technical_profile import TechnicalProfileSpec

Raw = Mapping[str, Any]
S = TypeVar("S", bound=Model)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Meta:
    """The part of an object's metadata that planning needs."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleting: bool
    labels: Mapping[str, str]
    owners: tuple[str, ...]
    """UIDs of the owners."""


@dataclass(frozen=True, slots=True)
class Declared(Generic[S]):
    """An object whose spec people write. `spec` is None when it fails the schema, with the sentence
    about that in `error`."""

    meta: Meta
    spec: S | None
    error: str


@dataclass(frozen=True, slots=True)
class Camera(Declared[CameraSpec]):
    """A Camera as declared and as reported."""

    status: CameraStatus


@dataclass(frozen=True, slots=True)
class Site(Declared[SiteSpec]):
    """A Site as declared, and the roll-up last written."""

    status: SiteStatus


Profile = Declared[TechnicalProfileSpec]
System = Declared[MonitoringSystemSpec]


@dataclass(frozen=True, slots=True)
class Shard:
    """An IngestShard: our work list, the worker's acknowledgement, and which recordings it could
    not keep."""

    meta: Meta
    spec: IngestShardSpec | None
    observed_hash: str
    deleted_early: tuple[DeletedEarly, ...] = ()


@dataclass(frozen=True, slots=True)
class Other:
    """Any other object: the body as stored, without managedFields."""

    meta: Meta
    body: Raw


def observe_meta(raw: Raw) -> Meta:
    """The metadata of any object."""
    meta = raw["metadata"]
    return Meta(
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        resource_version=meta["resourceVersion"],
        created=_time(meta.get("creationTimestamp")),
        deleting="deletionTimestamp" in meta,
        labels=meta.get("labels") or {},
        owners=tuple(owner["uid"] for owner in meta.get("ownerReferences") or ()),
    )


def observe_camera(raw: Raw) -> Camera:
    """A Camera from what the API server stores."""
    spec, error = _spec(CameraSpec, raw)
    return Camera(observe_meta(raw), spec, error, _status(CameraStatus, raw))


def observe_site(raw: Raw) -> Site:
    """A Site from what the API server stores."""
    spec, error = _spec(SiteSpec, raw)
    return Site(observe_meta(raw), spec, error, _status(SiteStatus, raw))


def observe_profile(raw: Raw) -> Profile:
    """A TechnicalProfile from what the API server stores."""
    return Declared(observe_meta(raw), *_spec(TechnicalProfileSpec, raw))


def observe_system(raw: Raw) -> System:
    """A MonitoringSystem from what the API server stores."""
    return Declared(observe_meta(raw), *_spec(MonitoringSystemSpec, raw))


def observe_shard(raw: Raw) -> Shard:
    """An IngestShard from what the API server stores; one that was tampered with has no spec."""
    spec, _ = _spec(IngestShardSpec, raw)
    status = _status(IngestShardStatus, raw)
    return Shard(observe_meta(raw), spec, status.observed_hash, tuple(status.deleted_early))


def observe_other(raw: Raw) -> Other:
    """Any other object, without managedFields."""
    meta = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return Other(observe_meta(raw), {**raw, "metadata": meta})


def _spec(model: type[S], raw: Raw) -> tuple[S | None, str]:
    try:
        return model.read(raw.get("spec") or {}), ""
    except ValidationError as error:
        return None, _sentence(error)


def _status(model: type[S], raw: Raw) -> S:
    """The status, or its valid fields: one field out of bounds must not lose the others."""
    wire = dict(raw.get("status") or {})
    try:
        return model.read(wire)
    except ValidationError as error:
        for problem in error.errors():
            wire.pop(str(problem["loc"][0]), None)
    return model.read(wire)


def _sentence(error: ValidationError) -> str:
    """Where the spec is wrong and how, without the value, which may be a secret."""
    problems = [
        f"spec.{'.'.join(str(step) for step in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()[:3]
    ]
    return "; ".join(problems)[:300]


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else EPOCH
