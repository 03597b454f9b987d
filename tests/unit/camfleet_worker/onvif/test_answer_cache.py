# SPDX-License-Identifier: Apache-2.0
"""What the channels of a device need not ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from camfleet_worker.onvif.answer_cache import KEPT_S, AnswerCache, Send
from camfleet_worker.onvif.envelope import SoapAnswer
from camfleet_worker.onvif.transport import HttpAnswer
from virtual_time import run_virtual

PROFILES = ("/onvif/media", "http://www.onvif.org/ver10/media/wsdl", "GetProfiles")
STREAM = (*PROFILES[:2], "GetStreamUri")
SOAP = SoapAnswer(HttpAnswer(200, (), "", "", "", b""), object(), None)
PAGE = SoapAnswer(HttpAnswer(503, (), "", "", "", b"busy"), None, None)


def times_asked(
    answer: SoapAnswer,
    asking: Callable[[AnswerCache, Send], Coroutine[None, None, None]],
) -> int:
    asked = 0

    async def ask() -> SoapAnswer:
        nonlocal asked
        asked += 1
        return answer

    run_virtual(asking(AnswerCache(), ask))
    return asked


def test_an_answer_to_one_channel_is_used_for_the_next() -> None:
    async def two_channels(cache: AnswerCache, ask: Send) -> None:
        first = await cache.of_channel("account", "1")(PROFILES, ask)
        assert await cache.of_channel("account", "2")(PROFILES, ask) is first

    assert times_asked(SOAP, two_channels) == 1


def test_a_channel_that_asks_again_gets_a_fresh_answer_and_so_do_the_others() -> None:
    async def again(cache: AnswerCache, ask: Send) -> None:
        for channel in ("1", "2", "1", "2"):
            await cache.of_channel("account", channel)(PROFILES, ask)

    assert times_asked(SOAP, again) == 2


@pytest.mark.parametrize(
    ("second", "account", "after_s"),
    [
        (PROFILES, "another account", 0),
        (("/other", *PROFILES[1:]), "account", 0),
        (STREAM, "account", 0),
        (PROFILES, "account", KEPT_S + 1),
    ],
    ids=["another account", "another path", "another operation", "half a minute later"],
)
def test_another_question_is_asked(
    second: tuple[str, str, str], account: str, after_s: float
) -> None:
    async def two_questions(cache: AnswerCache, ask: Send) -> None:
        await cache.of_channel("account", "1")(PROFILES, ask)
        await asyncio.sleep(after_s)
        await cache.of_channel(account, "2")(second, ask)

    assert times_asked(SOAP, two_questions) == 2


@pytest.mark.parametrize(
    ("answer", "question"),
    [(SOAP, STREAM), (PAGE, PROFILES)],
    ids=["its own stream", "a web server that stumbled"],
)
def test_each_channel_sends_these_questions_itself(
    answer: SoapAnswer, question: tuple[str, str, str]
) -> None:
    async def two_channels(cache: AnswerCache, ask: Send) -> None:
        await cache.of_channel("account", "1")(question, ask)
        await cache.of_channel("account", "2")(question, ask)

    assert times_asked(answer, two_channels) == 2
