# SPDX-License-Identifier: Apache-2.0
"""TLS to monitoring systems: their certificates are verified, unlike cameras'.

Used by both relays. Certificates are verified against the authorities that the operating system
trusts and those of ca.crt in the Secret of the MonitoringSystem; name, dates and chain are checked,
and no setting disables that. It has the only table of TLS errors.
"""

from __future__ import annotations

import ssl
from functools import lru_cache

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry

_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
_UNKNOWN_AUTHORITY = (7, 18, 19, 20, 21)
"""X509_V_ERR_… of OpenSSL: signed by another key of the same name (a renewed authority),
self-signed, self-signed authority, no issuer, no certificate to verify it with."""
_WHAT_IS_WRONG = {
    _NOT_YET_VALID: "whose validity has not begun, by our clock",
    _EXPIRED: "that has expired",
    _OTHER_NAME: "for another name than urlTemplate has",
    _OTHER_ADDRESS: "for another address than urlTemplate has",
} | dict.fromkeys(_UNKNOWN_AUTHORITY, "of an authority that is not trusted")


@lru_cache(maxsize=8)
def vms_tls(authorities: str = "") -> ssl.SSLContext:
    """The TLS context for monitoring systems; `authorities`: certificates in PEM.

    Relays with the same authorities share one: loading the system's takes milliseconds and half a
    megabyte, so it is not done on the media loop. IngestError where the text is no PEM.
    """
    context = ssl.create_default_context()
    if authorities:
        try:
            context.load_verify_locations(cadata=authorities)
        except (ssl.SSLError, ValueError) as error:
            raise IngestError(
                ConditionType.RELAYING,
                Reason.VMS_REJECTED,
                "The key ca.crt of the monitoring system's Secret holds no certificate in PEM",
                Retry.ON_SECRET_CHANGE,
            ) from error
    return context


def tls_trouble(error: ssl.SSLError) -> tuple[Reason, str]:
    """The TLS failure: its reason, and the end of a sentence that begins with the system's name."""
    if isinstance(error, ssl.SSLCertVerificationError):
        wrong = _WHAT_IS_WRONG.get(error.verify_code, "that does not verify")
        return Reason.VMS_CERTIFICATE_INVALID, f"shows a certificate {wrong}"
    return Reason.VMS_WRONG_PROTOCOL, "does not agree on TLS"
