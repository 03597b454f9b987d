# SPDX-License-Identifier: Apache-2.0
"""Journals that keep nothing, for tests of supervisors that are not about the journal."""

from __future__ import annotations

from collections.abc import Sequence

from camfleet_api.cause import Cause
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.sink_set import SinkSet
from camfleet_worker.camera.supervisor import Journal
from camfleet_worker.media_types.delivery_log import DeliveryLog


class ForgetfulJournals:
    """The keeper and every journal that it opens."""

    def open(self, assignment: Assignment, arrivals: DeliveryLog) -> Journal:
        return self

    def close(self, journals: Sequence[Journal]) -> None: ...

    def failed(self, cause: Cause, *, connecting: bool = False) -> None: ...

    def follow(self, sinks: SinkSet) -> None: ...

    def look(self, sinks: SinkSet) -> None: ...

    def renew(self, assignment: Assignment) -> None: ...
