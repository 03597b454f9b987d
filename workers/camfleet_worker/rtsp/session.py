# SPDX-License-Identifier: Apache-2.0
"""Our half of one RTSP session, without any I/O: numbering, login, session id, keepalive.

The client drives it while it shakes hands; then the media loop drives the same object, so that
keepalives and TEARDOWN go on counting where the handshake stopped.
"""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_worker.rtsp.auth import Authorization, Authorizer, parse_challenges
from camfleet_worker.rtsp.headers import parse_public, parse_session
from camfleet_worker.rtsp.message import Request, Response, serialise_request, serialise_response

USER_AGENT = "camfleet"
_MAX_KEEPALIVE_REFUSALS = 2


class RtspSession:
    """What both sides have agreed on so far."""

    def __init__(self, authorizer: Authorizer | None) -> None:
        self._authorizer = authorizer
        self._authorization: Authorization | None = None
        self._cseq = 0
        self._keepalive_cseq: int | None = None
        self._keepalive_method = ""
        self._keepalive_refusals = 0
        self._refused_method = ""
        self._public: frozenset[str] = frozenset()
        self.session_id = ""
        self.timeout_s = 0
        self.aggregate_url = ""
        """Where PLAY, keepalives and TEARDOWN go."""

    @property
    def logged_in(self) -> bool:
        """Whether requests carry credentials."""
        return self._authorization is not None

    def request(self, method: str, url: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """A request as octets; CSeq, Authorization and Session are added."""
        self._cseq += 1
        lines = [("CSeq", str(self._cseq)), ("User-Agent", USER_AGENT)]
        if self._authorization is not None:
            lines.append(("Authorization", self._authorization.header(method, url)))
        if self.session_id:
            lines.append(("Session", self.session_id))
        return serialise_request(method, url, [*lines, *headers])

    def answers_last(self, response: Response) -> bool:
        """Whether this answers the request sent last; a camera may leave CSeq out."""
        return response.cseq in (None, self._cseq)

    def learn(self, response: Response) -> None:
        """Take the session id (it may change with every answer) and the methods from an answer."""
        header = response.headers.get("session")
        session = parse_session(header) if header else None
        if session is not None:
            self.session_id, self.timeout_s = session.id, session.timeout_s
        public = response.headers.get("public")
        if public:
            self._public = parse_public(public)

    def challenged(self, response: Response) -> bool:
        """Prepare to answer the challenges of a 401; False where we cannot."""
        challenges = parse_challenges(response.headers.all("www-authenticate"))
        answer = self._authorizer.answer(challenges) if self._authorizer else None
        if answer is not None:
            self._authorization = answer
        return answer is not None

    def stale(self, response: Response) -> bool:
        """Whether a 401 says that only the nonce was too old."""
        challenges = parse_challenges(response.headers.all("www-authenticate"))
        return any(challenge.stale for challenge in challenges)

    @property
    def keepalive_interval_s(self) -> float:
        """A third of the session's timeout: one lost keepalive does not end the session, and nor
        does one of two alternating methods that the camera does not count."""
        return self.timeout_s / 3

    def keepalive(self) -> bytes | None:
        """The next sign of life, or None once the camera has refused the login for it twice.

        The first is OPTIONS, whose answer tells whether GET_PARAMETER may be used, which RFC 2326
        section 10.8 names for this purpose. Then the two alternate: there are cameras that name
        both, answer both with 200 and count only one of them (quirk 29).
        """
        known = "GET_PARAMETER" in self._public
        before = self._keepalive_method
        return self._keepalive_by("GET_PARAMETER" if known and before == "OPTIONS" else "OPTIONS")

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
        OPTIONS, which most cameras answer to anybody, takes back no refusal of another method.
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
        """The methods only: an answer after PLAY cannot change the session."""
        public = response.headers.get("public")
        if public:
            self._public = parse_public(public)
        elif response.status in (405, 501, 551):
            # It named GET_PARAMETER and does not know it (RFC 2326 section 7.1.1).
            self._public -= {"GET_PARAMETER"}

    def teardown(self) -> bytes:
        """The last request of a session."""
        return self.request("TEARDOWN", self.aggregate_url)


def answer_request(request: Request) -> bytes:
    """Our answer to a server's request: it may ask whether we live, it may order nothing."""
    headers = [("CSeq", str(request.cseq if request.cseq is not None else 0))]
    if request.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER"):
        return serialise_response(200, "OK", headers)
    return serialise_response(501, "Not Implemented", headers)
