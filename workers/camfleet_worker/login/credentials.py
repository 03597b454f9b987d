# SPDX-License-Identifier: Apache-2.0
"""The user name and password of a camera, read from a Secret. Used by onvif and rtsp.

They never show the password in repr or in a log line that formats them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from camfleet_api.device_address import DeviceAddress, account_key


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password, and the version of both."""

    username: str
    password: str = field(repr=False)
    version: str
    """Identifies the two without revealing them; a new version may be tried again."""

    def account_key(self, device: DeviceAddress) -> str:
        """The key of this account at this device in the ledger of login attempts."""
        return account_key(device, self.username, self.version)
