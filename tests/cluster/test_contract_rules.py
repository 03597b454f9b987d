# SPDX-License-Identifier: Apache-2.0
"""Every CEL rule of every kind, tried on the real API server: one object it takes, one it refuses.

The table is keyed by kind and message, because the message is what a user reads. A rule without a
row fails `every_rule_has_its_examples`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from camfleet_api.generate import custom_resource_definition
from camfleet_api.kinds import KINDS
from camfleet_api.names import API_VERSION
from local_cluster import Cluster, ClusterError

Change = dict[str, Any]

SPECS: dict[str, dict[str, Any]] = {
    "Site": {"displayName": "Barracks", "managedBy": "military", "profileRef": "tp-2021"},
    "Camera": {"siteRef": "barracks", "host": "192.0.2.1", "zone": "gate"},
    "TechnicalProfile": {"version": "1"},
    "MonitoringSystem": {"protocol": "rtsp", "urlTemplate": "rtsp://vms.example/{uid}"},
    "IngestShard": {"hash": "abc"},
}
"""The least that each kind takes."""

NAME = (
    "metadata.name must be a DNS label of at most 63 characters: "
    "it is used as a label, in file names and in references"
)
ZONE = "zone must be a public area: cameras inside rooms, toilets and bathrooms are forbidden"
HOST = (
    "host must be an address or a name alone: no scheme, no credentials, no path; "
    "put ports into spec.ports"
)
ONE_SOURCE = "source needs exactly one of channel, videoSourceToken and profileToken"
ONE_LOGIN = "credentials needs exactly one of secret and anonymous: true"
WIDTH = "the least width and height must not exceed the greatest"
RATE = "minFramesPerSecond must not exceed maxFramesPerSecond"


@dataclass(frozen=True)
class Row:
    """Changes to the least spec, of which the rule takes the first and refuses the second.

    `before` is the spec that stands when the rule compares with what was there. `names` replaces
    the object's name instead of its spec.
    """

    accepted: Change
    refused: Change
    before: Change | None = None
    names: tuple[str, str] | None = None


def _policy(video: Change) -> Change:
    return {"policies": [{"video": video, "stream": "main", "recording": {}, "relays": []}]}


def _shard_window(start: str, end: str) -> Change:
    (policy,) = _policy({})["policies"]
    windows = _window(start, end)["maintenanceWindows"]
    return {"policies": [policy | {"siteMaintenanceWindows": windows}]}


def _shard_camera(source: Change) -> Change:
    camera = {
        "name": "cam01", "uid": "u", "generation": 1, "site": "barracks", "host": "192.0.2.1",
        "onvifPort": 80, "rtspPort": 554, "scheme": "http", "onvifPath": "/onvif/device_service",
        "source": source, "policy": 0,
    }  # fmt: skip
    return {"cameras": [camera]}


def _window(start: str, end: str) -> Change:
    return {
        "maintenanceWindows": [{"from": start, "until": end, "author": "noc", "reason": "mast"}]
    }


LABEL = Row({}, {}, names=("a" * 63, "a" * 64))

TABLE: dict[tuple[str, str], Row] = {
    ("Site", NAME): LABEL,
    ("Site", ZONE): Row(
        {"coverage": [{"zone": "washroom-outside", "cameras": 1}]},
        {"coverage": [{"zone": "gate", "cameras": 1}, {"zone": "bathroom", "cameras": 1}]},
    ),
    ("Site", "to must be an address or a name alone: no scheme, no credentials, no path"): Row(
        {"network": {"addresses": [{"host": "192.0.2.1", "to": "2001:db8::7"}]}},
        {"network": {"addresses": [{"host": "192.0.2.1", "to": "192.0.2.9:80"}]}},
    ),
    (
        "Site",
        "recordingVolume needs exactly one of emptyDir, persistentVolumeClaim and hostPath",
    ): Row(
        {"placement": {"recordingVolume": {"persistentVolumeClaim": {"claimName": "rec"}}}},
        {"placement": {"recordingVolume": {"emptyDir": {}, "hostPath": {"path": "/srv/rec"}}}},
    ),
    ("Site", ONE_LOGIN): Row(
        {"credentials": {"secret": {"secretName": "cameras"}}}, {"credentials": {}}
    ),
    ("Site", "until must be later than from"): Row(
        _window("2021-06-01T08:00:00+07:00", "2021-06-01T01:00:01Z"),
        _window("2021-06-01T08:00:00+07:00", "2021-06-01T01:00:00Z"),
    ),
    ("Camera", NAME): Row({}, {}, names=("a", "gate.north")),
    ("Camera", HOST): Row({"host": "2001:db8::1"}, {"host": "http://192.0.2.1"}),
    ("Camera", ZONE): Row({"zone": "corridor"}, {"zone": "room"}),
    ("Camera", "siteRef cannot change: delete the Camera and create it at the other Site"): Row(
        {"host": "192.0.2.2"}, {"siteRef": "hotel"}, before={}
    ),
    ("Camera", "onvifPath must be a path alone, without host and credentials"): Row(
        {"onvifPath": "/onvif/device"}, {"onvifPath": "/user:pass@host/onvif"}
    ),
    ("Camera", ONE_SOURCE): Row(
        {"source": {"profileToken": "main"}},
        {"source": {"channel": 1, "profileToken": "main"}},
    ),
    ("Camera", ONE_LOGIN): Row(
        {"credentials": {"anonymous": True}},
        {"credentials": {"anonymous": True, "secret": {"secretName": "cameras"}}},
    ),
    ("TechnicalProfile", NAME): LABEL,
    ("TechnicalProfile", WIDTH): Row(
        {"video": {"minWidth": 3840}}, {"video": {"minHeight": 1080, "maxHeight": 1079}}
    ),
    ("TechnicalProfile", RATE): Row(
        {"video": {"minFramesPerSecond": 30}}, {"video": {"minFramesPerSecond": 31}}
    ),
    ("MonitoringSystem", NAME): LABEL,
    ("MonitoringSystem", "urlTemplate must begin with the protocol, such as rtsp://"): Row(
        {"protocol": "rtmp", "urlTemplate": "rtmp://vms.example/live/{uid}"},
        {"protocol": "rtmp"},
    ),
    (
        "MonitoringSystem",
        "urlTemplate must hold no credentials: name a Secret in spec.credentials",
    ): Row(
        {"urlTemplate": "rtsp://vms.example:8554/{camera}"},
        {"urlTemplate": "rtsp://user:pass@vms.example/{camera}"},
    ),
    (
        "MonitoringSystem",
        "urlTemplate must contain {camera} or {uid}, so that each camera has its own stream",
    ): Row(
        {"urlTemplate": "rtsp://vms.example/{namespace}/{camera}"},
        {"urlTemplate": "rtsp://vms.example/{namespace}/{site}"},
    ),
    ("IngestShard", WIDTH): Row(_policy({"maxWidth": 640}), _policy({"maxWidth": 319})),
    ("IngestShard", RATE): Row(
        _policy({"maxFramesPerSecond": 10}), _policy({"maxFramesPerSecond": 9})
    ),
    ("IngestShard", "until must be later than from"): Row(
        _shard_window("2021-06-01T08:00:00+07:00", "2021-06-01T01:00:01Z"),
        _shard_window("2021-06-01T08:00:00+07:00", "2021-06-01T01:00:00Z"),
    ),
    ("IngestShard", ONE_SOURCE): Row(_shard_camera({"videoSourceToken": "v1"}), _shard_camera({})),
}


def _rules(schema: dict[str, Any]) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for child in schema.get("properties", {}).values():
        yield from _rules(child)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _rules(schema[key])


def test_every_rule_has_its_examples() -> None:
    rules = set()
    for kind in KINDS:
        (version,) = custom_resource_definition(kind)["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        rules |= {(kind.name, message) for message in _rules(schema)}
    assert rules == TABLE.keys()


def _object(kind: str, name: str, change: Change) -> str:
    spec = copy.deepcopy(SPECS[kind]) | change
    return yaml.safe_dump(
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


@pytest.mark.parametrize(
    ("kind", "message"), TABLE, ids=[f"{kind}: {message}" for kind, message in TABLE]
)
def test_a_rule_takes_what_is_right_and_refuses_what_is_wrong(
    cluster: Cluster, namespace: str, kind: str, message: str
) -> None:
    row = TABLE[kind, message]
    right, wrong = row.names or ("example", "example")

    def apply(text: str, *options: str) -> str:
        return cluster.kubectl(
            "apply", "--server-side", "-n", namespace, *options, "-f", "-", stdin=text
        )

    if row.before is not None:
        apply(_object(kind, right, row.before))
    apply(_object(kind, right, row.accepted), "--dry-run=server")
    with pytest.raises(ClusterError) as refusal:
        apply(_object(kind, wrong, row.refused), "--dry-run=server")
    assert message in str(refusal.value)
