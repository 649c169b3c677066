"""A small certificate authority for chargers: a folder with ``ca.pem`` and ``ca.key`` (docs/csms/backend.md).

It signs what a charger asks for in its own name, for a year. There is no revocation: a charger is disabled in
the registry. Keep the folder as you keep passwords.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = timedelta(days=365)
SKEW = timedelta(hours=1)  # a charger's clock may be late
LONGEST = 10_000  # characters of a certificateChain
RSA_BITS, EC_BITS = 2048, 224  # docs/ocpp.md A25


class Authority:
    """One certificate with its key: the files ``name.pem`` and ``name.key`` of a folder.

    Behind the certificate, ``name.pem`` may hold those of its own issuers. Raises ValueError or OSError for
    files that cannot be used.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        certificates, key = folder / f"{name}.pem", folder / f"{name}.key"
        try:
            self._chain = x509.load_pem_x509_certificates(certificates.read_bytes())
        except ValueError:
            raise ValueError(f"{certificates}: does not hold a certificate in PEM form") from None
        try:
            loaded = load_pem_private_key(key.read_bytes(), None)
        except UnsupportedAlgorithm:
            loaded = None
        except (ValueError, TypeError):
            raise ValueError(f"{key}: does not hold an unencrypted key in PEM form") from None
        if not isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key}: the key must be RSA or EC")
        self._key = loaded
        self._own = self._chain[0]
        if self._key.public_key() != self._own.public_key():
            raise ValueError(f"{key}: is not the key of {certificates}")

    def sign(self, csr: str, identity: str) -> str:
        """The certificate and those of its issuers below the root, in PEM form.

        Raises ValueError, with the reason, for a request that is not signed.
        """
        try:
            request = x509.load_pem_x509_csr(csr.encode())
            key, valid = request.public_key(), request.is_signature_valid
        except ValueError:
            raise ValueError("the CSR cannot be read") from None
        except UnsupportedAlgorithm:
            raise ValueError("the CSR has a key or a signature of an unknown kind") from None
        if not valid:
            raise ValueError("the CSR's signature is wrong")
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise ValueError("the key must be RSA or EC")
        if key.key_size < (RSA_BITS if isinstance(key, rsa.RSAPublicKey) else EC_BITS):
            raise ValueError("the key is too short")
        if values(request.subject, NameOID.COMMON_NAME) != [identity]:
            raise ValueError("the CN must be the identity of the charger")
        operator = values(self._own.subject, NameOID.ORGANIZATION_NAME)
        if operator and values(request.subject, NameOID.ORGANIZATION_NAME) != operator:
            raise ValueError("the O must be that of the authority")
        chain = [self._issued(request.subject, key), *(one for one in self._chain if not is_root(one))]
        signed = "".join(one.public_bytes(Encoding.PEM).decode() for one in chain)
        if len(signed) > LONGEST:
            raise ValueError("the certificate chain is too long")
        return signed

    def _issued(
        self, subject: x509.Name, key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        named = [one for one in subject if one.oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)]
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name(named))
            .issuer_name(self._own.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(min(now + YEAR, self._own.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(client, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(self._identifier(), critical=False)
            .sign(self._key, SHA256())
        )

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        """As the authority's own certificate has it (RFC 5280 4.2.1.1)."""
        try:
            own = self._own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def values(name: x509.Name, kind: x509.ObjectIdentifier) -> list[str]:
    """Of one kind of attribute."""
    return [str(one.value) for one in name.get_attributes_for_oid(kind)]


def is_root(certificate: x509.Certificate) -> bool:
    """Whether a charger has to know it already."""
    return certificate.issuer == certificate.subject


def make(folder: Path, name: str = "ca") -> None:
    """A new authority of ten years. Raises OSError, also if there is one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Chargers")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + 10 * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    owner_only = os.open(folder / f"{name}.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(owner_only, "wb") as file:
        file.write(private)
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


class Authorities:
    """Those of a folder: ``ca`` signs for the connection to the CSMS, and is made if it is absent.

    ``v2g``, if there is one, signs for the connection to vehicles (ISO 15118). Errors: see Authority.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "ca.pem").exists() and not (folder / "ca.key").exists():
            make(folder)
        self._of_chargers = Authority(folder)
        self._of_vehicles = Authority(folder, "v2g") if (folder / "v2g.pem").exists() else None

    def sign(self, csr: str, identity: str, use: str) -> str:
        """See Authority; ``use`` is the ``certificateType`` of 2.x, or empty."""
        authority = self._of_vehicles if use.startswith("V2G") else self._of_chargers
        if authority is None:
            raise ValueError("there is no authority for V2G certificates")
        return authority.sign(csr, identity)
