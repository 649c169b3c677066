"""The certificates of listeners and for NATS: each with its key, the authorities, the revocation lists."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from voltgate.config import Config, Listener
from voltgate.gateway.preflight import Finding

SOON = timedelta(days=30)
RSA_BITS, EC_BITS = 2048, 224  # as OCPP requires of chargers and CSMS (docs/ocpp.md A25)


class _Fault(Exception):
    """The fault of a file, with its remedy."""


def certificates(config: Config) -> Iterator[Finding]:
    """Findings for each certificate with its key, and for each file of authorities."""
    for number, listener in enumerate(config.listeners):
        yield from _of_listener(f"listeners.{number}", listener)
    if config.nats.tls_cert:
        # The key may be in the same file.
        key = config.nats.tls_key or config.nats.tls_cert
        yield _finding("nats.tls_cert", config.nats.tls_cert, key)
    if config.nats.tls_ca:
        yield _finding("nats.tls_ca", config.nats.tls_ca)


def _of_listener(name: str, listener: Listener) -> Iterator[Finding]:
    pairs = listener.tls_certificates
    for number, (certificate, key) in enumerate(pairs):
        yield _finding(f"{name}.tls_certificates.{number}", certificate, key)
    if len(pairs) == 1:
        found = f"{pairs[0][0]} is the only certificate: chargers may have suites for the other kind alone"
        yield Finding(f"{name}.tls_certificates", "hint", found, "name an RSA and an ECDSA certificate")
    if listener.client_ca:
        yield _finding(f"{name}.client_ca", listener.client_ca)
    if listener.crl:
        yield _list(f"{name}.crl", listener.crl)


def _list(name: str, file: str) -> Finding:
    """A revocation list whose time is over refuses every charger of its authority."""
    try:
        found = x509.load_pem_x509_crl(_content(file))
    except _Fault as fault:
        return Finding(name, "fail", str(fault))
    except ValueError:
        return Finding(name, "fail", f"{file}: not a certificate revocation list in PEM form")
    until = found.next_update_utc
    if until is None:
        return Finding(name, "ok", f"{file}, without an end")
    if until <= datetime.now(UTC):
        return Finding(name, "fail", f"{file} is over since {until:%Y-%m-%d %H:%M}: fetch the next list")
    return Finding(name, "ok", f"{file}, valid until {until:%Y-%m-%d %H:%M}")


def _finding(name: str, file: str, key: str = "") -> Finding:
    """``key``: the file of the first certificate's key; "": a file of authorities."""
    try:
        found = _read(file)
        if key:
            _strong(file, found[0])
            _private(file, key, found[0])
        for one in found:
            if not key and not _may_sign(one):
                raise _Fault(
                    f"{file}: {one.subject.rfc4514_string()} is not an authority: use the CA certificate"
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
        raise _Fault(f"{file}: the key is neither RSA nor EC: create an RSA or EC key")
    if key.key_size < least:
        raise _Fault(f"{file}: {kind} with {key.key_size} bits is too weak: use at least {least}")


def _private(certificate: str, file: str, leaf: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(_content(file), None)
    except TypeError:
        raise _Fault(f"{file}: the key has a passphrase: store the key without it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Fault(f"{file}: not a private key in PEM form") from None
    if key.public_key() != leaf.public_key():
        raise _Fault(f"{file}: not the key of the first certificate in {certificate}")


def _may_sign(one: x509.Certificate) -> bool:
    try:
        return bool(one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return one.version == x509.Version.v1 and one.issuer == one.subject


def _read(file: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(file))
    except ValueError:
        raise _Fault(f"{file}: not a certificate in PEM form") from None


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _Fault(f"{file}: {error.strerror}") from None
