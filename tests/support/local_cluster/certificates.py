# SPDX-License-Identifier: Apache-2.0
"""Certificates of one instance: an authority of its own, and a key pair for each party.

Made anew at every `up`, valid for a year, on elliptic curves because sixteen RSA keys take
seconds. Never used outside of this machine.
"""

import datetime
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 365


class Authority:
    """Signs for one instance; its own certificate is what clients trust."""

    def __init__(self, folder: Path, now: datetime.datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject("camfleet-local-cluster", ())
        certificate = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        _write_certificate(self.certificate, certificate.sign(self._key, hashes.SHA256()))
        # The controller manager signs kubelet and client requests with it.
        _write_key(self.key, self._key)

    @property
    def certificate(self) -> Path:
        return self._folder / "ca.crt"

    @property
    def key(self) -> Path:
        return self._folder / "ca.key"

    def issue(
        self, file: str, common_name: str, *, groups: Sequence[str] = (), names: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """A certificate for a user in groups (Kubernetes reads CN and O), and for the names and
        addresses of a server.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(_subject(common_name, groups), key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
                ),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
            )
        certificate_path, key_path = self._folder / f"{file}.crt", self._folder / f"{file}.key"
        _write_certificate(certificate_path, builder.sign(self._key, hashes.SHA256()))
        _write_key(key_path, key)
        return certificate_path, key_path

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # An hour ago, for clients whose clock is a little behind.
            .not_valid_before(self._now - datetime.timedelta(hours=1))
            .not_valid_after(self._now + datetime.timedelta(days=VALID_DAYS))
        )


def write_signing_key(path: Path) -> None:
    """A key pair for service account tokens; the API server reads the public half out of the same
    file.
    """
    _write_key(path, ec.generate_private_key(ec.SECP256R1()))


def _subject(common_name: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
