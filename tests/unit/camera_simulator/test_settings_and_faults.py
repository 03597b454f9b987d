# SPDX-License-Identifier: Apache-2.0
"""Settings, faults and the configuration file: what is taken, and that a mistake is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from camera_simulator.configuration import read_configuration
from camera_simulator.faults import FAULTS, Fault, refuse_unplayable, with_faults
from camera_simulator.settings import CameraSettings, SettingsInvalid, changed, settings_from

GATE = CameraSettings("gate", password="s3cret")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_changes_the_camera_and_removing_it_restores_the_camera(fault: Fault) -> None:
    broken = dataclasses.replace(GATE, faults=(fault.name,))
    if fault.played_by in ("vms", "worker"):
        with pytest.raises(SettingsInvalid, match=fault.name):
            refuse_unplayable(broken)
        return
    assert with_faults(broken) != broken
    assert with_faults(changed(broken, {"faults": ()})) == GATE


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_gstreamer_camera_takes_only_faults_that_it_can_show(fault: Fault) -> None:
    camera = CameraSettings("gate", server="gstreamer", faults=(fault.name,))
    if fault.played_by in ("replay", "vms", "worker"):
        with pytest.raises(SettingsInvalid, match=fault.name):
            refuse_unplayable(camera)
    else:
        refuse_unplayable(camera)


def test_several_faults_add_up_and_the_last_setting_counts() -> None:
    camera = dataclasses.replace(GATE, faults=("frozen", "wsse-only", "digest-only"))
    assert with_faults(camera).freeze
    assert with_faults(camera).onvif_schemes == ("digest",)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": "gate", "colour": "red"}, "unknown setting 'colour'"),
        ({"name": "gate", "codec": "vp9"}, "'codec' does not take"),
        ({"name": "gate", "onvif_port": "80"}, "'onvif_port' does not take"),
        ({"name": "gate", "power": 1}, "'power' does not take"),
        ({"name": "gate", "rtsp_schemes": ["ntlm"]}, "'rtsp_schemes' does not take"),
        ({"codec": "h264"}, "needs a name"),
    ],
)
def test_a_wrong_setting_is_named(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(SettingsInvalid, match=complaint):
        settings_from(fields)


def test_an_unknown_fault_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(SettingsInvalid, match=r"'rust'; there are .*frozen"):
        with_faults(dataclasses.replace(GATE, faults=("rust",)))


def test_a_running_camera_keeps_its_place() -> None:
    with pytest.raises(SettingsInvalid, match="cannot change onvif_port"):
        changed(GATE, {"onvif_port": 81})


def test_no_password_is_shown() -> None:
    assert "s3cret" not in repr(GATE)
    with pytest.raises(SettingsInvalid) as refused:
        changed(GATE, {"password": 12345678})
    assert "12345678" not in str(refused.value)


def test_identities_are_stable_and_differ_between_cameras() -> None:
    assert GATE.serial_number == CameraSettings("gate").serial_number
    assert GATE.serial_number != CameraSettings("yard").serial_number
    assert GATE.endpoint != CameraSettings("yard").endpoint


def test_the_configuration_file_merges_defaults_and_reads_passwords_from_files(
    tmp_path: Path,
) -> None:
    (tmp_path / "password").write_text("with space and %\n")
    (tmp_path / "cameras.yaml").write_text(
        f"defaults: {{server: gstreamer, passwordFile: {tmp_path}/password}}\n"
        "cameras:\n"
        "  - {name: cam01, onvif_port: 8001}\n"
        "  - {name: cam02, server: replay, passwordFile: null, faults: [frozen]}\n"
    )
    first, second = read_configuration(tmp_path / "cameras.yaml")
    assert (first.server, first.onvif_port, first.password) == (
        "gstreamer",
        8001,
        "with space and %",
    )
    assert (second.server, second.password, second.faults) == ("replay", None, ("frozen",))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cameras: [{name: cam01, password: x}]", "cam01: a password belongs in a passwordFile"),
        ("cameras: [{name: cam01, passwordFile: /nowhere}]", "cam01: .*No such file"),
        ("camera: []", "unknown key camera"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "cameras.yaml").write_text(text)
    with pytest.raises(SettingsInvalid, match=complaint):
        read_configuration(tmp_path / "cameras.yaml")
