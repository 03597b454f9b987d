# SPDX-License-Identifier: Apache-2.0
"""The gate before every login with credentials that no camera has taken yet.

The supervisor's ledger stands behind it; the onvif package asks it. Cameras lock accounts after
five bad logins, and the sixteen channels of a recorder are one account.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from camfleet_worker.base.errors import IngestError


class AuthScheme(StrEnum):
    """How an ONVIF device wants to be logged in to (ONVIF Core, "Authentication")."""

    DIGEST = "digest"
    USERNAME_TOKEN = "ws-username-token"  # noqa: S105 - the name of a scheme
    NONE = "none"


class AttemptGate(Protocol):
    """One attempt per scheme for one (device address, account, Secret version), and no more."""

    async def before_attempt(self, scheme: str) -> None:
        """Return when the attempt is written down; raise IngestError when none is left."""

    async def proven(self, scheme: str) -> None:
        """The device took the credentials: further requests ask nobody."""

    async def rejected(self, scheme: str, error: IngestError) -> None:
        """The device refused the credentials for the reason given."""
