# SPDX-License-Identifier: Apache-2.0
"""Reads how many octets of a TCP connection are not acknowledged, as the kernel counts them."""

from __future__ import annotations

import fcntl
import struct
import termios


def unacknowledged_octets(descriptor: int) -> int:
    """Octets that the kernel holds until the peer acknowledges them. Raises OSError.

    tcp(7), SIOCOUTQ.
    """
    answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0")
    return int(struct.unpack("=i", answer)[0])
