"""Whether a certificate was revoked: OCSP (RFC 6960) over HTTP, with ``cryptography`` (docs/csms/backend.md).

A charger names the responder, so only hosts that were configured are asked. What a responder says about a
vehicle's contract is believed if the issuer of the contract, or whom it appointed, has signed it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from voltgate.backend.payloads import text

log = structlog.get_logger()

HASHES: dict[str, type[SHA256 | SHA384 | SHA512]] = {"SHA256": SHA256, "SHA384": SHA384, "SHA512": SHA512}
PATIENCE = aiohttp.ClientTimeout(total=5)
LARGEST = 16_384  # bytes of an answer
SKEW = timedelta(minutes=5)


class Validity(Enum):
    """Of a certificate. UNKNOWN: nobody who may say so has said anything."""

    GOOD = auto()
    REVOKED = auto()
    EXPIRED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Asked:
    """One certificate, as a request names it."""

    request: ocsp.OCSPRequest
    url: str

    @classmethod
    def of(cls, data: Any, url: str) -> "Asked":
        """Of ``OCSPRequestDataType`` or ``CertificateHashDataType``: hashes and numbers in hex.

        Raises ValueError for data that are not.
        """
        algorithm = HASHES.get(text(data, "hashAlgorithm"))
        if algorithm is None:
            raise ValueError("hashAlgorithm")
        name, key = (bytes.fromhex(text(data, field)) for field in ("issuerNameHash", "issuerKeyHash"))
        number = int(text(data, "serialNumber"), 16)
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, number, algorithm())
        return cls(builder.build(), url)


class Revocation:
    """``responders``: hosts that are asked, each with its port if it is not that of the scheme.

    ``issuers``: a file of certificates in PEM form; without it, nothing about a contract is believed.
    Raises ValueError or OSError for a file that cannot be used.
    """

    def __init__(self, responders: Collection[str], issuers: Path | None = None) -> None:
        self._responders = frozenset(one.lower() for one in responders)
        try:
            self._issuers = x509.load_pem_x509_certificates(issuers.read_bytes()) if issuers else []
        except ValueError:
            raise ValueError(f"{issuers}: does not hold certificates in PEM form") from None

    async def answer(self, data: Any) -> bytes | None:
        """The responder's answer to an ``OCSPRequestDataType``, in DER, not verified: the asker does that.

        None if there is none.
        """
        try:
            answer = await self._ask(Asked.of(data, text(data, "responderURL")))
        except ValueError as error:
            log.info("ocsp.unanswered", error=str(error))
            return None
        return answer.public_bytes(Encoding.DER)

    async def of_hashes(self, data: Any, url: str) -> Validity:
        """Of the certificate that hashes name."""
        try:
            asked = Asked.of(data, url)
            issuer = next((one for one in self._issuers if names(asked.request, one)), None)
            if issuer is None:
                raise ValueError("the issuer is not known")
            return judged(await self._ask(asked), asked.request, issuer)
        except ValueError as error:
            log.info("ocsp.unanswered", error=str(error))
            return Validity.UNKNOWN

    async def of_contract(self, chain: str) -> Validity:
        """Of a contract certificate, the first of a chain in PEM form; a known issuer must have signed it."""
        try:
            own = x509.load_pem_x509_certificates(chain.encode())[0]
            issuer = next((one for one in self._issuers if has_issued(one, own)), None)
            if issuer is None:
                raise ValueError("the issuer is not known")
            if not own.not_valid_before_utc <= datetime.now(UTC) + SKEW:
                raise ValueError("the certificate is not valid yet")
            if own.not_valid_after_utc < datetime.now(UTC):
                return Validity.EXPIRED
            request = ocsp.OCSPRequestBuilder().add_certificate(own, issuer, SHA256()).build()
            return judged(await self._ask(Asked(request, responder_of(own))), request, issuer)
        except ValueError as error:
            log.info("ocsp.unanswered", error=str(error))
            return Validity.UNKNOWN

    async def _ask(self, asked: Asked) -> ocsp.OCSPResponse:
        """The answer of a responder. Raises ValueError if there is none."""
        parts = urlsplit(asked.url)
        if parts.scheme not in ("http", "https") or parts.netloc.lower() not in self._responders:
            raise ValueError(f"{parts.netloc or 'no host'}: is not a configured responder")
        body, headers = asked.request.public_bytes(Encoding.DER), {"Content-Type": "application/ocsp-request"}
        try:
            async with (
                aiohttp.ClientSession(timeout=PATIENCE) as session,
                session.post(asked.url, data=body, headers=headers, allow_redirects=False) as reply,
            ):
                answer = bytearray()
                while len(answer) <= LARGEST and (chunk := await reply.content.read(LARGEST)):
                    answer += chunk
                if reply.status != HTTPStatus.OK or len(answer) > LARGEST:
                    raise ValueError(f"{parts.netloc}: HTTP {reply.status}, {len(answer)} bytes")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ValueError(f"{parts.netloc}: {error or 'no answer in time'}") from None
        response = ocsp.load_der_ocsp_response(bytes(answer))
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise ValueError(f"{parts.netloc}: {response.response_status.name}")
        return response


def judged(response: ocsp.OCSPResponse, request: ocsp.OCSPRequest, issuer: x509.Certificate) -> Validity:
    """What the response says, if it may be believed (RFC 6960 3.2). Raises ValueError if it may not."""
    if not is_signed(response, issuer):
        raise ValueError("the issuer has not signed the answer")
    for one in response.responses:
        same = one.serial_number == request.serial_number and one.issuer_key_hash == request.issuer_key_hash
        if not same or one.issuer_name_hash != request.issuer_name_hash:
            continue
        now = datetime.now(UTC)
        if one.this_update_utc > now + SKEW or (one.next_update_utc or now) < now - SKEW:
            raise ValueError("the answer is not current")
        return VALIDITIES[one.certificate_status]
    raise ValueError("the answer is about another certificate")


VALIDITIES = {
    ocsp.OCSPCertStatus.GOOD: Validity.GOOD,
    ocsp.OCSPCertStatus.REVOKED: Validity.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: Validity.UNKNOWN,
}


def is_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """By the issuer, or by a certificate that it has issued for signing answers (RFC 6960 4.2.2.2)."""
    try:
        algorithm = response.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    signers = (issuer, *(one for one in response.certificates if may_answer(one, issuer)))
    return any(verified(one, response, algorithm) for one in signers)


def may_answer(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer has appointed the holder of this certificate to answer."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    current = certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc
    return current and ExtendedKeyUsageOID.OCSP_SIGNING in usage and has_issued(issuer, certificate)


def verified(signer: x509.Certificate, response: ocsp.OCSPResponse, algorithm: HashAlgorithm | None) -> bool:
    """Whether the signature of the response is the signer's."""
    signature, content = response.signature, response.tbs_response_bytes
    try:
        key = signer.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm:
            key.verify(signature, content, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm:
            key.verify(signature, content, padding.PKCS1v15(), algorithm)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether name and signature fit."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def names(request: ocsp.OCSPRequest, issuer: x509.Certificate) -> bool:
    """Whether the request's hashes are those of this issuer."""
    algorithm = request.hash_algorithm
    same = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, algorithm).build()
    return (same.issuer_name_hash, same.issuer_key_hash) == (
        request.issuer_name_hash,
        request.issuer_key_hash,
    )


def responder_of(certificate: x509.Certificate) -> str:
    """The URL that a certificate names; empty if it names none."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    of_ocsp = [one for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    urls = [one.access_location.value for one in of_ocsp]
    return next((url for url in urls if isinstance(url, str)), "")
