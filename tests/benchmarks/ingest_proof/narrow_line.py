# SPDX-License-Identifier: Apache-2.0
"""A narrow line to the monitoring system: TCP passed on at so many bits a second, in a thread.

Only towards the monitoring system, with a receive buffer of a few kilobytes: what the line cannot
carry stays at the sender, as it does where a router's queue is full.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

_STEP_S = 0.1
_WINDOW_BYTES = 16_384
_SEGMENT_BYTES = 1_400
"""As over the Internet. Loopback's 64 KiB do not fit the window, and a sender that can only probe
for ten seconds takes its peer for dead (TCP_USER_TIMEOUT in tcp(7))."""


class NarrowLine:
    """Listens on a port of its own as long as the block runs."""

    def __init__(self, to: tuple[str, int], bits_per_s: int) -> None:
        self._to = to
        self._step_bytes = int(bits_per_s / 8 * _STEP_S)
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Accepted sockets inherit both.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BYTES)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
        self.port: int = self._listener.getsockname()[1]
        self.carried = 0
        """Octets towards the monitoring system."""
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, name="narrow line", daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._listener, *self._open):
            _hang_up(each)
        self._accepting.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed: the end
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
                self._open += [near, far]
                for work in (self._carry, self._return):
                    threading.Thread(target=work, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        """A step's worth each step, from when the step began."""
        with contextlib.suppress(OSError):
            due = time.monotonic()
            while data := near.recv(self._step_bytes):
                far.sendall(data)
                self.carried += len(data)
                due = max(due + _STEP_S * len(data) / self._step_bytes, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
        _hang_up(near)
        _hang_up(far)

    def _return(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(65_536):
                near.sendall(data)
        _hang_up(near)
        _hang_up(far)


def _hang_up(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
