# SPDX-License-Identifier: Apache-2.0
"""Self-signed certificates as cameras make them at the factory: one for each name and number.

Another number is another certificate, as after a factory reset. Imported late by the servers that
speak TLS: the image of the demo has no `cryptography`.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import ssl
import tempfile
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
_SHORT_LIFE = datetime.timedelta(days=365)
"""Expired for two decades, as in the field."""


@functools.cache
def _pair(name: str, number: int) -> tuple[bytes, bytes]:
    """The certificate in DER, and key and certificate in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(_LONG_AGO)
        .not_valid_after(_LONG_AGO + _SHORT_LIFE)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    return certificate.public_bytes(serialization.Encoding.DER), pem


def fingerprint(name: str, number: int) -> str:
    """SHA-256 of the certificate in DER."""
    return hashlib.sha256(_pair(name, number)[0]).hexdigest()


def in_pem(name: str, number: int) -> bytes:
    """The certificate and its key."""
    return _pair(name, number)[1]


def server_context(name: str, number: int, *, of_2008: bool = False) -> ssl.SSLContext:
    """For a server that shows this certificate; `of_2008`: by TLS 1.1 at most."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if of_2008:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():  # Python deprecates what the camera does
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    with tempfile.NamedTemporaryFile() as file:
        file.write(in_pem(name, number))
        file.flush()
        context.load_cert_chain(Path(file.name))
    return context
