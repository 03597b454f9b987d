# SPDX-License-Identifier: Apache-2.0
"""Every parser of what a camera sends, under hostile input: a short campaign, any octets, and every
finding of the past. `make fuzz` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.campaign import Finding, run, try_input
from fuzzer.targets import TARGETS, Target

REGRESSIONS = sorted((Path(__file__).parents[2] / "support/fuzzer/regressions").glob("*.bin"))
INPUTS_EACH = 400


@pytest.mark.parametrize("name", TARGETS)
def test_a_mutated_recording_is_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    recordings = target.recordings()
    for number in range(INPUTS_EACH):
        assert_harmless(target, number, target.mutate(recordings, number))


@pytest.mark.parametrize("name", TARGETS)
def test_any_octets_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=100)
    @given(st.binary(max_size=400))
    def feed(data: bytes) -> None:
        target.feed(data)

    feed()


def test_inputs_that_once_failed_pass_now() -> None:
    for file in REGRESSIONS:
        assert_harmless(TARGETS[file.stem.partition("--")[0]], 0, file.read_bytes())


def test_a_recording_as_it_was_is_read() -> None:
    for target in TARGETS.values():
        for recording in target.recordings():
            target.feed(recording)


def test_a_parser_that_fails_is_found_with_its_place_and_its_input() -> None:
    def broken(data: bytes) -> None:
        if b"\r\n\r\n" in data:
            raise ZeroDivisionError

    target = Target("broken", "rtsp", broken)
    finding = try_input(target, 7, b"a\r\n\r\nb")
    assert isinstance(finding, Finding)
    assert (finding.number, finding.data) == (7, b"a\r\n\r\nb")
    assert finding.place.startswith("ZeroDivisionError in broken")


def test_a_campaign_counts_every_input_once() -> None:
    done, findings = run(600, 2, ["challenges", "sender-report"], lambda done, findings: None)
    assert done == {"challenges": 300, "sender-report": 300}
    assert findings == []


def assert_harmless(target: Target, number: int, data: bytes) -> None:
    finding = try_input(target, number, data)
    assert finding is None, f"{target.name} input {number}:\n{finding.trace if finding else ''}"
