# SPDX-License-Identifier: Apache-2.0
"""The gate before every login with credentials that no device has accepted yet.

The ledger in `login` implements it; the onvif package calls it. Cameras lock accounts after five
bad logins, and the sixteen channels of a recorder use one account.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from camfleet_worker.base.errors import IngestError


class AuthScheme(StrEnum):
    """The ways of logging in to an ONVIF device (ONVIF Core, "Authentication")."""

    DIGEST = "digest"
    USERNAME_TOKEN = "ws-username-token"  # noqa: S105 - the name of a scheme
    NONE = "none"


class AttemptGate(Protocol):
    """Allows one attempt per scheme for one (device address, account, Secret version)."""

    async def before_attempt(self, scheme: str) -> None:
        """Return when the attempt is written down; raise IngestError when none is left."""

    async def proven(self, scheme: str) -> None:
        """Note that the device accepted the credentials; later requests skip this gate."""

    async def rejected(self, scheme: str, error: IngestError) -> None:
        """Note that the device refused the credentials, with the reason."""
