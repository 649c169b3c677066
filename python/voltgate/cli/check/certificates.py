"""The certificates for NATS: ours with its key, and the authorities we trust.

Listeners have none: TLS for chargers is not served yet.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from voltgate.config import Config
from voltgate.gateway.preflight import Finding

SOON = timedelta(days=30)
RSA_BITS, EC_BITS = 2048, 224  # as OCPP requires of chargers and CSMS (docs/ocpp.md A25)


class _Fault(Exception):
    """What is wrong with a file, and what to do."""


def certificates(config: Config) -> Iterator[Finding]:
    """A finding for our certificate with its key, and for the file of authorities."""
    if config.nats.tls_cert:
        # The key may be in the same file.
        yield _own("nats.tls_cert", config.nats.tls_cert, config.nats.tls_key or config.nats.tls_cert)
    if config.nats.tls_ca:
        yield _authorities("nats.tls_ca", config.nats.tls_ca)


def _own(name: str, certificate: str, key: str) -> Finding:
    try:
        leaf, *chain = _read(certificate)
        _strong(certificate, leaf)
        _private(certificate, key, leaf)
        return _valid(name, certificate, [leaf, *chain])
    except _Fault as fault:
        return Finding(name, "fail", str(fault))


def _authorities(name: str, file: str) -> Finding:
    try:
        found = _read(file)
        for one in found:
            if not _may_sign(one):
                raise _Fault(
                    f"{file}: {one.subject.rfc4514_string()} is not an authority: name the CA certificate"
                )
        return _valid(name, file, found)
    except _Fault as fault:
        return Finding(name, "fail", str(fault))


def _valid(name: str, file: str, chain: list[x509.Certificate]) -> Finding:
    now = datetime.now(UTC)
    for one in chain:
        subject = f"{file}: {one.subject.rfc4514_string()}"
        if one.not_valid_after_utc <= now:
            raise _Fault(f"{subject} expired on {one.not_valid_after_utc:%Y-%m-%d}: renew it")
        if one.not_valid_before_utc > now:
            raise _Fault(
                f"{subject} is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M}: check the clock"
            )
    first = min(chain, key=lambda one: one.not_valid_after_utc)
    until = f"{first.not_valid_after_utc:%Y-%m-%d}"
    if first.not_valid_after_utc - now < SOON:
        return Finding(name, "hint", f"{file}: {first.subject.rfc4514_string()} expires on {until}: renew it")
    return Finding(name, "ok", f"{file}, valid until {until}")


def _strong(file: str, leaf: x509.Certificate) -> None:
    key = leaf.public_key()
    if isinstance(key, RSAPublicKey):
        kind, least = "RSA", RSA_BITS
    elif isinstance(key, EllipticCurvePublicKey):
        kind, least = "EC", EC_BITS
    else:
        raise _Fault(f"{file}: the key is neither RSA nor EC: create one of these kinds")
    if key.key_size < least:
        raise _Fault(f"{file}: {kind} with {key.key_size} bits is too weak: use at least {least}")


def _private(certificate: str, file: str, leaf: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(_content(file), None)
    except TypeError:
        raise _Fault(f"{file}: the key has a passphrase: store it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Fault(f"{file}: does not hold a private key in PEM form") from None
    if key.public_key() != leaf.public_key():
        raise _Fault(f"{file}: is not the key of the first certificate in {certificate}")


def _may_sign(one: x509.Certificate) -> bool:
    try:
        return bool(one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return one.version == x509.Version.v1 and one.issuer == one.subject


def _read(file: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(file))
    except ValueError:
        raise _Fault(f"{file}: does not hold a certificate in PEM form") from None


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _Fault(f"{file}: {error.strerror}") from None
