# SPDX-License-Identifier: Apache-2.0
"""Environment variables as declared values: name, what is expected, default, meaning.

`settings` of both processes declare theirs and read them once at start; `settings_reference` writes
the table of them. A variable that is missing or wrong raises SettingsError, the only error here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SettingsError(ValueError):
    """A variable cannot be used: its name, what is wrong with it, and what is expected."""

    def __init__(self, variable: str, problem: str, expected: str) -> None:
        super().__init__(f"{variable} {problem}: expected {expected}")
        self.variable = variable
        self.problem = problem
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Variable(Generic[T]):
    """One environment variable."""

    name: str
    expected: str
    """What a value must be, for the error and the reference."""
    meaning: str
    parse: Callable[[str], T]
    """Raises ValueError for a value that is not as expected."""
    default: str | None
    """As it would be written; None where the variable must be set."""
    shown: bool = True
    """False where a value may hold a secret: no error repeats it."""

    def read(self, environment: Mapping[str, str]) -> T:
        """The value in an environment. One that is empty counts as not set. Raises
        SettingsError."""
        text = environment.get(self.name, "").strip()
        if not text:
            if self.default is None:
                raise SettingsError(self.name, "is not set", self.expected)
            return self.default_value
        try:
            return self.parse(text)
        except ValueError:
            problem = f"is {text!r}" if self.shown else "has a wrong value"
            raise SettingsError(self.name, problem, self.expected) from None

    def demand(self, environment: Mapping[str, str]) -> T:
        """As `read`, for a variable that must be set because another is. Raises SettingsError."""
        return replace(self, default=None).read(environment)

    @property
    def default_value(self) -> T:
        """The value where the variable is not set. Raises ValueError where it must be set."""
        if self.default is None:
            raise ValueError(f"{self.name} has no default")
        return self.parse(self.default)


def text(
    name: str, meaning: str, default: str | None = None, expected: str = "text"
) -> Variable[str]:
    """Any text."""
    return Variable(name, expected, meaning, str, default)


def matching(
    name: str, meaning: str, pattern: str, expected: str, default: str | None = None
) -> Variable[str]:
    """A text that matches a regular expression as a whole."""

    def parse(value: str) -> str:
        if value and re.fullmatch(pattern, value) is None:
            raise ValueError(value)
        return value

    return Variable(name, expected, meaning, parse, default)


def service_account(name: str, meaning: str, default: str | None = None) -> Variable[str]:
    """A ServiceAccount as namespace:name."""
    label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    pattern = rf"{label}:{label}(\.{label})*"
    return matching(name, meaning, pattern, "a ServiceAccount as namespace:name", default)


def choice(name: str, meaning: str, choices: tuple[str, ...]) -> Variable[str]:
    """One of some words; the first is the default."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(value)
        return value

    return Variable(name, f"one of {', '.join(choices)}", meaning, parse, choices[0])


def words(name: str, meaning: str) -> Variable[tuple[str, ...]]:
    """A list of words, none by default."""

    def parse(value: str) -> tuple[str, ...]:
        return tuple(word for word in re.split(r"[\s,]+", value) if word)

    return Variable(name, "words between spaces or commas", meaning, parse, "")


def whole(name: str, meaning: str, least: int, most: int, default: int) -> Variable[int]:
    """A whole number. 1e+06 is one: Helm writes large numbers so."""

    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = _whole(float(value))
        return _within(number, least, most)

    return Variable(name, f"a whole number from {least} to {most}", meaning, parse, str(default))


def number(name: str, meaning: str, least: float, most: float, default: float) -> Variable[float]:
    """A number, whole or not."""

    def parse(value: str) -> float:
        return _within(float(value), least, most)

    return Variable(name, f"a number from {least:g} to {most:g}", meaning, parse, f"{default:g}")


def json_object(name: str, meaning: str, default: Mapping[str, Any]) -> Variable[Mapping[str, Any]]:
    """A JSON object. No error repeats it: it may hold other programs' settings."""
    return Variable(name, "a JSON object", meaning, _json(dict), json.dumps(default), shown=False)


def json_list(name: str, meaning: str) -> Variable[list[Any]]:
    """A JSON list, empty by default."""
    return Variable(name, "a JSON list", meaning, _json(list), "[]", shown=False)


N = TypeVar("N", int, float)


def _within(value: N, least: float, most: float) -> N:
    # Also refuses NaN, which is neither.
    if not least <= value <= most:
        raise ValueError(value)
    return value


def _whole(value: float) -> int:
    if not value.is_integer():  # Nor are infinity and NaN.
        raise ValueError(value)
    return int(value)


def _json(shape: type[T]) -> Callable[[str], T]:
    def parse(value: str) -> T:
        found = json.loads(value)
        if not isinstance(found, shape):
            raise ValueError
        return found

    return parse
