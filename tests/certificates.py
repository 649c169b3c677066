"""Real authorities and certificates: of either kind of key, expired, revoked, of other operators."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

Kind = Literal["rsa", "ec"]
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, each in a file. ``pair`` is an item of ``tls_certificates``."""

    certificate: x509.Certificate
    pair: tuple[str, str]


def _key(kind: Kind, bits: int) -> Key:
    return rsa.generate_private_key(65537, bits) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def _name(cn: str | Iterable[str], organization: str) -> x509.Name:
    names = [cn] if isinstance(cn, str) else list(cn)
    return x509.Name(
        [
            *([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []),
            *(x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names),
        ]
    )


class Authority:
    """A CA; its files are in ``folder``, named after it. ``parent``: the CA that signed it, if not itself."""

    def __init__(self, folder: Path, name: str = "authority", parent: "Authority | None" = None) -> None:
        self.certificate: x509.Certificate
        self._folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        signer, issuer = (parent.key, parent.certificate.subject) if parent else (self.key, _name(name, ""))
        # As RFC 5280 has it, which clients demand since Python 3.13 (ssl.VERIFY_X509_STRICT).
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self.certificate = (
            self._builder(_name(name, ""), timedelta(days=-1), timedelta(days=365))
            .issuer_name(issuer)
            .public_key(self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(above, critical=False)
            .add_extension(usage, critical=True)
            .sign(signer, SHA256())
        )
        self.file = self._write(f"{name}.pem", self.certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        cn: str | Iterable[str] = "",
        organization: str = "",
        kind: Kind = "ec",
        *,
        begins: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=60),
        bits: int = 2048,
        passphrase: bytes = b"",
    ) -> Issued:
        """A certificate for 127.0.0.1 and localhost; ``begins`` and ``ends`` count from now."""
        key = _key(kind, bits)
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            self._builder(_name(cn or name, organization), begins, ends)
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(issuer_key, critical=False)
            .sign(self.key, SHA256())
        )
        secret = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        chain = certificate.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
        return Issued(certificate, (self._write(f"{name}.pem", chain), self._write(f"{name}.key", private)))

    def revoke(self, *issued: Issued, ends: timedelta = timedelta(days=7)) -> str:
        """The file of a list with these on it."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - timedelta(days=30))
            .next_update(now + ends)
        )
        for one in issued:
            row = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
            builder = builder.add_revoked_certificate(row.revocation_date(now).build())
        return self._write("revoked.crl", builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM))

    @staticmethod
    def _builder(name: x509.Name, begins: timedelta, ends: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).serial_number(x509.random_serial_number())
        return builder.not_valid_before(now + begins).not_valid_after(now + ends)

    def _write(self, name: str, content: bytes) -> str:
        path = self._folder / name
        path.write_bytes(content)
        return str(path)
