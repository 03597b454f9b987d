# SPDX-License-Identifier: Apache-2.0
"""The account of a camera, read from a Secret. Made by the cluster door, used by onvif and rtsp.

It never shows its password: not in repr, not in a log line that formats it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password, and the version of both."""

    username: str
    password: str = field(repr=False)
    version: str
    """Names the two without telling them: another version is another chance to log in."""

    def account_key(self, host: str) -> str:
        """Name this account at this address in the ledger of login attempts, without telling it.

        NUL separates the parts because none of them can hold one.
        """
        account = "\0".join((host, self.username, self.version))
        return hashlib.sha256(account.encode()).hexdigest()[:16]
