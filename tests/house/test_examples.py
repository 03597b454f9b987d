# SPDX-License-Identifier: Apache-2.0
"""The sample province and the simulated cameras and VMS of the demo tell the same story."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "crds" / "examples"
MANIFESTS = ROOT / "tests" / "support" / "demo" / "manifests"
Object = dict[str, Any]


def _objects(folder: Path, kind: str) -> dict[str, Object]:
    """Objects of a kind by name."""
    return {
        one["metadata"]["name"]: one
        for file in sorted(folder.rglob("*.yaml"))
        for one in yaml.safe_load_all(file.read_text("utf-8"))
        if one and one["kind"] == kind
    }


CAMERAS = _objects(EXAMPLES, "Camera")
SITES = _objects(EXAMPLES, "Site")
SECRETS = _objects(EXAMPLES / "secrets", "Secret")
ACCOUNTS = next(
    one["stringData"]
    for one in _objects(MANIFESTS, "Secret").values()
    if one["metadata"]["namespace"] == "demo-devices"
)


def _simulated() -> dict[str, Object]:
    """The simulator's cameras by name."""
    for one in _objects(MANIFESTS, "ConfigMap").values():
        for text in one["data"].values():
            config = yaml.safe_load(text)
            if isinstance(config, dict) and "cameras" in config:
                return {camera["name"]: camera for camera in config["cameras"]}
    raise AssertionError("no configuration of cameras")


def _login(camera: Object) -> tuple[str, str]:
    """User name and password that the examples' Secret holds for a camera."""
    spec = camera["spec"]
    credentials = spec.get("credentials") or SITES[spec["siteRef"]]["spec"]["credentials"]
    reference = credentials["secret"]
    data = SECRETS[reference["secretName"]]["stringData"]
    return data[reference["usernameKey"]], data[reference["passwordKey"]]


def test_a_declared_camera_is_the_simulated_one_of_its_name() -> None:
    declared = {
        name: (camera["spec"]["ports"]["onvif"], camera["spec"]["ports"]["rtsp"])
        for name, camera in CAMERAS.items()
        if "ports" in camera["spec"]
    }
    simulated = {name: (one["onvif_port"], one["rtsp_port"]) for name, one in _simulated().items()}
    assert declared == simulated
    assert CAMERAS.keys() - declared.keys() == {"cam20"}, "powered off, so nobody simulates it"


def test_the_secret_opens_every_camera_but_the_one_with_an_old_password() -> None:
    refused = {
        name
        for name, camera in CAMERAS.items()
        if _login(camera) != ("ingest", ACCOUNTS["cam17" if name == "cam17" else "password"])
    }
    assert refused == {"cam17"}


def test_the_secret_opens_the_vms() -> None:
    (account,) = (
        one["stringData"]
        for one in _objects(MANIFESTS, "Secret").values()
        if one["metadata"]["namespace"] == "demo-vms"
    )
    assert SECRETS["central-vms"]["stringData"] == account


def test_workers_may_use_every_secret() -> None:
    assert {one["type"] for one in SECRETS.values()} == {"camfleet.vnpt.vn/credentials"}


def test_every_site_has_the_cameras_its_coverage_asks_for() -> None:
    for name, site in SITES.items():
        zones = Counter(
            camera["spec"]["zone"]
            for camera in CAMERAS.values()
            if camera["spec"]["siteRef"] == name
        )
        required = {one["zone"]: one["cameras"] for one in site["spec"]["coverage"]}
        assert required
        assert all(zones[zone] >= number for zone, number in required.items()), name


def test_every_way_to_run_a_facility_has_its_site() -> None:
    assert sorted(site["spec"]["managedBy"] for site in SITES.values()) == [
        "civil",
        "hotel",
        "military",
    ]


def test_no_site_or_camera_is_named_after_the_province() -> None:
    assert [name for name in (*SITES, *CAMERAS) if "phu-yen" in name] == []
