# SPDX-License-Identifier: Apache-2.0
"""The generated page holds what is declared."""

from __future__ import annotations

from camfleet_base.environment import text, whole
from camfleet_base.settings_reference import markdown

PAGE = markdown(
    "Settings",
    "settings.py",
    "Read once.",
    (text("NAME", "Who."), whole("PORT", "Where.", 0, 9, 8), text("HOST", "Which.", "")),
)


def test_each_variable_is_a_row_with_value_default_and_meaning() -> None:
    assert PAGE.splitlines()[-3:] == [
        "| `NAME` | text | must be set | Who. |",
        "| `PORT` | a whole number from 0 to 9 | `8` | Where. |",
        "| `HOST` | text | none | Which. |",
    ]
