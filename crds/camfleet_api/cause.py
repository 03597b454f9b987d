# SPDX-License-Identifier: Apache-2.0
"""Whose fault a failure is, and so whose gap it makes in a camera's journal.

Each reason states it in `conditions.REASONS`; the worker writes it into the journal, people read it
in reports.
"""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Who has to act for the failure to end."""

    CAMERA = "camera"
    LINE = "line"
    """Only where nothing of the host is reached: a worker cannot tell a dead line from a camera
    without power, and a camera that refuses a connection is there."""
    VMS = "vms"
    DISK = "disk"
    SYSTEM = "us"
    """This worker, its node or what it was given. Journals write "us", as they always have."""
    PLANNED = "planned"
