# SPDX-License-Identifier: Apache-2.0
"""The table of quirks is complete: each has an answer, a fault that plays it and a test on the
wire."""

from __future__ import annotations

import pytest

from camera_simulator.faults import FAULTS
from camera_simulator.quirk_table import TABLE, numbered_tests, table
from camera_simulator.quirks import QUIRKS, Quirk

NUMBERS = [quirk.number for quirk in QUIRKS]


def test_the_quirks_are_numbered_from_1_on_without_a_gap() -> None:
    assert list(range(1, len(QUIRKS) + 1)) == NUMBERS


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: str(quirk.number))
def test_a_quirk_has_an_answer_a_fault_and_a_test_with_real_parts(quirk: Quirk) -> None:
    assert quirk.answer.endswith("."), "says what the worker does, in sentences"
    assert [name for name, fault in FAULTS.items() if fault.quirk == quirk.number]
    tests = numbered_tests().get(quirk.number, [])
    assert [name for name in tests if name.startswith(("wire/", "cluster/", "e2e/"))]


def test_no_fault_and_no_test_names_a_quirk_that_is_not_there() -> None:
    named = {fault.quirk for fault in FAULTS.values() if fault.quirk is not None}
    assert named | set(numbered_tests()) <= set(NUMBERS)


def test_the_table_is_what_quirks_faults_and_tests_say() -> None:
    assert TABLE.read_text("utf-8") == table(), "make generate"
