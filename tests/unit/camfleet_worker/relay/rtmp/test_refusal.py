# SPDX-License-Identifier: Apache-2.0
"""What a refusal to publish means: whose it is, and when the relay asks again."""

from __future__ import annotations

import pytest

from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.relay.rtmp.amf0 import AmfValue
from camfleet_worker.relay.rtmp.refusal import CONNECT, CREATE_STREAM, PUBLISH, meaning, refusal
from camfleet_worker.relay.target import RelayTarget

LOGIN = Credentials("push", "p/&w", "1")


def target(login: Credentials | None) -> RelayTarget:
    codecs = frozenset((Codec.H264,))
    return RelayTarget(RelayProtocol.RTMP, "vms", 1935, "/live/gate", codecs, login)


def told(code: str, description: str = "") -> tuple[AmfValue, ...]:
    return None, {"level": "error", "code": code, "description": description}


@pytest.mark.parametrize(
    ("code", "transaction", "login", "reason", "retry"),
    [
        ("NetStream.Publish.BadName", 0, LOGIN, Reason.VMS_NAME_IN_USE, Retry.BACKOFF),
        ("NetStream.Publish.BadName", PUBLISH, None, Reason.VMS_NAME_IN_USE, Retry.BACKOFF),
        ("NetStream.Publish.Unauthorized", 0, LOGIN, Reason.VMS_REJECTED, Retry.ON_SECRET_CHANGE),
        ("NetStream.Publish.Unauthorized", 0, None, Reason.VMS_REJECTED, Retry.BACKOFF),
        ("NetStream.Publish.Denied", PUBLISH, LOGIN, Reason.VMS_REJECTED, Retry.ON_SECRET_CHANGE),
        ("", PUBLISH, LOGIN, Reason.VMS_REJECTED, Retry.ON_SECRET_CHANGE),
        ("", PUBLISH, None, Reason.VMS_REJECTED, Retry.BACKOFF),
        ("NetStream.Publish.Idle", 0, LOGIN, Reason.VMS_REJECTED, Retry.BACKOFF),
        ("NetConnection.Connect.Rejected", CONNECT, LOGIN, Reason.VMS_REJECTED, Retry.BACKOFF),
        ("NetConnection.Connect.InvalidApp", CONNECT, LOGIN, Reason.VMS_REJECTED, Retry.BACKOFF),
        ("NetStream.Failed", CREATE_STREAM, LOGIN, Reason.VMS_REJECTED, Retry.BACKOFF),
        ("NetStream.Publish.BadCodec", 0, LOGIN, Reason.VMS_CODEC_UNSUPPORTED, Retry.SLOW),
    ],
)
def test_only_a_refused_account_is_left_alone(
    code: str, transaction: float, login: Credentials | None, reason: Reason, retry: Retry
) -> None:
    error = meaning(refusal(told(code), transaction), target(login))
    assert (error.reason, error.retry) == (reason, retry)
    assert (code or "no code") in error.message


def test_a_login_by_authmod_is_named_and_no_right_password_is_blamed() -> None:
    description = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
    refused = refusal(told("NetConnection.Connect.Rejected", description), CONNECT)
    error = meaning(refused, target(LOGIN))
    assert (error.reason, error.retry) == (Reason.VMS_REJECTED, Retry.SLOW)
    assert "authmod=adobe" in error.detail


def test_what_a_server_writes_beside_its_code_is_not_repeated() -> None:
    """It may echo the name of the stream, and with it the password."""
    refused = refusal(told("NetStream.Publish.Unauthorized", "gate?user=push&pass=p%2F%26w"), 0)
    error = meaning(refused, target(LOGIN))
    assert "p%2F" not in error.message + str(refused) + repr(refused)


@pytest.mark.parametrize("values", [(), (None,), (None, 1.0, "text"), (None, {"code": 7.0})])
def test_a_refusal_without_a_code_is_one_all_the_same(values: tuple[AmfValue, ...]) -> None:
    assert "no code" in meaning(refusal(values, PUBLISH), target(None)).detail
