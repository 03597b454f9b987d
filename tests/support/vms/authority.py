# SPDX-License-Identifier: Apache-2.0
"""An authority of a monitoring system's owner, and the certificates it issues."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


class Authority:
    """Trusted by nobody until its `pem` is handed over."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the VMS")])
        self._certificate = (
            _certificate(self._name, self._name, self._key.public_key(), _today(), 30)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The certificate, as ca.crt holds it."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, address: str = "127.0.0.1", *, from_day: int = -1, days: int = 2) -> str:
        """Key and certificate in PEM for that address, valid from `from_day` (0 is today)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vms")])
        begin = _today() + from_day * _DAY
        alternative = x509.IPAddress(ipaddress.ip_address(address))
        certificate = (
            _certificate(name, self._name, key.public_key(), begin, days)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        return pem.decode()


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + days * _DAY)
    )


def _today() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - _DAY / 24
