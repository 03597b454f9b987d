# SPDX-License-Identifier: Apache-2.0
"""GET /journal and POST /journal/acknowledge, for a collector of availability.

A collector reads each camera from the `settledUs` of the last answer, stores the entries, and then
acknowledges `settledUs` of this answer: days that ended before it are removed. Reading changes
nothing, so a lost answer can be requested again. An entry that ended at exactly that moment may be
returned twice. An answer has a limit: where there is more, `settledUs` is how far it goes.
`windows` are the maintenance windows of the camera's site as they are declared now, past ones
included: the collector judges by them the entries that were written before their declaration.
"""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from camfleet_worker.base.moments import moment_us
from camfleet_worker.base.whole_number import whole_number
from camfleet_worker.endpoints.http_server import Answer, Request
from camfleet_worker.journal.keeper import Journals, KeptJournal
from camfleet_worker.journal.lines import Entry, fields_of_windows, line_of
from camfleet_worker.journal.store import ended_us

T = TypeVar("T")

JOURNAL = "/journal"
ACKNOWLEDGE = "/journal/acknowledge"
JSON = "application/json"
_LONGEST = 17
"""Digits of a moment: the years up to 5000, each of which has a day by name."""


@dataclass(frozen=True, slots=True)
class AnswerSize:
    """How many entries one answer holds."""

    most: int = 50_000
    """Of all cameras, some 8 MiB: all journals at their bound would be many times the memory of the
    pod, and it streams meanwhile."""
    least_of_each: int = 200
    """Of each camera, also beyond `most`, so that a collector makes progress with every one."""


class JournalPages:
    """Answers a collector: 400 where a parameter is wrong, 503 where the disk does not answer."""

    def __init__(self, journals: Journals, size: AnswerSize | None = None) -> None:
        self._journals = journals
        self._size = size or AnswerSize()
        self._busy = False

    async def read(self, request: Request) -> Answer:
        """What ended at `since` or later, of `camera` or of all, up to the bound of an answer."""
        try:
            since_us = _moment_asked(request.query, "since", "0")
        except ValueError as error:
            return _refused(error)
        # Periods that still last are read here, on the main loop; files on a thread of their own.
        found = [(kept, kept.settled_us, kept.now()) for kept in self._named(request.query)]
        try:
            body = await self._apart(lambda: journals_json(found, since_us, self._size))
        except OSError as error:
            return _unread(error)
        return Answer(HTTPStatus.OK, body, JSON)

    async def acknowledge(self, request: Request) -> Answer:
        """Remove the days that ended before `until`."""
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
        """Work that a stalled disk may hold for ever, also beyond the end of the process: on a
        thread that is in no pool, one at a time. Raises OSError."""
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
                return  # the worker has ended meanwhile, and needs no answer

        threading.Thread(target=run, name="journal-reader", daemon=True).start()
        return await done

    def _named(self, query: Mapping[str, str]) -> list[KeptJournal]:
        name = query.get("camera")
        return [kept for kept in self._journals.kept if name in (None, kept.camera)]


def _settle(done: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if done.done():
        return  # the client has gone, or its time is over
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def _let_go(found: Iterable[KeptJournal], until_us: int) -> None:
    """Raises OSError."""
    for kept in found:
        kept.store.acknowledge(until_us)


def journals_json(
    found: Sequence[tuple[KeptJournal, int, list[Entry]]], since_us: int, size: AnswerSize
) -> bytes:
    """The answer for journals, each with the moment up to which it is settled and the periods that
    still last. Raises OSError."""
    most = max(size.least_of_each, size.most // max(1, len(found)))
    cameras = (
        _camera_json(kept, settled_us, goes_on, since_us, most)
        for kept, settled_us, goes_on in found
    )
    return b'{"cameras":[' + b",".join(cameras) + b"]}\n"


def _camera_json(
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
        "windows": fields_of_windows(kept.windows),
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
    """Raises ValueError, also for an unknown parameter: with `camera` misspelt, one camera would be
    all cameras."""
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
