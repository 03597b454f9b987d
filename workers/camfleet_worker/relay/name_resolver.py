# SPDX-License-Identifier: Apache-2.0
"""Name resolution off the media loop: a few threads, shared by all relays of a worker.

getaddrinfo blocks for as long as a name server lets it. It caches nothing: that is the name
server's business, and relays ask only when they connect.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """One address to connect to."""

    family: int
    sockaddr: tuple[object, ...]


class Resolver:
    """Answers with addresses in the order to try them; the future raises OSError."""

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    def resolve(self, host: str, port: int) -> Future[list[Address]]:
        """Begin to resolve."""
        return self._threads.submit(_resolve, host, port)

    def close(self) -> None:
        """Take no more questions; those under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolve(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
