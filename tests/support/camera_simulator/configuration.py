# SPDX-License-Identifier: Apache-2.0
"""The configuration file of the pod: which cameras stand there. Passwords come from files beside
it.

    defaults: {server: gstreamer, passwordFile: /etc/camera-credentials/password}
    cameras:
      - {name: cam01, onvif_port: 8001, rtsp_port: 9001}
      - {name: cam17, onvif_port: 8017, rtsp_port: 9017, passwordFile: /etc/other/password}

Every other key is a field of CameraSettings; `defaults` are merged under each camera.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from camera_simulator.settings import CameraSettings, SettingsInvalid, settings_from

_PASSWORD_FILE = "passwordFile"


def read_configuration(path: Path) -> list[CameraSettings]:
    """Every camera of the file; SettingsInvalid says which one is wrong and why."""
    document = yaml.safe_load(path.read_text()) or {}
    unknown = document.keys() - {"defaults", "cameras"}
    if unknown:
        raise SettingsInvalid(f"{path}: unknown key {', '.join(sorted(unknown))}")
    defaults = document.get("defaults") or {}
    return [_camera(defaults | camera) for camera in document.get("cameras") or []]


def _camera(fields: dict[str, Any]) -> CameraSettings:
    password_file = fields.pop(_PASSWORD_FILE, None)
    if "password" in fields:
        raise SettingsInvalid(f"{fields.get('name')}: a password belongs in a {_PASSWORD_FILE}")
    try:
        settings = settings_from(fields)
        password = Path(password_file).read_text().strip("\r\n") if password_file else None
    except (SettingsInvalid, OSError) as error:
        raise SettingsInvalid(f"{fields.get('name')}: {error}") from error
    return settings if password is None else settings.with_password(password)
