# SPDX-License-Identifier: Apache-2.0
"""A variable is read as declared; what is wrong with it is said, and no secret with it."""

from __future__ import annotations

from typing import Any

import pytest

from camfleet_base.environment import (
    SettingsError,
    Variable,
    choice,
    json_list,
    json_object,
    matching,
    number,
    service_account,
    text,
    whole,
    words,
)

PORT = whole("PORT", "A port.", 0, 65535, 8080)
RATE = number("RATE", "A rate.", 0.5, 10, 1)
LEVEL = choice("LEVEL", "A level.", ("INFO", "DEBUG"))
NAME = text("NAME", "A name.")
ACCOUNT = service_account("ACCOUNT", "Who.")
DOCUMENT = json_object("DOCUMENT", "Anything.", {})
WORDS = words("WORDS", "Some.")


def named(value: object) -> str:
    """What a case is called: the same in every process of a parallel run."""
    return value.name if isinstance(value, Variable) else str(value)


@pytest.mark.parametrize(
    ("variable", "written", "value"),
    [
        (PORT, "9090", 9090),
        (PORT, "1e+03", 1000),
        (whole("LARGE", "", 0, 2**60, 0), str(2**60 - 1), 2**60 - 1),
        (RATE, " 2.5 ", 2.5),
        (LEVEL, "DEBUG", "DEBUG"),
        (WORDS, "one, two\tthree", ("one", "two", "three")),
        (DOCUMENT, '{"a": 1}', {"a": 1}),
        (json_list("LIST", ""), "[1]", [1]),
        (ACCOUNT, "camfleet-page:page", "camfleet-page:page"),
        (matching("HEX", "", "[0-9a-f]+", "hexadecimal digits"), "0af", "0af"),
    ],
    ids=named,
)
def test_a_value_is_read_as_declared(variable: Variable[Any], written: str, value: object) -> None:
    assert variable.read({variable.name: written}) == value


@pytest.mark.parametrize("variable", [PORT, RATE, LEVEL, DOCUMENT, WORDS], ids=named)
@pytest.mark.parametrize("written", [{}, ""], ids=["absent", "empty"])
def test_one_that_is_not_set_has_its_default(variable: Variable[Any], written: object) -> None:
    environment = {} if written == {} else {variable.name: " "}
    assert variable.read(environment) == variable.default_value


@pytest.mark.parametrize(
    ("variable", "written"),
    [
        (PORT, "65536"),
        (PORT, "-1"),
        (PORT, "1.5"),
        (PORT, "inf"),
        (PORT, "many"),
        (RATE, "nan"),
        (RATE, "0.4"),
        (LEVEL, "LOUD"),
        (DOCUMENT, "{"),
        (DOCUMENT, "[]"),
        (ACCOUNT, "page"),
        (ACCOUNT, "a:b:c"),
    ],
    ids=named,
)
def test_a_wrong_value_is_refused_with_name_problem_and_what_is_expected(
    variable: Variable[Any], written: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        variable.read({variable.name: written})
    assert str(refused.value).startswith(f"{variable.name} ")
    assert str(refused.value).endswith(f": expected {variable.expected}")
    assert refused.value.variable == variable.name


def test_one_without_a_default_must_be_set() -> None:
    with pytest.raises(SettingsError, match="NAME is not set: expected text"):
        NAME.read({"NAME": "  "})


def test_one_may_be_demanded_although_it_has_a_default() -> None:
    assert PORT.demand({"PORT": "1"}) == 1
    with pytest.raises(SettingsError, match="PORT is not set"):
        PORT.demand({})


def test_a_value_that_may_hold_a_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        DOCUMENT.read({"DOCUMENT": '{"PASSWORD": "hunter2"'})
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
