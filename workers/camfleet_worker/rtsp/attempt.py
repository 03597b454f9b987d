# SPDX-License-Identifier: Apache-2.0
"""The state of one attempt to play, which outlives a connection of it.

Made by client.py for each call; its handshakes and their exchanges read and write it.
"""

from __future__ import annotations

from dataclasses import replace

from camfleet_worker.base.skipped import SKIPPED, Part
from camfleet_worker.login.challenges import Authorizer
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.resolve.addresses import authority
from camfleet_worker.rtsp.login import BeforeAttempt, LoginAccepted, RtspLogin
from camfleet_worker.rtsp.message import Response
from camfleet_worker.rtsp.session import RtspSession
from camfleet_worker.rtsp.target import StreamTarget


class Attempt:
    """One attempt to play: what it has learnt so far, on whichever connection."""

    def __init__(
        self,
        target: StreamTarget,
        credentials: Credentials | None,
        before_attempt: BeforeAttempt,
        accepted: LoginAccepted,
    ) -> None:
        self.target = target
        """The address to ask now; a redirect changes its path."""
        self.session = RtspSession(
            Authorizer(credentials.username, credentials.password) if credentials else None,
            lambda element: self.note_skipped(Part.CHALLENGE, element),
            target.keepalive,
        )
        self.login = RtspLogin(self.session, credentials is not None, before_attempt, accepted)
        self.answered = False
        """Whether the camera has answered anything."""
        self._challenge: Response | None = None
        self._kept_challenge = False
        self.silence = ""
        """Why there is no audio although it was asked for; else empty."""

    def note_skipped(self, part: Part, excerpt: str) -> None:
        """Count what cannot be read; its first of a kind is logged."""
        address = authority(self.target.host, self.target.port)
        # A path may hold a password: it distinguishes the streams of a recorder, and is not logged.
        SKIPPED.note(part, self.target.url(), address, excerpt)

    def keep_challenge(self, challenge: Response) -> bool:
        """Answer this challenge with the next request, on another connection; False where that was
        done before, for a camera that closes behind each of its challenges is never through."""
        if self._kept_challenge:
            return False
        self._challenge, self._kept_challenge = challenge, True
        return True

    def take_challenge(self) -> Response | None:
        """The challenge to answer instead of asking without credentials, if there is one."""
        challenge, self._challenge = self._challenge, None
        return challenge

    def go_to(self, path: str) -> None:
        """Ask this path next, in a new session."""
        self.target = self.target.with_path(path)
        self.session.forget()

    def go_without_audio(self, why: str) -> None:
        """Do not ask for audio again; the session that the camera ended is over."""
        self.target = replace(self.target, audio=False)
        self.silence = why
        self.session.forget()
