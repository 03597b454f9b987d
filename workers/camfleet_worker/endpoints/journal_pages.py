# SPDX-License-Identifier: Apache-2.0
"""GET /journal and POST /journal/acknowledge: what a collector of availability asks a worker.

A collector reads each camera from the `settledUs` of the answer before, stores what it got, and
then acknowledges `settledUs` of this answer: days that ended before it are let go. Reading changes
nothing, so an answer that is lost is asked for again. What ended at that very moment may be told
twice, and an answer has a bound: where there is more, `settledUs` is how far it goes.
`windows` are the maintenance windows of the camera's site as they are declared now, past ones
included: who stores what is told judges what was written before they were declared.
"""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from camfleet_worker.base.moments import moment_us
from camfleet_worker.base.whole_number import whole_number
from camfleet_worker.endpoints.http_server import Answer, Request
from camfleet_worker.journal.keeper import Journals, KeptJournal
from camfleet_worker.journal.lines import Entry, line_of, windows_said
from camfleet_worker.journal.store import ended_us

T = TypeVar("T")

JOURNAL = "/journal"
ACKNOWLEDGE = "/journal/acknowledge"
JSON = "application/json"
_LONGEST = 17
"""Digits of a moment: the years up to 5000, and no number that a day cannot be told of."""
_MOST_ENTRIES = 50_000
"""In one answer, some 8 MiB: all journals at their bound would be many times what the pod may
take, and it streams meanwhile."""
_LEAST_ENTRIES = 200
"""Of each camera in one answer, so that a collector gets on with every one of them."""


class JournalPages:
    """Answers a collector. 400 where it does not say what it means, 503 where the disk does not
    answer."""

    def __init__(self, journals: Journals) -> None:
        self._journals = journals
        self._busy = False

    async def read(self, request: Request) -> Answer:
        """What ended at `since` or later, of `camera` or of all, up to the bound of an answer."""
        try:
            since_us = _moment_asked(request.query, "since", "0")
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
            until_us = _moment_asked(request.query, "until", "")
        except ValueError as error:
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


def _told(found: Sequence[tuple[KeptJournal, int, list[Entry]]], since_us: int) -> bytes:
    """Raises OSError."""
    most = max(_LEAST_ENTRIES, _MOST_ENTRIES // max(1, len(found)))
    cameras = (
        _camera_told(kept, settled_us, goes_on, since_us, most)
        for kept, settled_us, goes_on in found
    )
    return b'{"cameras":[' + b",".join(cameras) + b"]}\n"


def _camera_told(
    kept: KeptJournal, settled_us: int, goes_on: Iterable[Entry], since_us: int, most: int
) -> bytes:
    """Raises OSError."""
    entries = _since(kept.store.entries(since_us), since_us)
    if len(entries) > most:
        last_us = ended_us(entries[most - 1])
        entries = [entry for entry in entries if ended_us(entry) <= last_us]
        settled_us = min(settled_us, last_us)
    head = {
        "camera": kept.camera,
        "uid": kept.uid,
        "settledUs": settled_us,
        "windows": windows_said(kept.windows),
    }
    return (
        json.dumps(head, separators=(",", ":")).encode()[:-1]
        + b',"entries":'
        + _listed(entries)
        + b',"open":'
        + _listed(_since(goes_on, since_us))
        + b"}"
    )


def _listed(entries: Iterable[Entry]) -> bytes:
    # One by one: to make one text of them all at once would hold up the media loop's thread.
    return b"[" + b",".join(line_of(entry).rstrip() for entry in entries) + b"]"


def _since(entries: Iterable[Entry], since_us: int) -> list[Entry]:
    """At the moment itself too: a period may end just where all before was settled."""
    return [entry for entry in entries if ended_us(entry) >= since_us]


def _moment_asked(query: Mapping[str, str], name: str, otherwise: str) -> int:
    """Raises ValueError, also for a parameter that there is not: a camera whose parameter is
    misspelt would be all cameras."""
    for other in query.keys() - {name, "camera"}:
        raise ValueError(f"there is no parameter {other!r}, only {name!r} and 'camera'")
    return _moment(query.get(name, otherwise))


def _moment(text: str) -> int:
    """Microseconds since the epoch, or RFC 3339 with an offset. Raises ValueError."""
    number = whole_number(text, _LONGEST)
    return moment_us(text) if number is None else number


def _refused(error: ValueError) -> Answer:
    return Answer(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())


def _unread(error: OSError) -> Answer:
    cause = error.strerror or type(error).__name__
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"the journal cannot be read: {cause}\n".encode())
