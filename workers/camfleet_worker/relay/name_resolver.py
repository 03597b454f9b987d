# SPDX-License-Identifier: Apache-2.0
"""Resolves names off the media loop, in a few threads that all relays of a worker share.

getaddrinfo blocks until the name server answers. Nothing is cached here: name servers cache, and
relays ask only when they connect.
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
    """Returns addresses in the order to try them; the future raises OSError."""

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    def resolve(self, host: str, port: int) -> Future[list[Address]]:
        """Begin to resolve."""
        return self._threads.submit(_resolve, host, port)

    def close(self) -> None:
        """Accept no more names, without waiting for those that are being resolved."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolve(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
