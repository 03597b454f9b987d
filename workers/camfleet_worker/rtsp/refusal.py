# SPDX-License-Identifier: Apache-2.0
"""Maps a camera's refusal, by status and text, to a reason. Pure, called by the handshake."""

from __future__ import annotations

from urllib.parse import urlsplit

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.base.whole_number import whole_number
from camfleet_worker.resolve import lockout
from camfleet_worker.rtsp.headers import DEFAULT_SESSION_TIMEOUT_S, parse_session
from camfleet_worker.rtsp.message import Response

_LONGEST_WAIT_S = 120.0
_TEXT_BYTES = 4096


def redirected_host(location: str) -> str:
    """The host that a Location names; empty where it names none."""
    try:
        return (urlsplit(location.strip()).hostname or "")[:100]
    except ValueError:
        return ""


def redirected_port(location: str) -> int | None:
    """The port that a Location names; None where it names none, or none that makes sense."""
    try:
        return urlsplit(location.strip()).port
    except ValueError:
        return None


def attempts_left(response: Response) -> int | None:
    """How many more logins the camera says it accepts; None where the words name no number."""
    return lockout.attempts_left(_text(response))


def locked(response: Response) -> bool:
    """Whether a refusal says that the account is locked (quirk 9)."""
    return lockout.says_locked(_text(response))


def is_last(response: Response) -> bool:
    """Whether the camera closes the connection behind this answer (RFC 2326 section 12.10)."""
    return "close" in (response.headers.get("connection") or "").lower()


_AFTER_LOGIN = frozenset({404, 415, 451, 453, 454, 455, 457, 459, 460, 461})
"""Refusals of what was asked for. Asked without credentials for the same, the camera answered 401,
so it has accepted them. 400, 403 and 5xx may be about the credentials."""


def accepts_login(response: Response) -> bool:
    """Whether this answer to a request with credentials shows that the camera accepts them."""
    return response.status < 400 or response.status in _AFTER_LOGIN


def refused(method: str, response: Response, session_timeout_s: float = 0.0) -> IngestError:
    """The failure for a status other than 200."""
    status = response.status
    if status in (401, 403, 423) and locked(response):
        return account_locked()
    if status == 401:
        return credentials_rejected()
    if status in (403, 453):
        # 453 Not Enough Bandwidth is how RTSP says it (RFC 2326 section 11.3.4); installed
        # cameras and recorders also answer 403 when too many users watch (quirk 28).
        return IngestError(
            ConditionType.STREAMING,
            Reason.SESSION_LIMIT,
            f"The camera answers {method} with {status}: {_NO_FURTHER_SESSION[status]}",
            retry_after_s=_patience_s(response, session_timeout_s),
        )
    return IngestError(
        ConditionType.STREAMING,
        Reason.STREAM_REFUSED,
        f"The camera answers {method} with {status}{_MEANINGS.get(status, '')}",
    )


_TAKEN = (
    "its sessions are taken, by other viewers, a recorder, or one of ours that it has not closed "
    "yet"
)
_NO_FURTHER_SESSION = {
    403: f"{_TAKEN}; where nobody else watches, this account may not view live video",
    453: _TAKEN,
}
_MEANINGS = {
    404: ": it knows no such stream",
    415: ": it has no description of the stream",
    454: ": it has forgotten the session",
    455: ": it says that this is not the time for it",
    461: ": it takes none of the transports",
    500: ": it failed inside",
    503: ": it is overloaded or still starting",
}


def _patience_s(response: Response, session_timeout_s: float) -> float:
    """The longest time for which the camera may keep a lost session of ours."""
    retry_after = whole_number(response.headers.get("retry-after"), digits=6)
    if retry_after is not None:
        return min(float(retry_after), _LONGEST_WAIT_S)
    session = parse_session(response.headers.get("session") or "")
    if session is not None and session.stated:
        return min(float(session.timeout_s), _LONGEST_WAIT_S)
    return min(session_timeout_s or DEFAULT_SESSION_TIMEOUT_S, _LONGEST_WAIT_S)


def redirect_refused(host: str, port: int | None = None) -> IngestError:
    """The failure where a camera redirects to another host, or to this other port of its own."""
    printable = "".join(filter(str.isprintable, host))
    if port is not None:
        printable = f"port {port} of the same host"
    return IngestError(
        ConditionType.STREAMING,
        Reason.STREAM_REDIRECTED,
        f"The camera redirects the stream to {printable or 'nowhere'}, which was not declared",
        Retry.SLOW,
    )


def too_many_redirects() -> IngestError:
    """The failure where a camera redirects again and again."""
    return IngestError(
        ConditionType.STREAMING,
        Reason.STREAM_REFUSED,
        "The camera redirects the stream again and again",
    )


def credentials_rejected() -> IngestError:
    """The failure where the user name or the password is wrong."""
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.RTSP_CREDENTIALS_REJECTED,
        "RTSP refuses the user name or the password, which ONVIF takes",
        Retry.ON_SECRET_CHANGE,
    )


def credentials_missing() -> IngestError:
    """The failure where the camera requires a login and no credentials are declared."""
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.CREDENTIALS_MISSING,
        "RTSP asks for a login and no credentials are at hand",
        Retry.ON_SECRET_CHANGE,
    )


def account_locked() -> IngestError:
    """The failure at a locked account; a further attempt would extend the lock."""
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.ACCOUNT_LOCKED,
        "RTSP says that the account is locked",
        Retry.ON_SECRET_CHANGE,
    )


def udp_only(allowed: bool, tls: bool) -> IngestError:
    """The failure where the camera does not send over its RTSP connection."""
    if tls:
        fact = "The camera sends video over UDP only, which rtsps does not protect"
    elif not allowed:
        fact = (
            "The camera sends video over UDP only, "
            "which spec.streams.udpFallback of its technical profile does not allow"
        )
    else:
        fact = "The camera sends video neither over its RTSP connection (TCP) nor over UDP"
    return IngestError(ConditionType.STREAMING, Reason.TRANSPORT_REFUSED, fact, Retry.SLOW)


def not_rtsp(port: int) -> IngestError:
    """The failure where the port answers by another protocol."""
    return IngestError(
        ConditionType.STREAMING, Reason.NOT_RTSP, f"Port {port} answers, but not by RTSP"
    )


def protocol_error(fact: str) -> IngestError:
    """The failure where the camera breaks the protocol."""
    return IngestError(ConditionType.STREAMING, Reason.PROTOCOL_ERROR, fact)


def _text(response: Response) -> str:
    """The text that a camera wrote for people: reason phrase, headers, body."""
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers)
    body = response.body[:_TEXT_BYTES].decode("utf-8", "replace")
    return f"{response.reason}\n{headers[:_TEXT_BYTES]}\n{body}"
