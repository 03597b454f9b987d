# SPDX-License-Identifier: Apache-2.0
"""When what is kept of a camera is enough, and what an account shows of itself."""

from __future__ import annotations

import pytest

from camfleet_api.camera import LearnedStatus
from camfleet_api.conditions import Reason
from camfleet_api.device_address import DeviceAddress
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.resolve import needs_resolve

LEARNED = LearnedStatus(
    auth_scheme="digest",
    media_version="1",
    media_path="/onvif/media",
    profile_token="main",
    stream_path="/live/main",
    codec="H264",
    width=1280,
    height=720,
    clock_offset_seconds=-15_897_600,
)


def test_a_first_connect_asks_onvif() -> None:
    assert needs_resolve(None, spec_changed=False, age_s=0.0)


def test_a_reconnect_goes_straight_to_the_stream() -> None:
    assert not needs_resolve(LEARNED, spec_changed=False, age_s=600.0)


def test_a_changed_spec_or_secret_asks_again() -> None:
    assert needs_resolve(LEARNED, spec_changed=True, age_s=0.0)


def test_once_a_day_it_is_asked_again() -> None:
    assert needs_resolve(LEARNED, spec_changed=False, age_s=86_400.0)


@pytest.mark.parametrize("reason", [Reason.STREAM_REFUSED, Reason.PROTOCOL_ERROR, Reason.NO_FRAMES])
def test_a_stream_that_the_device_does_not_play_any_more_is_asked_for_again(reason: Reason) -> None:
    assert needs_resolve(LEARNED, spec_changed=False, age_s=0.0, last_error=reason)


@pytest.mark.parametrize(
    "reason",
    [
        Reason.HOST_UNREACHABLE,
        Reason.CONNECTION_REFUSED,
        Reason.RTSP_OFF,
        Reason.STREAM_ENDED,
        Reason.SESSION_LIMIT,
        Reason.RTSP_CREDENTIALS_REJECTED,
    ],
)
def test_a_failure_that_asking_cannot_cure_costs_no_requests(reason: Reason) -> None:
    assert not needs_resolve(LEARNED, spec_changed=False, age_s=0.0, last_error=reason)


def test_an_account_shows_neither_password_nor_user_name_to_the_ledger() -> None:
    account = Credentials("admin", "correct horse", "42")
    assert "correct horse" not in repr(account)
    assert "admin" not in account.account_key(DeviceAddress("10.0.0.1", 80))


def test_another_version_of_the_secret_or_another_address_is_another_account() -> None:
    account = Credentials("admin", "p", "1")
    keys = {
        account.account_key(DeviceAddress("10.0.0.1", 80)),
        account.account_key(DeviceAddress("10.0.0.2", 80)),
        Credentials("admin", "p", "2").account_key(DeviceAddress("10.0.0.1", 80)),
        Credentials("root", "p", "1").account_key(DeviceAddress("10.0.0.1", 80)),
    }
    assert len(keys) == 4
