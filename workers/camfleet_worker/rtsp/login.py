# SPDX-License-Identifier: Apache-2.0
"""Logs in to a camera, and limits the logins of one attempt to play.

The handshake calls it for each 401. One request is sent without credentials, then one attempt is
made with them; a second one only for another scheme that the camera offers, and where the gate
allows it, because cameras lock accounts. login/challenges.py computes the answers to challenges.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from camfleet_worker.login.challenges import Authorization
from camfleet_worker.rtsp import refusal
from camfleet_worker.rtsp.message import Response
from camfleet_worker.rtsp.session import RtspSession

_MOST_SCHEMES = 2
"""How many schemes are tried in one attempt to play: a camera may fail at one that it offers."""
_FEWEST_LEFT = 3
"""No further login is tried when the camera says that fewer attempts are left."""

BeforeAttempt = Callable[[], Awaitable[None]]
"""Awaited right before credentials are first sent: the attempt is written down before it is made.
It may raise IngestError when none is left."""

LoginAccepted = Callable[[], None]
"""Called when the camera has accepted the credentials, whatever becomes of the stream then."""

Ask = Callable[[], Awaitable[Response]]
"""Sends the refused request once more, with the credentials that the session then has."""


class RtspLogin:
    """The login of one attempt to play, over all its connections."""

    def __init__(
        self,
        session: RtspSession,
        has_credentials: bool,
        before_attempt: BeforeAttempt,
        accepted: LoginAccepted,
    ) -> None:
        self._session = session
        self._has_credentials = has_credentials
        self._before_attempt = before_attempt
        self._accepted = accepted
        self._taken = False
        """Whether a request with credentials was answered with anything but 401."""

    async def answer(self, challenge: Response, ask: Ask) -> Response:
        """The answer to the request that was refused with this challenge, after logging in.

        A new nonce for credentials already taken spends no attempt: some cameras give each URL
        one of its own (quirk 7). IngestError where nothing may be tried.
        """
        if not self._has_credentials:
            raise refusal.credentials_missing()
        if refusal.locked(challenge):
            raise refusal.account_locked()
        if self._taken:
            self._session.challenged(challenge)
            return await ask()
        response, tried = challenge, set[str]()
        while len(tried) < _MOST_SCHEMES and (offer := self._next_offer(response, tried)):
            tried.add(offer.name)
            await self._before_attempt()
            response = await self._try(offer, ask)
            if response.status != 401:
                self._taken = True
                if refusal.accepts_login(response):
                    self._accepted()
                break
        if not tried:
            raise refusal.protocol_error(
                "RTSP asks for a login by a scheme that is not Basic or Digest"
            )
        return response

    def _next_offer(self, response: Response, tried: set[str]) -> Authorization | None:
        """The strongest kind not tried yet; None where one more try could lock the account or would
        not reach the camera."""
        left = refusal.attempts_left(response)
        if tried and refusal.is_last(response):
            return None
        if refusal.locked(response) or (tried and left is not None and left < _FEWEST_LEFT):
            return None
        return next((o for o in self._session.offers(response) if o.name not in tried), None)

    async def _try(self, offer: Authorization, ask: Ask) -> Response:
        self._session.log_in(offer)
        response = await ask()
        if response.status == 401 and self._session.stale(response):
            # RFC 2617 section 3.3: the credentials were right, only the nonce was too old.
            self._session.challenged(response)
            response = await ask()
        return response
