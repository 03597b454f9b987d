# SPDX-License-Identifier: Apache-2.0
"""Opens a stream at a declared address: the entry point of this package, for the supervisor.

It returns a PlayingStream, whose non-blocking socket the media loop drains, or raises an
IngestError with the condition and the reason. It never retries and never connects to another host
than the declared one; redirects are followed only on that host, and twice at most.
"""

from __future__ import annotations

import asyncio

from camfleet_worker.login.credentials import Credentials
from camfleet_worker.rtsp.attempt import Attempt
from camfleet_worker.rtsp.connection import connect
from camfleet_worker.rtsp.exchange import ChallengedAndClosed, Redirected
from camfleet_worker.rtsp.handshake import (
    DEFAULT_TIMINGS,
    AudioSetupFailed,
    Handshake,
    HandshakeTimings,
)
from camfleet_worker.rtsp.login import BeforeAttempt, LoginAccepted
from camfleet_worker.rtsp.message import MessageError
from camfleet_worker.rtsp.playing import PlayingStream
from camfleet_worker.rtsp.refusal import too_many_redirects
from camfleet_worker.rtsp.target import StreamTarget

__all__ = [
    "BeforeAttempt",
    "LoginAccepted",
    "PlayingStream",
    "StreamTarget",
    "no_gate",
    "not_noted",
    "open_stream",
]

_MOST_REDIRECTS = 2


async def no_gate() -> None:
    """The gate of a caller that counts no attempts."""


def not_noted() -> None:
    """For a caller that does not note which credentials were accepted."""


async def open_stream(
    target: StreamTarget,
    credentials: Credentials | None,
    *,
    deadline_s: float,
    before_attempt: BeforeAttempt = no_gate,
    accepted: LoginAccepted = not_noted,
    timings: HandshakeTimings = DEFAULT_TIMINGS,
) -> PlayingStream:
    """Open and start the first H.264 or H.265 video at `target`."""
    deadline = asyncio.get_running_loop().time() + deadline_s
    attempt = Attempt(target, credentials, before_attempt, accepted)
    redirects = 0
    while redirects <= _MOST_REDIRECTS:
        connection = await connect(attempt.target, deadline)
        handshake = Handshake(attempt, connection, timings)
        try:
            return await _played(handshake, deadline)
        except ChallengedAndClosed:  # happens once: the next request answers the challenge
            pass
        except Redirected as redirected:
            attempt.go_to(redirected.path)
            redirects += 1
        except AudioSetupFailed as refused:  # happens once
            attempt.go_without_audio(refused.why)
            await handshake.gone()
    raise too_many_redirects()


async def _played(handshake: Handshake, deadline: float) -> PlayingStream:
    """The playing stream; on any failure the session is torn down and the connection closed."""
    try:
        async with asyncio.timeout_at(deadline):
            return await handshake.run()
    except TimeoutError as error:
        handshake.abandon()
        raise handshake.timed_out() from error
    except MessageError as error:
        handshake.abandon()
        raise handshake.unreadable(error) from error
    except OSError as error:
        handshake.abandon()
        raise handshake.ended(error) from error
    except BaseException:
        handshake.abandon()
        raise
