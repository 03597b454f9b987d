# SPDX-License-Identifier: Apache-2.0
"""What the worker serves on the pod's loopback address alone: snapshots and the journal.

A client comes through `kubectl port-forward`, and so by the cluster's own rights, or runs in the
pod. The one thing that it can change here is how long the journal is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus

from camfleet_worker.endpoints.http_server import READING, Answer, Answering, Request
from camfleet_worker.endpoints.probes import Page

LOOPBACK = "127.0.0.1"
_OWN_HOST = re.compile(r"(localhost|[0-9.]+|\[[0-9a-f:.]+\])?(:[0-9]*)?", re.IGNORECASE)
"""By address, or by the one name that no DNS server answers for (RFC 6761 section 6.3)."""


class Loopback:
    """Answers by path: with a snapshot, or by the function given for the path and its methods."""

    def __init__(
        self,
        snapshot: Callable[[str], Page | None],
        pages: Mapping[str, tuple[tuple[str, ...], Answering]],
    ) -> None:
        self._snapshot = snapshot
        self._pages = pages

    async def answer(self, request: Request) -> Answer:
        """The answer to a request."""
        if _OWN_HOST.fullmatch(request.host) is None:
            # A web page whose name resolves to this address may read the answer (DNS rebinding).
            return Answer(HTTPStatus.MISDIRECTED_REQUEST)
        if request.path in self._pages:
            methods, answering = self._pages[request.path]
            if request.method not in methods:
                return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
            if request.method not in READING and request.has_origin:
                # Every web page in that person's browser can send to a port that is forwarded.
                return Answer(HTTPStatus.FORBIDDEN)
            return await answering(request)
        page = self._snapshot(request.path)
        if page is None:
            return Answer(HTTPStatus.NOT_FOUND)
        if request.method not in READING:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        return page()
