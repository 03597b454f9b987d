# SPDX-License-Identifier: Apache-2.0
"""Counts the connections that workers open, exactly: every SYN on the line, with its time.

A raw socket at this machine's end of the line takes what passes, also while the line is cut
further on. A SYN that TCP repeats is the same connect and counts once (same ports, same sequence
number). The SYN that answers it counts apart: after a cut, connects that were begun before are
accepted together with those begun after. Needs root; sees the line of the measurement and no other.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

_EVERY_PROTOCOL = 0x0003  # ETH_P_ALL: only such a socket sees what leaves
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
# Classic BPF: an IPv4 packet (EtherType at 12) of TCP (protocol at 23), its first fragment (at 20),
# whose flags (13 octets into TCP, which begins at 14 plus the IP header's length) have SYN.
_ONLY_SYN = (
    (0x28, 0, 0, 12),
    (0x15, 0, 7, 0x0800),
    (0x30, 0, 0, 23),
    (0x15, 0, 5, 6),
    (0x28, 0, 0, 20),
    (0x45, 3, 0, 0x1FFF),
    (0xB1, 0, 0, 14),
    (0x50, 0, 0, 27),
    (0x45, 1, 0, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 96),
)
_ACK = 0x10
_WINDOW_S = 1.0


@dataclass(frozen=True, order=True)
class Connect:
    """One SYN to a camera, or the camera's answer to it. `at` is monotonic."""

    at: float
    camera: IPv4Address
    accepted: bool


class Connects:
    """What passes from entering to leaving."""

    def __init__(self, interface: str) -> None:
        self._seen: list[Connect] = []
        self._known: set[bytes] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *s) for s in _ONLY_SYN))
        program = struct.pack("HL", len(_ONLY_SYN), ctypes.addressof(steps))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
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

    def begun(self, begin: float, end: float) -> list[Connect]:
        """Connects that workers began in a time."""
        return [one for one in list(self._seen) if begin <= one.at < end and not one.accepted]

    def accepted(self, begin: float, end: float) -> list[Connect]:
        """Connects that cameras took in a time."""
        return [one for one in list(self._seen) if begin <= one.at < end and one.accepted]

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                packet, ancillary, _, _ = self._socket.recvmsg(96, 64)
            except TimeoutError:
                continue
            # The kernel's time of the packet, a wall clock; this thread may be late.
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            age_s = time.time() - (seconds + nanoseconds / 1e9)
            self._note(packet, time.monotonic() - age_s)

    def _note(self, packet: bytes, at: float) -> None:
        tcp = 14 + 4 * (packet[14] & 0xF)
        identity = packet[26:34] + packet[tcp : tcp + 8]  # addresses, ports, sequence number
        if identity in self._known:
            return
        self._known.add(identity)
        accepted = bool(packet[tcp + 13] & _ACK)
        camera = packet[26:30] if accepted else packet[30:34]
        self._seen.append(Connect(at, IPv4Address(camera), accepted))


def busiest_second(
    connects: Iterable[Connect], group: Callable[[IPv4Address], str]
) -> dict[str, int]:
    """The most connects of each group within any one second."""
    times: dict[str, list[float]] = {}
    for one in sorted(connects):
        times.setdefault(group(one.camera), []).append(one.at)
    return {name: _most_within(of_group) for name, of_group in times.items()}


def _most_within(times: list[float]) -> int:
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= _WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most
