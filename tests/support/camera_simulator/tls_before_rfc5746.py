# SPDX-License-Identifier: Apache-2.0
"""TLS 1.2 as servers had it before RFC 5746: without the extension renegotiation_info.

OpenSSL's server sends the extension to every client that understands it, and no setting takes that
away. GnuTLS has one, so this is GnuTLS by ctypes, between a listener and the protocol that answers.
Loaded late, by the cameras that have it. Debian's apt needs the library, so it is there.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import functools
from typing import Any

_PRIORITY = b"NORMAL:-VERS-ALL:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION"
_SERVER, _NONBLOCK = 1, 8
_PEM, _CERTIFICATE, _SHUT_WR = 1, 1, 1
_AGAIN = (-28, -52)
_RECORD = 16384

_MOVE = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
"""gnutls_pull_func and gnutls_push_func."""


class _Datum(ctypes.Structure):
    _fields_ = (("data", ctypes.c_char_p), ("size", ctypes.c_uint))


@functools.cache
def _gnutls() -> ctypes.CDLL:
    library = ctypes.CDLL("libgnutls.so.30")
    for name in ("gnutls_record_recv", "gnutls_record_send"):
        moves = getattr(library, name)
        moves.restype = ctypes.c_ssize_t
        moves.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    return library


def _checked(status: int) -> None:
    if status < 0:
        raise OSError(f"GnuTLS answers {status}")


class TlsBeforeRfc5746:
    """A server's certificate and key, in PEM, shown by TLS without RFC 5746."""

    def __init__(self, pem: bytes) -> None:
        self.credentials = ctypes.c_void_p()
        _checked(_gnutls().gnutls_certificate_allocate_credentials(ctypes.byref(self.credentials)))
        both = _Datum(pem, len(pem))
        _checked(
            _gnutls().gnutls_certificate_set_x509_key_mem(
                self.credentials, ctypes.byref(both), ctypes.byref(both), _PEM
            )
        )

    def before(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        """The protocol behind TLS."""
        return _Behind(self, protocol)


class _Behind(asyncio.Protocol):
    """One connection: octets of the line on one side, of the protocol on the other."""

    def __init__(self, tls: TlsBeforeRfc5746, protocol: asyncio.Protocol) -> None:
        self._tls = tls
        self._protocol = protocol
        self._arrived, self._leaving = bytearray(), bytearray()
        self._shaken = False
        self._pull, self._push = _MOVE(self._on_pull), _MOVE(self._on_push)
        self._session = ctypes.c_void_p()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._line = transport
        tls = _gnutls()
        _checked(tls.gnutls_init(ctypes.byref(self._session), _SERVER | _NONBLOCK))
        _checked(tls.gnutls_priority_set_direct(self._session, _PRIORITY, None))
        _checked(
            tls.gnutls_credentials_set(self._session, _CERTIFICATE, self._tls.credentials),
        )
        tls.gnutls_transport_set_pull_function(self._session, self._pull)
        tls.gnutls_transport_set_push_function(self._session, self._push)

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        if not self._shaken and not self._shake():
            return
        buffer = ctypes.create_string_buffer(_RECORD)
        while self._session:
            read = _gnutls().gnutls_record_recv(self._session, buffer, _RECORD)
            if read <= 0:
                if read not in _AGAIN:
                    self._line.close()
                return
            self._protocol.data_received(buffer.raw[:read])

    def connection_lost(self, exc: Exception | None) -> None:
        if self._shaken:
            self._protocol.connection_lost(exc)
        session, self._session = self._session, ctypes.c_void_p()
        _gnutls().gnutls_deinit(session)

    def _shake(self) -> bool:
        status = _gnutls().gnutls_handshake(self._session)
        self._flush()
        if status == 0:
            self._shaken = True
            self._protocol.connection_made(_Within(self))
        elif status not in _AGAIN:
            self._line.close()
        return self._shaken

    def send(self, data: Any) -> None:
        """Encrypt and write."""
        rest = bytes(data)
        while rest and self._session:
            sent = _gnutls().gnutls_record_send(self._session, rest, len(rest))
            _checked(sent)
            rest = rest[sent:]
        self._flush()

    def end(self) -> None:
        """close_notify, then close."""
        if self._session:
            _gnutls().gnutls_bye(self._session, _SHUT_WR)
            self._flush()
        self._line.close()

    def _flush(self) -> None:
        if self._leaving:
            self._line.write(bytes(self._leaving))
            self._leaving.clear()

    def _on_pull(self, _: Any, into: int, size: int) -> int:
        if not self._arrived:
            _gnutls().gnutls_transport_set_errno(self._session, errno.EAGAIN)
            return -1
        taken = bytes(self._arrived[:size])
        del self._arrived[:size]
        ctypes.memmove(into, taken, len(taken))
        return len(taken)

    def _on_push(self, _: Any, source: int, size: int) -> int:
        self._leaving += ctypes.string_at(source, size)
        return size


class _Within(asyncio.Transport):
    """The transport that the protocol sees."""

    def __init__(self, behind: _Behind) -> None:
        self._behind = behind
        self._line = behind._line

    def write(self, data: Any) -> None:
        self._behind.send(data)

    def close(self) -> None:
        self._behind.end()

    def abort(self) -> None:
        self._line.abort()

    def is_closing(self) -> bool:
        return self._line.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._line.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._line.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._line.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        self._line.pause_reading()

    def resume_reading(self) -> None:
        self._line.resume_reading()
