# SPDX-License-Identifier: Apache-2.0
"""Counts the connections that workers open, exactly: every SYN on the line, with its time.

A raw socket at this machine's end of the line takes what passes, also while the line is cut
further on. A SYN that TCP repeats is the same connect and counts once (same ports, same sequence
number). Needs root; sees the line of the measurement and no other.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

_EVERY_PROTOCOL = 0x0003  # ETH_P_ALL: only such a socket sees what leaves
_SO_ATTACH_FILTER = 26
# Classic BPF, as `tcpdump -dd 'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'` explains it.
_ONLY_SYN = (
    (0x28, 0, 0, 12),
    (0x15, 0, 8, 0x0800),
    (0x30, 0, 0, 23),
    (0x15, 0, 6, 6),
    (0x28, 0, 0, 20),
    (0x45, 4, 0, 0x1FFF),
    (0xB1, 0, 0, 14),
    (0x50, 0, 0, 27),
    (0x54, 0, 0, 0x12),
    (0x15, 1, 0, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 96),
)
_WINDOW_S = 1.0


class Connects:
    """Time (monotonic) and destination of each connect, from entering to leaving."""

    def __init__(self, interface: str) -> None:
        self._seen: list[tuple[float, IPv4Address]] = []
        self._known: set[bytes] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        filter_ = b"".join(struct.pack("HBBI", *step) for step in _ONLY_SYN)
        buffer = ctypes.create_string_buffer(filter_)
        program = struct.pack("HL", len(_ONLY_SYN), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self._socket.bind((interface, _EVERY_PROTOCOL))
        self._socket.settimeout(0.5)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="connects", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def between(self, begin: float, end: float) -> list[tuple[float, IPv4Address]]:
        """Connects of a time."""
        return [one for one in list(self._seen) if begin <= one[0] < end]

    def _read(self) -> None:
        # The kernel's time of the packet (SO_TIMESTAMPNS) is a wall clock; ours may lag under load.
        self._socket.setsockopt(socket.SOL_SOCKET, 35, 1)
        while not self._stop.is_set():
            try:
                packet, ancillary, _, _ = self._socket.recvmsg(96, 64)
            except TimeoutError:
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            age_s = time.time() - (seconds + nanoseconds / 1e9)
            self._note(packet, time.monotonic() - age_s)

    def _note(self, packet: bytes, at: float) -> None:
        tcp = 14 + 4 * (packet[14] & 0xF)
        identity = packet[26:34] + packet[tcp : tcp + 8]  # addresses, ports, sequence number
        if identity not in self._known:
            self._known.add(identity)
            self._seen.append((at, IPv4Address(packet[30:34])))


def busiest_second(
    connects: Iterable[tuple[float, IPv4Address]], group: Callable[[IPv4Address], str]
) -> dict[str, int]:
    """The most connects of each group within any one second."""
    times: dict[str, list[float]] = {}
    for at, address in sorted(connects):
        times.setdefault(group(address), []).append(at)
    return {name: _most_within(of_group) for name, of_group in times.items()}


def _most_within(times: list[float]) -> int:
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= _WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most
