# SPDX-License-Identifier: Apache-2.0
"""TLS to cameras: the certificate that was first seen is pinned; no authority is checked.

Used for ONVIF and RTSP. Cameras sign their certificates themselves, name no host in them, let them
expire and speak TLS 1.0; checking against authorities would refuse every one.
"""

from __future__ import annotations

import hashlib
import ssl

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry

_LEGACY_SERVER_CONNECT = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT of OpenSSL, which has a name in Python from 3.12 on."""


def camera_tls() -> ssl.SSLContext:
    """A context that allows old versions and ciphers; the pinned certificate protects.

    A server without secure renegotiation is allowed too (RFC 5746 section 4.1). With such a server
    an attacker on the line could put octets of its own in front of ours; it can read none of ours
    and answer none, for the server that we talk to shows the pinned certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER_CONNECT
    return context


def fingerprint(certificate: bytes | None) -> str:
    """SHA-256 of a certificate in DER, as spec.certificateFingerprint has it."""
    return hashlib.sha256(certificate or b"").hexdigest()


def require_pinned(port: str, shown: str, pinned: str | None) -> None:
    """Raise CertificateChanged where the port shows another certificate than the pinned one.

    Called before anything is sent to the peer. `port`: its name for a person, "RTSP port".
    """
    if pinned and shown != pinned.lower():
        raise IngestError(
            ConditionType.REACHABLE,
            Reason.CERTIFICATE_CHANGED,
            f"The {port} shows another certificate than was declared or first seen, {shown}",
            Retry.SLOW,
        )
