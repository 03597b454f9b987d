# SPDX-License-Identifier: Apache-2.0
"""What a peer sent and nobody could read: counted for the process, and logged once per stream.

Readers pass over the one part that makes no sense and go on with the rest; the packages that own
connections call `note` for it, from any thread. A camera repeats it at every connect, so only the
first of a kind is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import StrEnum
from threading import Lock

from camfleet_base.log import Excerpt

log = logging.getLogger(__name__)

_MOST_NAMED = 10_000
"""How many pairs of stream and kind are remembered as logged."""


class Part(StrEnum):
    """The kinds of what is skipped."""

    CHALLENGE = "challenge"
    """An element of a login challenge (RFC 9110 section 11.6.1)."""
    SDP_MEDIUM = "sdp-medium"
    """A medium of a session description (RFC 4566 section 5.14), with its attributes."""
    SDP_LINE = "sdp-line"
    """Another line of a session description, or an attribute that belongs to no payload type."""
    RTMP_MESSAGE = "rtmp-message"
    """A message of a kind that a publisher does not expect, or a command without a name."""
    RTMP_COMMAND = "rtmp-command"
    """A command that no publisher awaits."""
    AMF_VALUE = "amf-value"
    """A value of a command, and those behind it."""


class SkippedParts:
    """The counts of a process, by kind."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(Part, 0)
        self._named: set[tuple[Part, str]] = set()
        self._lock = Lock()

    @property
    def counts(self) -> Mapping[Part, int]:
        """How many parts were skipped, by kind."""
        return self._counts

    def note(self, part: Part, stream: str, address: str, excerpt: str) -> None:
        """Count one part; log it where it is the first of its kind in this stream.

        `stream` distinguishes streams and is not logged. `address`: of the peer, as logged.
        """
        with self._lock:
            self._counts[part] += 1
            first = (part, stream) not in self._named
            if first:
                if len(self._named) >= _MOST_NAMED:
                    self._named.clear()
                self._named.add((part, stream))
        if first:
            log.info(
                "skipped what cannot be read",
                extra={"address": address, "what": part.value, "cause": Excerpt(excerpt)},
            )


SKIPPED = SkippedParts()
"""Of this process: readers lie deep in every protocol, and a counter has no owner among them."""
