# SPDX-License-Identifier: Apache-2.0
"""rtsps: TLS over a non-blocking socket, read in batches like a plain one.

Made by connection.py for cameras and by relay/connector.py for monitoring systems, then owned by
the media loop. Works on memory BIOs: `ssl.SSLSocket` asks the kernel twice for each record, and a
camera sends a record for each packet. Whether a certificate is verified is the context's business:
a camera's is pinned (camera_tls.py), a monitoring system's verified (relay/vms_tls.py).
"""

from __future__ import annotations

import socket
import ssl
from typing import cast

from camfleet_worker.base.camera_tls import fingerprint

_RECEIVE_BYTES = 256 * 1024
_MAX_UNSENT_BYTES = 64 * 1024


class TlsSocket:
    """The same methods as a socket, over TLS."""

    def __init__(self, connection: socket.socket, host: str, context: ssl.SSLContext) -> None:
        self._socket = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # A zone (RFC 4007 section 11) means something on this machine only. Addresses are compared
        # with the certificate, but not sent as a server name (RFC 6066 section 3): ssl knows.
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=host.partition("%")[0]
        )
        self._unsent = b""
        self._received = bytearray(_RECEIVE_BYTES)

    def handshake(self) -> None:
        """Go on shaking hands; BlockingIOError where the peer has to speak first."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fetch()
                continue
            self._flush()
            return

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the peer's certificate; known after the handshake."""
        return fingerprint(self._tls.getpeercert(binary_form=True))

    @property
    def unsent_bytes(self) -> int:
        """How many encrypted octets wait for the kernel."""
        return len(self._unsent)

    def recv(self, size: int, /) -> bytes:
        """At most so many octets; a peer that is gone shows as in recv_into."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.recv_into(memoryview(buffer))])

    def recv_into(self, buffer: memoryview, /) -> int:
        """Every record that has arrived, as far as there is room."""
        filled = 0
        try:
            while filled < len(buffer):
                try:
                    read = cast(int, self._tls.read(len(buffer) - filled, buffer[filled:]))
                except ssl.SSLWantReadError:
                    self._fetch()
                    continue
                if read == 0:
                    break
                filled += read
        except BlockingIOError:
            if not filled:
                raise
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # the peer is gone: 0 is returned after everything before was read
        finally:
            self._flush()
        return filled

    def send(self, data: bytes | bytearray | memoryview, /) -> int:
        """Encrypt all of it; what the kernel does not take waits here, within a limit."""
        self._flush()
        if len(self._unsent) > _MAX_UNSENT_BYTES:
            raise BlockingIOError
        sent = self._tls.write(data)
        self._flush()
        return sent

    def shutdown(self, how: int, /) -> None:
        """close_notify, then half-close (RFC 8446 section 6.1)."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # it waits for the peer's close_notify, and we do not
        self._flush()
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the socket below."""
        self._socket.close()

    def fileno(self) -> int:
        """The file descriptor of the socket below."""
        return self._socket.fileno()

    def _fetch(self) -> None:
        """Move what the kernel holds into TLS; BlockingIOError where it holds nothing."""
        received = self._socket.recv_into(self._received)
        if received:
            self._incoming.write(memoryview(self._received)[:received])
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        self._unsent += self._outgoing.read()
        if self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            self._unsent = self._unsent[sent:]
