# SPDX-License-Identifier: Apache-2.0
"""GET /journal and POST /journal/acknowledge: what a collector of availability asks a worker.

A collector reads from the moment it has acknowledged, stores what it got, and then acknowledges
`settledUs` of the answer: days that ended before it are let go. Reading changes nothing, so an
answer that is lost is asked for again.
"""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from camfleet_worker.http_server import Answer, Request
from camfleet_worker.journal.lines import Entry, said
from camfleet_worker.journal.store import ended_us
from camfleet_worker.journals import Journals, KeptJournal

T = TypeVar("T")

JOURNAL = "/journal"
ACKNOWLEDGE = "/journal/acknowledge"
JSON = "application/json"
_LONGEST = 17
"""Digits of a moment: the years up to 5000, and no number that a day cannot be told of."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JournalPages:
    """Answers a collector. 400 where it does not say what it means, 503 where the disk does not
    answer."""

    def __init__(self, journals: Journals) -> None:
        self._journals = journals
        self._busy = False

    async def read(self, request: Request) -> Answer:
        """Everything that ended since `since`, of `camera` or of all."""
        try:
            since_us = _moment(request.query.get("since", "0"))
        except ValueError as error:
            return _refused(error)
        # What goes on is the main loop's to tell; files, and many days of them, are a thread's.
        found = [(kept, kept.settled_us, kept.now()) for kept in self._named(request.query)]
        try:
            body = await self._apart(lambda: _told(found, since_us))
        except OSError as error:
            return _unread(error)
        return Answer(HTTPStatus.OK, body, JSON)

    async def acknowledge(self, request: Request) -> Answer:
        """Let go of what ended before `until`."""
        try:
            until_us = _moment(request.query["until"])
        except (KeyError, ValueError) as error:
            return _refused(error)
        found = self._named(request.query)
        try:
            await self._apart(lambda: _let_go(found, until_us))
        except OSError as error:
            return _unread(error)
        return Answer(HTTPStatus.NO_CONTENT)

    async def _apart(self, work: Callable[[], T]) -> T:
        """On a thread that a stalled disk may hold for ever, also beyond the end of the process:
        so not one of a pool, and one at a time. Raises OSError."""
        if self._busy:
            raise OSError(errno.EBUSY, "another request waits for the disk")
        self._busy = True
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                settle = partial(_settle, done, work(), None)
            except Exception as error:
                settle = partial(_settle, done, None, error)
            self._busy = False
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                return  # the worker has ended meanwhile: nobody is left to be told

        threading.Thread(target=run, name="journal-reader", daemon=True).start()
        return await done

    def _named(self, query: Mapping[str, str]) -> list[KeptJournal]:
        name = query.get("camera")
        return [kept for kept in self._journals.kept if name in (None, kept.camera)]


def _settle(done: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if done.done():
        return  # whoever asked has given up
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _let_go(found: Iterable[KeptJournal], until_us: int) -> None:
    """Raises OSError."""
    for kept in found:
        kept.store.acknowledge(until_us)


def _told(found: Iterable[tuple[KeptJournal, int, list[Entry]]], since_us: int) -> bytes:
    """Raises OSError."""
    cameras = [
        {
            "camera": kept.camera,
            "uid": kept.uid,
            "settledUs": settled_us,
            "entries": [said(entry) for entry in _since(kept.store.entries(), since_us)],
            "open": [said(entry) for entry in _since(goes_on, since_us)],
        }
        for kept, settled_us, goes_on in found
    ]
    return json.dumps({"cameras": cameras}, separators=(",", ":")).encode() + b"\n"


def _since(entries: Iterable[Entry], since_us: int) -> list[Entry]:
    return [entry for entry in entries if ended_us(entry) > since_us]


def _moment(text: str) -> int:
    """Microseconds since the epoch, or RFC 3339 with an offset. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST:
        return int(text)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} lacks an offset, such as Z")
    return (at - _EPOCH) // timedelta(microseconds=1)


def _refused(error: Exception) -> Answer:
    return Answer(HTTPStatus.BAD_REQUEST, f"no such moment: {error}\n".encode())


def _unread(error: OSError) -> Answer:
    cause = error.strerror or type(error).__name__
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"the journal cannot be read: {cause}\n".encode())
