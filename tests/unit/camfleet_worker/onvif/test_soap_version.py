# SPDX-License-Identifier: Apache-2.0
"""Which version of SOAP a device is asked in, and when it is asked in the other one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from camfleet_worker.onvif.soap_version import SoapVersion, SpokenVersions
from camfleet_worker.resolve.refusal import Fault

V1_1, V1_2 = SoapVersion.V1_1, SoapVersion.V1_2
MISMATCH = Fault(("VersionMismatch",), "")
REFUSED = Fault(("Client", "NotAuthorized"), "")
UNKNOWN = Fault(("Client",), "what is this")


@dataclass(frozen=True)
class Answer:
    """What a device answered."""

    status: int = 200
    version: SoapVersion | None = None
    fault: Fault | None = None


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400),
        Answer(415),
        Answer(500),
        Answer(500, V1_1, MISMATCH),
        Answer(500, V1_2, MISMATCH),
        Answer(500, V1_1, UNKNOWN),
    ],
)
def test_a_device_that_may_not_understand_is_asked_once_in_the_other_version(
    answer: Answer,
) -> None:
    versions = SpokenVersions()
    assert versions.note("/a", answer)
    assert versions.at("/a") is V1_1
    assert not versions.note("/a", Answer(200, V1_1))
    assert (versions.at("/a"), versions.at("/b")) == (V1_1, V1_1)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, V1_2),
        Answer(200, V1_1),
        Answer(400, V1_2, UNKNOWN),
        Answer(400, V1_2, REFUSED),
        Answer(500, V1_1, REFUSED),
        Answer(401),
        Answer(404),
        Answer(503),
    ],
)
def test_every_other_answer_says_nothing_against_the_version(answer: Answer) -> None:
    versions = SpokenVersions()
    assert not versions.note("/a", answer)
    assert versions.at("/a") is V1_2


def test_where_neither_version_is_understood_the_first_one_stays() -> None:
    versions = SpokenVersions()
    assert versions.note("/a", Answer(400))
    assert not versions.note("/a", Answer(400))
    assert not versions.note("/a", Answer(400))
    assert (versions.at("/a"), versions.at("/b")) == (V1_2, V1_2)


def test_where_the_other_version_gets_no_answer_the_first_one_stays() -> None:
    versions = SpokenVersions()
    assert versions.note("/a", Answer(400))
    versions.not_answered("/a")
    assert versions.at("/a") is V1_2


def test_a_version_that_was_understood_is_not_doubted_again() -> None:
    versions = SpokenVersions()
    versions.note("/a", Answer(200, V1_2))
    assert not versions.note("/a", Answer(500))
    assert versions.at("/a") is V1_2


def test_services_of_one_device_may_speak_one_version_each() -> None:
    versions = SpokenVersions()
    versions.note("/device", Answer(200, V1_2))
    assert versions.note("/media", Answer(415))
    versions.note("/media", Answer(200, V1_1))
    assert (versions.at("/device"), versions.at("/media")) == (V1_2, V1_1)


def test_what_was_learnt_is_asked_first_and_given_up_where_it_is_wrong() -> None:
    versions = SpokenVersions("1.1")
    assert versions.at("/a") is V1_1
    assert versions.note("/a", Answer(500, V1_2, MISMATCH))
    assert versions.at("/a") is V1_2
