"""What ``voltgate check`` says about certificates: ours, our keys, and those we trust (OCPP.md A25)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from voltgate.cli.check.finding import Check
from voltgate.config import Config

SOON = timedelta(days=30)
RSA_BITS, EC_BITS = 2048, 224  # OCPP.md A25


class _Fault(Exception):
    """What is wrong with a file, and what to do."""


def certificates(config: Config) -> Iterator[Check]:
    """A line for each certificate with its key, and for each file of authorities."""
    for number, listener in enumerate(config.listeners):
        where = f"listeners.{number}"
        kinds = set()
        for place, (certificate, key) in enumerate(listener.tls_certificates):
            kinds.add(_kind(certificate))
            yield _own(f"{where}.tls_certificates.{place}", certificate, key)
        if len(kinds) == 1 and (kind := kinds.pop()):
            other = "ECDSA" if kind == "RSA" else "RSA"
            text = f"{kind} only: add an {other} certificate, chargers may know the suites of one kind only"
            yield Check(f"{where}.tls_certificates", "hint", text)
        if listener.client_ca:
            yield _authorities(f"{where}.client_ca", listener.client_ca)
    if config.nats.tls_cert:
        # The key may stand in the same file.
        yield _own("nats.tls_cert", config.nats.tls_cert, config.nats.tls_key or config.nats.tls_cert)
    if config.nats.tls_ca:
        yield _authorities("nats.tls_ca", config.nats.tls_ca)


def _own(name: str, certificate: str, key: str) -> Check:
    try:
        leaf, *chain = _read(certificate)
        _strong(certificate, leaf)
        _private(certificate, key, leaf)
        return _valid(name, certificate, [leaf, *chain])
    except _Fault as fault:
        return Check(name, "fail", str(fault))


def _authorities(name: str, file: str) -> Check:
    try:
        found = _read(file)
        for one in found:
            if not _may_sign(one):
                raise _Fault(f"{file}: {one.subject.rfc4514_string()} is no authority: name the CA's here")
        return _valid(name, file, found)
    except _Fault as fault:
        return Check(name, "fail", str(fault))


def _valid(name: str, file: str, chain: list[x509.Certificate]) -> Check:
    now = datetime.now(UTC)
    for one in chain:
        who = f"{file}: {one.subject.rfc4514_string()}"
        if one.not_valid_after_utc <= now:
            raise _Fault(f"{who} expired on {one.not_valid_after_utc:%Y-%m-%d}: renew it")
        if one.not_valid_before_utc > now:
            raise _Fault(
                f"{who} is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M}: is the clock right?"
            )
    first = min(chain, key=lambda one: one.not_valid_after_utc)
    until = f"{first.not_valid_after_utc:%Y-%m-%d}"
    if first.not_valid_after_utc - now < SOON:
        return Check(name, "hint", f"{file}: {first.subject.rfc4514_string()} expires on {until}: renew it")
    return Check(name, "ok", f"{file}, valid until {until}")


def _strong(file: str, leaf: x509.Certificate) -> None:
    key = leaf.public_key()
    if isinstance(key, RSAPublicKey):
        kind, least = "RSA", RSA_BITS
    elif isinstance(key, EllipticCurvePublicKey):
        kind, least = "EC", EC_BITS
    else:
        raise _Fault(f"{file}: the key is neither RSA nor EC: OCPP knows no other suites")
    if key.key_size < least:
        raise _Fault(f"{file}: {kind} with {key.key_size} bits: OCPP asks for {least} at least")


def _private(certificate: str, file: str, leaf: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(_content(file), None)
    except TypeError:
        raise _Fault(f"{file}: the key has a passphrase, which nobody can type: store it without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Fault(f"{file}: holds no private key in PEM form") from None
    if key.public_key() != leaf.public_key():
        raise _Fault(f"{file}: is not the key of the first certificate in {certificate}")


def _kind(file: str) -> str:
    try:
        key = _read(file)[0].public_key()
    except _Fault:
        return ""
    return "RSA" if isinstance(key, RSAPublicKey) else "ECDSA"


def _may_sign(one: x509.Certificate) -> bool:
    try:
        return bool(one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return one.version == x509.Version.v1 and one.issuer == one.subject


def _read(file: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(file))
    except ValueError:
        raise _Fault(f"{file}: holds no certificate in PEM form") from None


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _Fault(f"{file}: {error.strerror}") from None
