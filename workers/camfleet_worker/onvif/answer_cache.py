# SPDX-License-Identifier: Apache-2.0
"""Keeps what a device has just answered, for its other channels, which would ask the same.

The device's lock holds the cache. A recorder's sixteen channels differ in one call, the address of
their stream; each would repeat all other calls, and cameras crash under too many calls (quirk 27).
A channel that asks again needs a fresh answer, so no channel gets a kept answer twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from camfleet_worker.onvif.envelope import SoapAnswer

KEPT_S = 30.0
"""A recorder answers its channels in less time; an older answer may predate a changed setting."""

OF_THE_DEVICE = frozenset(
    {
        "GetServices",
        "GetCapabilities",
        "GetDeviceInformation",
        "GetProfiles",
        "GetVideoSources",
        "GetVideoSourceConfigurations",
        "GetEndpointReference",
        "GetNetworkInterfaces",
    }
)
"""Operations whose answer is the same for every channel."""


Question = tuple[str, str, str]
"""Path, namespace and name of an operation."""

Send = Callable[[], Awaitable[SoapAnswer]]
"""Sends a question to the device."""
CachedCall = Callable[[Question, Send], Awaitable[SoapAnswer]]
"""Returns the answer to a question; the question is sent only where no answer is kept."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, the time when it came, and the channels that have received it."""

    answer: SoapAnswer
    at: float
    channels: set[str]


class AnswerCache:
    """The answers of one device, by account and question."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Question], _Kept] = {}

    def of_channel(self, account: str, channel: str) -> CachedCall:
        """The cached call of one channel. Accounts share nothing: their rights may differ."""

        async def call(question: Question, send: Send) -> SoapAnswer:
            if question[2] not in OF_THE_DEVICE:
                return await send()
            now = asyncio.get_running_loop().time()
            kept = self._kept.get((account, question))
            if kept is not None and now - kept.at < KEPT_S and channel not in kept.channels:
                kept.channels.add(channel)
                return kept.answer
            answer = await send()
            if answer.document is not None:  # anything else may be a passing error of the server
                self._kept[account, question] = _Kept(answer, now, {channel})
            return answer

        return call
