# SPDX-License-Identifier: Apache-2.0
"""Counts what had to be mended in the answers of devices, and names it in the log.

The resolver has one. A device makes the same mistake in each answer, so the log has one line for
each device and kind; the metric counts every answer.
"""

from __future__ import annotations

import logging

from camfleet_api.device_address import DeviceAddress
from camfleet_worker.onvif.mended_xml import Mend

log = logging.getLogger(__name__)

_MOST_NAMED = 4096
"""Devices and kinds that are remembered as named; beyond it all are forgotten, and named again."""


class MendLog:
    """What was mended since the worker started."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Mend, 0)
        """How many answers were mended, by what was wrong in them."""
        self._named: set[tuple[DeviceAddress, Mend]] = set()

    def note(self, device: DeviceAddress, operation: str, mends: frozenset[Mend]) -> None:
        """Count the kinds of one answer, and name those that this device had not before."""
        for mend in sorted(mends):
            self.counts[mend] += 1
            if (device, mend) in self._named:
                continue
            if len(self._named) >= _MOST_NAMED:
                self._named.clear()
            self._named.add((device, mend))
            log.warning(
                "an answer of a device had to be mended",
                extra={"address": str(device), "what": operation, "cause": mend.words},
            )
