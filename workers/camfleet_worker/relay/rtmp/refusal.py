# SPDX-License-Identifier: Apache-2.0
"""What a monitoring system means by refusing to let us publish. Pure, called by the RTMP relay.

Only a refused account may be locked by asking again, and only where credentials were sent: they
travel in the query of the stream's name, so `connect` never carries them. Every other refusal ends
by itself, mostly soon: after a line cut a server holds the name for the dead connection until that
times out. Codes are those of Adobe's RTMP specification 1.0 section 7 and of ActionScript's
NetConnection and NetStream, which servers use; an unknown code where credentials were sent is taken
for the account, because a locked account is the greater harm.
"""

from __future__ import annotations

from collections.abc import Sequence

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.relay.rtmp.amf0 import AmfValue
from camfleet_worker.relay.target import RelayTarget

CONNECT, CREATE_STREAM, PUBLISH = 1, 4, 5
"""Transactions (section 7.2) whose `_error` refuses us. Servers that do not know `releaseStream` or
`FCPublish` answer those with `_error` too, and publish all the same."""

_NAME_IN_USE = "NetStream.Publish.BadName"
_NOT_THE_ACCOUNT = frozenset(
    {
        "NetConnection.Call.Failed",
        "NetConnection.Connect.AppShutdown",
        "NetConnection.Connect.Closed",
        "NetConnection.Connect.Failed",
        "NetConnection.Connect.InvalidApp",
        "NetConnection.Connect.NetworkChange",
        "NetStream.Failed",
        "NetStream.Publish.Idle",
        "NetStream.Publish.Reset",
        "NetStream.Record.Failed",
        "NetStream.Record.NoAccess",
    }
)
_OF_A_CODEC = ("codec", "format")
_ADOBE_LOGIN = "authmod="


class PublishRefused(Exception):
    """The server refused. The message is its status code; its text may echo our URL."""

    def __init__(self, code: str, description: str, transaction: float) -> None:
        super().__init__(code or "no code")
        self.code = code
        self.wants_adobe_login = _ADOBE_LOGIN in description
        self.transaction = transaction


def refusal(values: Sequence[AmfValue], transaction: float) -> PublishRefused:
    """The refusal in the values of an `_error` or of an `onStatus` of level error."""
    about = next((value for value in values if isinstance(value, dict)), {})
    return PublishRefused(_text(about.get("code")), _text(about.get("description")), transaction)


def meaning(refused: PublishRefused, target: RelayTarget) -> IngestError:
    """The error that a person reads, and when the relay asks again."""
    if refused.wants_adobe_login:
        what = "wants a login by authmod=adobe, which RTMP relays do not speak"
        return target.failure(Reason.VMS_REJECTED, what, Retry.SLOW)
    if refused.code == _NAME_IN_USE:
        what = f"has another publisher under this name ({refused})"
        return target.failure(Reason.VMS_NAME_IN_USE, what)
    if refused.code.rpartition(".")[2].lower().endswith(_OF_A_CODEC):
        what = f"does not take this codec ({refused})"
        return target.failure(Reason.VMS_CODEC_UNSUPPORTED, what, Retry.SLOW)
    retry = Retry.ON_SECRET_CHANGE if _may_be_the_account(refused, target) else Retry.BACKOFF
    return target.failure(Reason.VMS_REJECTED, f"refuses the stream with {refused}", retry)


def _may_be_the_account(refused: PublishRefused, target: RelayTarget) -> bool:
    sent = target.credentials is not None and refused.transaction not in (CONNECT, CREATE_STREAM)
    return sent and refused.code not in _NOT_THE_ACCOUNT


def _text(value: AmfValue) -> str:
    return value if isinstance(value, str) else ""
