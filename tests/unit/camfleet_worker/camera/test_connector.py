# SPDX-License-Identifier: Apache-2.0
"""One connect: which questions it asks, which logins it spends and what a failure is called."""

from __future__ import annotations

import pytest

from camfleet_api.camera import Attempts
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.connector import Connector
from camfleet_worker.camera.devices import Device
from camfleet_worker.camera.learnt import Learnt
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.reporter.conditions import runtime_status
from camfleet_worker.reporter.facts import CameraSnapshot
from device_tape import DeviceTape
from shard_entries import secret_ref, shard_camera, shard_policy
from virtual_time import START, VirtualClock, run_virtual

AWAY = IngestError(ConditionType.REACHABLE, Reason.HOST_UNREACHABLE, "Nothing answers")
MISSING = IngestError(
    ConditionType.AUTHENTICATED, Reason.CREDENTIALS_MISSING, "No Secret", Retry.ON_SECRET_CHANGE
)
REFUSED_BY_RTSP = IngestError(
    ConditionType.AUTHENTICATED,
    Reason.RTSP_CREDENTIALS_REJECTED,
    "Refused",
    Retry.ON_SECRET_CHANGE,
)
REFUSED_PORT = IngestError(ConditionType.REACHABLE, Reason.CONNECTION_REFUSED, "Refused")

WITH_LOGIN = Assignment(shard_camera(credentials=secret_ref("cameras")), shard_policy())
WITHOUT_LOGIN = Assignment(shard_camera(), shard_policy())
AFTER_LOBBY = Assignment(
    shard_camera(credentials=secret_ref("cameras"), login_after="lobby"), shard_policy()
)
ACCOUNT = Credentials("admin", "pw", "1").account_key(WITH_LOGIN.device)
PROVEN = Attempts(account=ACCOUNT, count=1, proven=True, last=START)


class Connecting:
    """A connector before a device."""

    def __init__(self, tape: DeviceTape, assignment: Assignment = WITH_LOGIN) -> None:
        self.ledger = AttemptLedger(VirtualClock())
        self.assignment = assignment
        self.learnt = Learnt()
        device = Device(Backoff())
        timings = CameraTimings()
        self.connector = Connector(tape.connect_deps(self.ledger), device, self.learnt, timings)

    def connect(self) -> Reason | None:
        """Why it failed; None for a stream that plays."""

        async def once() -> Reason | None:
            try:
                await self.connector.connect(self.assignment)
            except IngestError as error:
                return error.reason
            return None

        return run_virtual(once())


def test_a_connect_asks_onvif_once_and_then_goes_straight_to_rtsp() -> None:
    tape = DeviceTape()
    connecting = Connecting(tape)
    assert connecting.connect() is None
    assert connecting.connect() is None
    assert (len(tape.resolved_at), len(tape.opened_at)) == (1, 2)
    assert connecting.connector.attempts is not None
    assert connecting.connector.attempts.proven


def test_a_camera_that_declares_no_login_is_given_none() -> None:
    connecting = Connecting(DeviceTape(), WITHOUT_LOGIN)
    assert connecting.connect() is None
    assert connecting.connector.attempts is None


@pytest.mark.parametrize(
    ("probe", "reason"), [(AWAY, Reason.HOST_UNREACHABLE), (None, Reason.CREDENTIALS_MISSING)]
)
def test_a_missing_secret_is_the_reason_only_where_the_device_answers(
    probe: IngestError | None, reason: Reason
) -> None:
    tape = DeviceTape()
    tape.secret, tape.probe = MISSING, probe
    assert Connecting(tape).connect() is reason
    assert tape.resolved_at == tape.opened_at == []


@pytest.mark.parametrize(
    ("probe", "reason"), [(None, Reason.RTSP_OFF), (AWAY, Reason.CONNECTION_REFUSED)]
)
def test_a_closed_rtsp_port_is_explained_by_the_onvif_port(
    probe: IngestError | None, reason: Reason
) -> None:
    tape = DeviceTape()
    connecting = Connecting(tape)
    assert connecting.connect() is None
    tape.rtsp, tape.probe = REFUSED_PORT, probe
    assert connecting.connect() is reason
    assert len(tape.resolved_at) == 1, "without a question to ONVIF"


def test_credentials_that_rtsp_refused_are_not_sent_again() -> None:
    tape = DeviceTape()
    tape.rtsp = REFUSED_BY_RTSP
    connecting = Connecting(tape)
    assert connecting.connect() is Reason.RTSP_CREDENTIALS_REJECTED
    tape.rtsp = None
    assert connecting.connect() is Reason.RTSP_CREDENTIALS_REJECTED
    assert len(tape.resolved_at) == 1, "and ONVIF, which took them, is not asked either"


def test_an_account_is_not_tried_before_the_other_workers_camera_has_proven_it() -> None:
    tape = DeviceTape()
    connecting = Connecting(tape, AFTER_LOBBY)
    assert connecting.connect() is Reason.PENDING
    assert tape.resolved_at == tape.opened_at == []
    tape.others["lobby"] = runtime_status(CameraSnapshot(1, attempts=PROVEN), START)
    assert connecting.connect() is None


def test_what_another_account_of_that_camera_did_does_not_count() -> None:
    tape = DeviceTape()
    other = PROVEN.model_copy(update={"account": "another"})
    tape.others["lobby"] = runtime_status(CameraSnapshot(1, attempts=other), START)
    assert Connecting(tape, AFTER_LOBBY).connect() is Reason.PENDING
    assert tape.resolved_at == []


def test_an_account_that_was_proven_here_needs_no_other_camera() -> None:
    tape = DeviceTape()
    connecting = Connecting(tape, AFTER_LOBBY)
    connecting.ledger.restore(PROVEN, None)
    assert connecting.connect() is None
    assert tape.others_read == []


def test_a_device_that_is_away_is_reported_as_such_whichever_worker_logs_in_first() -> None:
    tape = DeviceTape()
    tape.probe = AWAY
    assert Connecting(tape, AFTER_LOBBY).connect() is Reason.HOST_UNREACHABLE


def test_a_changed_secret_has_onvif_asked_with_the_new_account() -> None:
    tape = DeviceTape()
    connecting = Connecting(tape)
    assert connecting.connect() is None
    tape.version = "2"
    assert connecting.connect() is None
    assert len(tape.resolved_at) == 2
