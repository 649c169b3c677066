"""TLS of a listener: its context, why a handshake failed, and the name in a client's certificate.

A context is never changed after it was built: a reload builds another one for the handshakes that follow.
Tickets of the old one do not resume sessions with the new one, so that a client certificate that was revoked
in between is verified again. Not here: sockets, and how long a handshake may take.
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any

from voltgate.gateway.edge.tickets import share

# docs/ocpp.md A25: suites of both kinds of certificates, and the plain RSA ones that OCPP demands. TLS 1.3
# has its own, all of them good.
SUITES = ":".join(
    [
        *(
            f"ECDHE-{kind}-AES{suite}"
            for kind in ("ECDSA", "RSA")
            for suite in ("128-GCM-SHA256", "256-GCM-SHA384")
        ),
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    ]
)


class TlsError(Exception):
    """A listener's TLS cannot be served as configured; the text names the key, the file and what to do."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a listener's TLS is made of; names of files in PEM form. ``client_ca``: for security profile 3."""

    certificates: tuple[tuple[str, str], ...]
    client_ca: str = ""
    crl: str = ""


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a file stops being of use: a certificate, an authority, or a CRL without a successor."""

    key: str
    file: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tls:
    """What new handshakes of a listener use."""

    context: ssl.SSLContext
    expiries: tuple[Expiry, ...]


def build(files: Files, tickets: bytes = b"") -> Tls:
    """Read the files. Raises TlsError where one cannot be used; expired ones can.

    ``tickets``: keys of session tickets (:func:`tickets.keys`); else the context has its own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    # A renegotiation costs the server a handshake that no limit counts; compression leaks what it compresses.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 1  # a charger resumes one connection, not two at a time
    expiries, kinds = [], dict[str, str]()
    for number, (certificate, key) in enumerate(files.certificates):
        _load(context, certificate, key)
        kind, at = _inspect(certificate)
        expiries.append(Expiry(f"tls_certificates.{number}", certificate, at))
        if kind in kinds:
            raise TlsError(
                f"tls_certificates: {certificate} and {kinds[kind]} are both {kind}: name one of each kind"
            )
        kinds[kind] = certificate
    if not kinds:
        raise TlsError("tls_certificates: is empty: name a certificate and its key")
    if files.client_ca:
        expiries += _require_client(context, files)
    elif files.crl:
        raise TlsError("crl: has no use without client_ca: name the authority of the chargers")
    if tickets:
        share(context, tickets)
    return Tls(context, tuple(expiries))


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    def ask() -> bytes:  # else OpenSSL would ask on the terminal
        raise TlsError(f"tls_certificates: {key} has a passphrase: store it without one")

    for file in (certificate, key):
        _content("tls_certificates", file)
    try:
        context.load_cert_chain(certificate, key, password=ask)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            text = f"{key} is not the key of the first certificate in {certificate}: name the right one"
        elif error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
            text = f"{certificate} is too weak: use RSA from 2048 bits or EC from 224 bits, and SHA-256"
        else:
            text = f"{certificate}, {key}: not a certificate and its key in PEM form"
        raise TlsError(f"tls_certificates: {text}") from None


def _inspect(file: str) -> tuple[str, datetime]:
    """The kind of a certificate's key, and when the first certificate of its chain expires."""
    from cryptography import x509  # noqa: PLC0415 - 10 MiB that only listeners with TLS need
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415

    certificates = x509.load_pem_x509_certificates(_content("tls_certificates", file))
    match certificates[0].public_key():
        case rsa.RSAPublicKey(key_size=bits) if bits >= 2048:
            kind = "RSA"
        case ec.EllipticCurvePublicKey(key_size=bits) if bits >= 224:
            kind = "EC"
        case _:
            raise TlsError(
                f"tls_certificates: {file}: use RSA from 2048 bits or EC from 224 (docs/ocpp.md A25)"
            )
    return kind, min(one.not_valid_after_utc for one in certificates)


def _require_client(context: ssl.SSLContext, files: Files) -> Iterable[Expiry]:
    """Security profile 3: the handshake fails without a certificate of ``client_ca``."""
    from cryptography import x509  # noqa: PLC0415

    context.verify_mode = ssl.CERT_REQUIRED
    # An authority below a root may be named without it: fewer certificates are then good, not more.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        authorities = x509.load_pem_x509_certificates(_content("client_ca", files.client_ca))
        context.load_verify_locations(files.client_ca)
    except (ValueError, ssl.SSLError):
        raise TlsError(f"client_ca: {files.client_ca} does not hold a certificate in PEM form") from None
    yield Expiry("client_ca", files.client_ca, min(one.not_valid_after_utc for one in authorities))
    if not files.crl:
        return
    # Of the chargers' certificates only. Without a valid CRL of its issuer a certificate fails.
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    content = _content("crl", files.crl)
    end = b"-----END X509 CRL-----"
    try:
        lists = [x509.load_pem_x509_crl(one + end) for one in content.split(end) if b"BEGIN X509 CRL" in one]
        context.load_verify_locations(files.crl)
    except (ValueError, ssl.SSLError):
        lists = []
    if not lists:
        raise TlsError(f"crl: {files.crl} does not hold a certificate revocation list in PEM form")
    ends = [one.next_update_utc for one in lists if one.next_update_utc is not None]
    if ends:
        yield Expiry("crl", files.crl, min(ends))


def _content(key: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise TlsError(f"{key}: {file}: {error.strerror}") from None


# -- handshakes -----------------------------------------------------------------------------------------


class Failure(Enum):
    """Why a handshake failed."""

    NO_CERTIFICATE = "the charger sent none"
    UNKNOWN_AUTHORITY = "its certificate is of another authority"
    EXPIRED = "its certificate is expired, or not valid yet"
    REVOKED = "its certificate is on the list"
    NO_LIST = "there is no list of its issuer, or the time of the list is over"
    BAD_CERTIFICATE = "its certificate is of no use otherwise"
    VERSION = "it offers TLS 1.1 or less only"
    SUITES = "no common suite"
    ALERT = "the charger ended it: it does not trust our certificate"
    MISSING = "what came is not TLS"
    PROTOCOL = "it broke the protocol"

    @property
    def label(self) -> str:
        """The ``result`` label of ``voltgate_handshakes_total``."""
        return f"tls_{self.name.lower()}"

    @property
    def is_security(self) -> bool:
        """Whether it is also a security fact: a certificate was claimed without the right to it."""
        return self in (Failure.UNKNOWN_AUTHORITY, Failure.EXPIRED, Failure.REVOKED, Failure.BAD_CERTIFICATE)


# X509_V_ERR_ of OpenSSL's x509_vfy.h.
_VERIFY = {
    **dict.fromkeys((2, 18, 19, 20, 21), Failure.UNKNOWN_AUTHORITY),
    **dict.fromkeys((9, 10), Failure.EXPIRED),
    23: Failure.REVOKED,
    **dict.fromkeys((3, 11, 12), Failure.NO_LIST),
}
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Failure.NO_CERTIFICATE,
    "UNSUPPORTED_PROTOCOL": Failure.VERSION,
    "VERSION_TOO_LOW": Failure.VERSION,
    "NO_SHARED_CIPHER": Failure.SUITES,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": Failure.SUITES,
    "HTTP_REQUEST": Failure.MISSING,
    "HTTPS_PROXY_REQUEST": Failure.MISSING,
    "WRONG_VERSION_NUMBER": Failure.MISSING,
    "RECORD_LAYER_FAILURE": Failure.MISSING,
}


def failure(error: ssl.SSLError) -> Failure:
    """Why ``error`` ended a handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, Failure.BAD_CERTIFICATE)
    reason = error.reason or ""
    return Failure.ALERT if "_ALERT_" in reason else _REASONS.get(reason, Failure.PROTOCOL)


# -- the client's certificate ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peer:
    """The names in a verified client certificate; "" where one is absent or there are several."""

    common_name: str
    organization: str


def peer(secured: ssl.SSLObject | ssl.SSLSocket) -> Peer | None:
    """The names of the client, None without a verified certificate."""
    certificate = secured.getpeercert()
    if not certificate:
        return None
    subject: dict[str, list[str]] = {}
    names: Any = certificate.get("subject", ())  # pairs of name and value, each in a tuple of its own
    for name, value in chain.from_iterable(names):
        subject.setdefault(name, []).append(value)

    def only(name: str) -> str:
        values = subject.get(name, [])
        return values[0] if len(values) == 1 else ""

    return Peer(only("commonName"), only("organizationName"))


class CertificateFault(Enum):
    """Why a verified certificate is not the charger's (docs/contract.md 3.8, docs/ocpp.md A25)."""

    NONE = "no verified certificate"
    ORGANIZATION = "of another operator"
    COMMON_NAME = "of another charger"


def certificate_fault(found: Peer | None, expected_cn: str, organization: str) -> CertificateFault | None:
    """Compare with the record's ``certificate_cn`` or the identity, and with ``listeners.organization``."""
    if found is None:
        return CertificateFault.NONE
    if organization and found.organization != organization:
        return CertificateFault.ORGANIZATION
    return None if found.common_name and found.common_name == expected_cn else CertificateFault.COMMON_NAME
