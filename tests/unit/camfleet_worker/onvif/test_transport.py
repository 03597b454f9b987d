# SPDX-License-Identifier: Apache-2.0
"""Why no connection comes about, and what importing the door leaves alone."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys

import httpx
import pytest

from camfleet_api.camera import Scheme
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.camera_tls import camera_tls
from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif.transport import Deadlines, Transport, connect_error


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), Reason.NAME_NOT_RESOLVED),
        (OSError(errno.EHOSTUNREACH, "no route"), Reason.HOST_UNREACHABLE),
        (OSError(errno.ENETUNREACH, "no route"), Reason.HOST_UNREACHABLE),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Reason.CONNECTION_REFUSED),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), Reason.HOST_UNREACHABLE),
        (OSError("something new"), Reason.HOST_UNREACHABLE),
    ],
    ids=lambda value: getattr(value, "value", type(value).__name__),
)
@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in-a-group"])
def test_the_cause_underneath_names_the_reason(
    cause: OSError, reason: Reason, grouped: bool
) -> None:
    outer = httpx.ConnectError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("attempts", [cause]) if grouped else cause
    error = connect_error(outer, "camera", 80)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, reason)


@pytest.mark.parametrize("host", ["a" * 64, "two..dots"])
def test_a_host_that_cannot_be_a_name_has_no_address(host: str) -> None:
    with pytest.raises(IngestError) as caught:
        Transport(Scheme.HTTP, host, 80, Deadlines(), camera_tls())
    assert caught.value.reason is Reason.NAME_NOT_RESOLVED


def test_importing_the_door_configures_no_logger_and_loads_no_onvif_client() -> None:
    script = (
        "import logging, os, sys\n"
        "before = dict(os.environ)\n"
        "import camfleet_worker.onvif\n"
        "from camfleet_worker.onvif import wsdl\n"
        "wsdl.binding(wsdl.MEDIA1)\n"
        "print(logging.getLogger().handlers, 'onvif' in sys.modules, before == dict(os.environ))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[] False True"
