# SPDX-License-Identifier: Apache-2.0
"""The printer of what technicians read, on a handful of its cases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from camera_simulator.condition_messages.__main__ import main
from camera_simulator.condition_messages.camera_cases import WRONG_PASSWORD, camera_cases
from camera_simulator.condition_messages.vms_cases import LOGIN, OTHER_LOGIN, vms_cases
from camera_simulator.faults import FAULTS
from worker_parts import PASSWORD

PLAYED = {
    "healthy": (),
    "password-changed": (("Authenticated", "CredentialsRejected"),),
    "web-page-not-onvif": (("Eligible", "NotOnvif"),),
    "redirects-elsewhere": (("Streaming", "StreamRedirected"),),
    "rtsp-is-hanging": (("Reachable", "Timeout"),),
    "vms-closed-rtsp": (("Relaying", "VmsUnreachable"),),
    "vms-wrong-login": (("Relaying", "VmsRejected"),),
}


def told(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((line["condition"], line["reason"]) for line in row["lines"])


def test_each_case_is_printed_with_the_conditions_that_are_not_true_and_no_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--json", "--only", *PLAYED]) == 0
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert {row["case"]: told(row) for row in rows} == PLAYED
    for row in rows:
        assert row["settled"], row
        assert row["sentence"]
        assert all(line["status"] and line["message"] for line in row["lines"]), row
    passwords = (PASSWORD, WRONG_PASSWORD, LOGIN["password"], OTHER_LOGIN["password"])
    said = printed.out + printed.err
    assert [one for one in passwords if one in said or json.dumps(one)[1:-1] in said] == []


def test_an_unknown_case_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "healthy", "unheard-of"]) == 1
    assert capsys.readouterr().err == "unknown: unheard-of; --list names every case\n"


def test_every_fault_of_a_camera_is_a_case_and_no_name_stands_twice() -> None:
    names = [case.name for case in (*camera_cases(), *vms_cases())]
    faults = {fault.name for fault in FAULTS.values() if fault.played_by not in ("vms", "worker")}
    assert faults <= set(names)
    assert len(names) == len(set(names))
