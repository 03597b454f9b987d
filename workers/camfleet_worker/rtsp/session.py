# SPDX-License-Identifier: Apache-2.0
"""Our half of one RTSP session, without any I/O: numbering, login, session id, keepalive.

For a camera the client uses it during the handshake; then the media loop uses the same object, so
that keepalives and TEARDOWN go on counting where the handshake stopped. For a monitoring system the
RTSP relay uses it. These users decide whether and how often to log in.
"""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_worker.login.challenges import (
    Authorization,
    Authorizer,
    Skip,
    ignore,
    parse_challenges,
)
from camfleet_worker.rtsp.headers import DEFAULT_SESSION_TIMEOUT_S, parse_public, parse_session
from camfleet_worker.rtsp.message import Request, Response, serialise_request, serialise_response

USER_AGENT = "camfleet"
_MAX_KEEPALIVE_REFUSALS = 2
_KEEPALIVES = ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")
_UNKNOWN_METHOD = (405, 501, 551)
_UNSTATED_TIMEOUT_S = 30
"""Servers that state no timeout often mean less than the 60 s of RFC 2326 section 12.37."""


class RtspSession:
    """The state of one session on our side."""

    def __init__(
        self, authorizer: Authorizer | None, skip: Skip = ignore, unnamed_keepalive: str = ""
    ) -> None:
        """`skip` is called with each element of a challenge that cannot be read.
        `unnamed_keepalive`: a method that counts as named by Public."""
        self._unnamed_keepalive = unnamed_keepalive
        self._authorizer = authorizer
        self._skip = skip
        self._authorization: Authorization | None = None
        self._cseq = 0
        self._keepalive_cseq: int | None = None
        self._keepalive_method = ""
        self._keepalive_refusals = 0
        self._refused_method = ""
        self._public: frozenset[str] = frozenset()
        self._unknown: set[str] = set()
        self._timeout_stated = False
        self.session_id = ""
        self.timeout_s = 0
        self.aggregate_url = ""
        """The URL of PLAY, keepalives and TEARDOWN."""

    @property
    def last_cseq(self) -> int:
        """The number of the last request (RFC 2326 section 12.17)."""
        return self._cseq

    def request(
        self, method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> bytes:
        """A request as octets; CSeq, User-Agent, Authorization and Session are added."""
        self._cseq += 1
        lines = [("CSeq", str(self._cseq)), ("User-Agent", USER_AGENT)]
        if self._authorization is not None:
            lines.append(("Authorization", self._authorization.header(method, url)))
        if self.session_id:
            lines.append(("Session", self.session_id))
        return serialise_request(method, url, [*lines, *headers], body)

    def learn(self, response: Response) -> None:
        """Take the session id (it may change with every answer) and the methods from an answer."""
        header = response.headers.get("session")
        session = parse_session(header) if header else None
        if session is not None:
            self.session_id = session.id
            if session.stated or not self.timeout_s:
                self.timeout_s, self._timeout_stated = session.timeout_s, session.stated
        public = response.headers.get("public")
        if public:
            self._public = parse_public(public)

    def offers(self, response: Response) -> list[Authorization]:
        """Answers to the challenges of a 401, strongest first; empty where we know none."""
        challenges = parse_challenges(response.headers.all("www-authenticate"), self._skip)
        return self._authorizer.answers(challenges) if self._authorizer else []

    def log_in(self, authorization: Authorization) -> None:
        """Use these credentials for every request from here on."""
        self._authorization = authorization

    def challenged(self, response: Response) -> bool:
        """Take the new nonce of a 401, by the scheme in use where it is offered; False where we
        cannot."""
        offers = self.offers(response)
        current = self._authorization.name if self._authorization else ""
        same = [offer for offer in offers if offer.name == current]
        if offers:
            self._authorization = (same or offers)[0]
        return bool(offers)

    def forget(self) -> None:
        """The session was torn down; the connection and its login go on."""
        self.session_id = ""

    def stale(self, response: Response) -> bool:
        """Whether a 401 says that only the nonce was too old."""
        challenges = parse_challenges(response.headers.all("www-authenticate"))
        return any(challenge.stale for challenge in challenges)

    @property
    def keepalive_interval_s(self) -> float:
        """So short that each method is sent once within the timeout, even where one is lost."""
        timeout_s = self.timeout_s if self._timeout_stated else _UNSTATED_TIMEOUT_S
        return timeout_s / max(3, len(self._keepalives()) + 1)

    @property
    def uncounted_ends_s(self) -> tuple[float, float]:
        """Between which ages a server ends the session where it counts no keepalive of ours: it may
        mean less than it states or leaves unstated, and may look for silent sessions rarely."""
        most_s = self.timeout_s or DEFAULT_SESSION_TIMEOUT_S
        least_s = most_s if self._timeout_stated else _UNSTATED_TIMEOUT_S
        return least_s / 2, 2.0 * most_s

    def keepalive(self) -> bytes | None:
        """The next keepalive, or None where the server accepts none.

        The first is OPTIONS, whose answer names the others. Then all of these are used in turn:
        some cameras name several, answer each with 200 and count only one (quirk 29). None is left
        after the login was refused for them twice, or all are unknown to the camera; then our RTCP
        reports keep the session alive.
        """
        methods = self._keepalives()
        if not methods:
            return None
        before = self._keepalive_method
        at = methods.index(before) + 1 if before in methods else 0
        return self._keepalive_by(methods[at % len(methods)])

    def _keepalives(self) -> list[str]:
        """OPTIONS, what the camera named, and one more that it counts; GET_PARAMETER where it does
        not know OPTIONS."""
        named = self._public or ({"GET_PARAMETER"} if "OPTIONS" in self._unknown else set())
        return [
            method
            for method in _KEEPALIVES
            if method not in self._unknown
            and (method in ("OPTIONS", self._unnamed_keepalive) or method in named)
        ]

    def _keepalive_by(self, method: str) -> bytes | None:
        if self._keepalive_refusals >= _MAX_KEEPALIVE_REFUSALS:
            return None
        message = self.request(method, self.aggregate_url)
        self._keepalive_method, self._keepalive_cseq = method, self._cseq
        return message

    def keepalive_answered(self, response: Response) -> bytes | None:
        """Learn from an answer after PLAY; the message to send in return, if any.

        A refused login is answered once with the new nonce. A second refusal in a row stops the
        keepalives instead of risking the account; the stream itself may well go on without.
        OPTIONS, which most cameras answer without a login, does not reset a refusal.
        """
        if response.cseq is not None and response.cseq != self._keepalive_cseq:
            return None
        method = self._keepalive_method
        if response.status != 401:
            if method == self._refused_method:
                self._keepalive_refusals = 0
            self._learn_after_play(response)
            return None
        self._keepalive_refusals += 1
        self._refused_method = method
        return self._keepalive_by(method) if self.challenged(response) else None

    def _learn_after_play(self, response: Response) -> None:
        """Learn the methods only: an answer after PLAY cannot change the session."""
        public = response.headers.get("public")
        if public:
            self._public = parse_public(public)
        elif response.status in _UNKNOWN_METHOD:
            # It may have named the method and not know it (RFC 2326 section 7.1.1).
            self._unknown.add(self._keepalive_method)

    def teardown(self) -> bytes:
        """The last request of a session."""
        return self.request("TEARDOWN", self.aggregate_url)


def answer_request(request: Request) -> bytes:
    """Our answer to a server's request, which may check that we are alive and nothing else."""
    headers = [("CSeq", str(request.cseq if request.cseq is not None else 0))]
    if request.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER"):
        return serialise_response(200, "OK", headers)
    return serialise_response(501, "Not Implemented", headers)
