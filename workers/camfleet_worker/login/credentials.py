# SPDX-License-Identifier: Apache-2.0
"""The account of a camera, read from a Secret. Made by the cluster door, used by onvif and rtsp.

It never shows its password: not in repr, not in a log line that formats it.
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
    """Names the two without telling them: another version is another chance to log in."""

    def account_key(self, device: DeviceAddress) -> str:
        """Name this account of this device in the ledger of login attempts."""
        return account_key(device, self.username, self.version)
