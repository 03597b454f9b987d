# SPDX-License-Identifier: Apache-2.0
"""TLS to monitoring systems: their certificates are verified, unlike cameras'.

Used by both relays. Against the authorities that the operating system trusts and those of ca.crt in
the Secret of the MonitoringSystem; name, dates and chain all count, and nothing switches it off.
The one table of what TLS can answer.
"""

from __future__ import annotations

import ssl
from functools import lru_cache

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry

_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
_UNKNOWN_AUTHORITY = (7, 18, 19, 20, 21)
"""X509_V_ERR_… of OpenSSL: signed by another key of the same name (an authority that was made
anew), self-signed, self-signed above, no issuer, nothing that verifies it."""
_WHAT_IS_WRONG = {
    _NOT_YET_VALID: "whose validity has not begun; correct the clock of whichever side is wrong",
    _EXPIRED: "that has expired; have it renewed there",
    _OTHER_NAME: "for another name; use its name in urlTemplate or have it reissued",
    _OTHER_ADDRESS: "for another address; use its name in urlTemplate or have it reissued",
} | dict.fromkeys(
    _UNKNOWN_AUTHORITY,
    "of an authority that is not trusted; put that authority's certificate into the key ca.crt of "
    "the Secret that the MonitoringSystem names",
)


@lru_cache(maxsize=8)
def vms_tls(authorities: str = "") -> ssl.SSLContext:
    """What connections to monitoring systems are made with; `authorities`: certificates in PEM.

    One for all relays with the same authorities: loading the system's takes milliseconds and half
    a megabyte, so not on the media loop either. IngestError where the PEM is none.
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


def tls_trouble(error: ssl.SSLError) -> str:
    """What the monitoring system does, and what helps, as the end of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        wrong = _WHAT_IS_WRONG.get(error.verify_code, "that does not verify; have it reissued")
        return f"shows a certificate {wrong}"
    return "does not agree on TLS; check that the port speaks it, in version 1.2 or later"
