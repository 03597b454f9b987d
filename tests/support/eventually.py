# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition instead of sleeping: the only clock that tests of every tier may use.

`eventually` waits until a predicate answers something true, `consistently` sees that it stays so.
A predicate that raises has not answered yet: its exception is kept and shown when time runs out,
because "the pod was never found" is the sentence that explains a failed test. Assertions inside a
predicate are therefore fine. Neither function judges how long something took: `within_s` is the
limit after which a test gives up, chosen generously.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

__all__ = ["consistently", "consistently_async", "eventually", "eventually_async"]


class _Attempt:
    """What the last call of the predicate gave: a value, or the exception that took its place."""

    def __init__(self) -> None:
        self.value: object = None
        self.error: Exception | AssertionError | None = None

    def failed(self, message: str) -> AssertionError:
        if self.error is not None:
            return AssertionError(
                f"{message}; last attempt raised {type(self.error).__name__}: {self.error}"
            )
        return AssertionError(f"{message}; last value was {self.value!r}")


def eventually(pred: Callable[[], T | None], within_s: float = 10.0, every_s: float = 0.05) -> T:
    """Call `pred` until it answers something truthy, and return that; AssertionError after
    `within_s`."""
    deadline = time.monotonic() + within_s
    last = _Attempt()
    while True:
        try:
            value = pred()
        except Exception as error:
            last.error = error
        else:
            if value:
                return value
            last.value, last.error = value, None
        if time.monotonic() >= deadline:
            raise last.failed(
                f"{_name(pred)} did not come true within {within_s} s"
            ) from last.error
        time.sleep(every_s)


def consistently(pred: Callable[[], object], during_s: float, every_s: float = 0.05) -> None:
    """Call `pred` for `during_s`; AssertionError as soon as it answers something falsy."""
    deadline = time.monotonic() + during_s
    while True:
        value = pred()
        if not value:
            raise AssertionError(
                f"{_name(pred)} did not stay true for {during_s} s; value was {value!r}"
            )
        if time.monotonic() >= deadline:
            return
        time.sleep(every_s)


@overload
async def eventually_async(
    pred: Callable[[], Awaitable[T | None]], within_s: float = ..., every_s: float = ...
) -> T: ...
@overload
async def eventually_async(
    pred: Callable[[], T | None], within_s: float = ..., every_s: float = ...
) -> T: ...
async def eventually_async(
    pred: Callable[[], Any], within_s: float = 10.0, every_s: float = 0.05
) -> Any:
    """The twin of `eventually` for tests that own the event loop; `pred` may be async too."""
    deadline = time.monotonic() + within_s
    last = _Attempt()
    while True:
        try:
            value = await _answer(pred)
        except Exception as error:
            last.error = error
        else:
            if value:
                return value
            last.value, last.error = value, None
        if time.monotonic() >= deadline:
            raise last.failed(
                f"{_name(pred)} did not come true within {within_s} s"
            ) from last.error
        await asyncio.sleep(every_s)


async def consistently_async(
    pred: Callable[[], object] | Callable[[], Awaitable[object]],
    during_s: float,
    every_s: float = 0.05,
) -> None:
    """The twin of `consistently` for tests that own the event loop."""
    deadline = time.monotonic() + during_s
    while True:
        value = await _answer(pred)
        if not value:
            raise AssertionError(
                f"{_name(pred)} did not stay true for {during_s} s; value was {value!r}"
            )
        if time.monotonic() >= deadline:
            return
        await asyncio.sleep(every_s)


async def _answer(pred: Callable[[], Any]) -> Any:
    value = pred()
    return await value if inspect.isawaitable(value) else value


def _name(pred: Callable[[], object]) -> str:
    """The predicate as a reader would point at it: its name, or a lambda's line."""
    name = getattr(pred, "__name__", repr(pred))
    code = getattr(pred, "__code__", None)
    return (
        f"{code.co_filename}:{code.co_firstlineno}"
        if name == "<lambda>" and code is not None
        else name
    )
