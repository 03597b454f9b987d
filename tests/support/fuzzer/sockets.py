# SPDX-License-Identifier: Apache-2.0
"""A socket for parsers that want one and must not use it."""

from __future__ import annotations

import socket


def closed_socket() -> socket.socket:
    """A socket that leads nowhere."""
    closed = socket.socket()
    closed.close()
    return closed
