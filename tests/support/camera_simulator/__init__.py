# SPDX-License-Identifier: Apache-2.0
"""Simulated ONVIF cameras on real sockets: the peer that workers and surveys are tested against.

Independent of the product on purpose: no camera imports a camfleet package, so a misreading of a
standard on one side is not repeated on the other. See DESIGN.md beside this file.
"""

from camera_simulator.camera import Camera
from camera_simulator.clips import Clip, frame_hash
from camera_simulator.counters import Attempt, Counters, Verdict
from camera_simulator.faults import FAULTS, Fault
from camera_simulator.image_context import prepare_image_context
from camera_simulator.settings import CameraSettings, SettingsInvalid
from camera_simulator.simulator import Simulator
from camera_simulator.thread import CameraHandle, SimulatorThread

__all__ = [
    "FAULTS",
    "Attempt",
    "Camera",
    "CameraHandle",
    "CameraSettings",
    "Clip",
    "Counters",
    "Fault",
    "SettingsInvalid",
    "Simulator",
    "SimulatorThread",
    "Verdict",
    "frame_hash",
    "prepare_image_context",
]
