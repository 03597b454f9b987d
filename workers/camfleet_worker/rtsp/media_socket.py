# SPDX-License-Identifier: Apache-2.0
"""The methods that the media loop needs of a connection, of any transport.

A plain TCP socket has these methods already; tls.py and udp.py give the same to encrypted
connections and to datagrams, so the loop's hot path knows neither.
"""

from __future__ import annotations

from typing import Protocol


class MediaSocket(Protocol):
    """Octets of RTSP and of interleaved frames, without ever blocking."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """Fill the room; fewer octets mean that nothing more is there, 0 that the peer is gone.

        BlockingIOError where nothing has arrived at all.
        """
        ...

    def send(self, data: bytes | bytearray, /) -> int:
        """How many octets were taken; BlockingIOError where none were."""
        ...

    def shutdown(self, how: int, /) -> None:
        """Half-close."""
        ...

    def close(self) -> None:
        """Close all sockets."""
        ...

    def fileno(self) -> int:
        """The file descriptor of the RTSP connection."""
        ...
