# SPDX-License-Identifier: Apache-2.0
"""A whole number is digits, and nothing else that Python would take for one."""

from __future__ import annotations

import pytest

from camfleet_worker.base.whole_number import whole_number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (" 12\r\n", 12), ("999", 999)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert whole_number(text, digits=3) == number


@pytest.mark.parametrize("text", [None, "", " ", "-1", "+1", "1_0", "1.0", "0x1", "²", "٣", "1000"])
def test_everything_else_is_none(text: str | None) -> None:
    assert whole_number(text, digits=3) is None
