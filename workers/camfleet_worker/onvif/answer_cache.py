# SPDX-License-Identifier: Apache-2.0
"""What a device has just answered, for the next of its channels that would ask the same.

Kept by the device's turns. A recorder's sixteen channels differ in one call, the address of their
stream; everything else they would each ask again, and cameras crash under too many calls (field
report 27). A channel that asks again wants to know anew, so what it was told once is not repeated
to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from camfleet_worker.onvif.envelope import SoapAnswer

KEPT_S = 30.0
"""A recorder answers its channels in less; what is older may be of another setting."""

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

AskIt = Callable[[], Awaitable[SoapAnswer]]
Once = Callable[[Question, AskIt], Awaitable[SoapAnswer]]
"""The answer to a question, asked where it is not known."""


@dataclass(frozen=True, slots=True)
class _Told:
    """An answer, when it came, and the channels that know it."""

    answer: SoapAnswer
    at: float
    channels: set[str]


class Heard:
    """Answers of one device, by who asked for what."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, Question], _Told] = {}

    def by(self, account: str, channel: str) -> Once:
        """For one channel of the device, asked by one account: what one sees, another may not."""

        async def once(question: Question, ask: AskIt) -> SoapAnswer:
            if question[2] not in OF_THE_DEVICE:
                return await ask()
            now = asyncio.get_running_loop().time()
            told = self._told.get((account, question))
            if told is not None and now - told.at < KEPT_S and channel not in told.channels:
                told.channels.add(channel)
                return told.answer
            answer = await ask()
            if answer.document is not None:  # anything else may be a server that stumbled
                self._told[account, question] = _Told(answer, now, {channel})
            return answer

        return once
