"""OCSP against a real responder over HTTP: what is passed on, what is believed, what is not asked."""

from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from jetstream import free_port
from voltgate.backend.answers import Backend, Question
from voltgate.backend.revocation import LARGEST, Revocation, Validity
from voltgate.backend.rules import Rules
from voltgate.backend.tokens import Tokens

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
ALGORITHMS: dict[str, type[SHA256 | SHA384 | SHA512]] = {"SHA256": SHA256, "SHA384": SHA384, "SHA512": SHA512}


@dataclass(frozen=True)
class Holder:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


def issued(cn: str, issuer: Holder | None = None, *extensions: x509.ExtensionType, **options: Any) -> Holder:
    """``options``: ``key``, and ``begins`` and ``ends`` counted from now."""
    key: Key = options.get("key") or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + options.get("begins", -DAY))
        .not_valid_after(NOW + options.get("ends", DAY))
    )
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    return Holder(builder.sign(issuer.key if issuer else key, SHA256()), key)


ANSWERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
ISSUER = issued("Contracts", key=rsa.generate_private_key(65537, 2048))
EC_ISSUER = issued("More contracts")
OTHER = issued("Another")
APPOINTED = issued("Answers", ISSUER, ANSWERS)
RETIRED = issued("Answers", ISSUER, ANSWERS, begins=-2 * DAY, ends=-DAY)
PRETENDER = issued("Answers", ISSUER)
IMPOSTOR = issued("Answers", OTHER, ANSWERS)


@dataclass
class Responder:
    """An OCSP responder; ``signer`` signs for ``issuer``."""

    url: str
    host: str
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    issuer: Holder = ISSUER
    signer: Holder = ISSUER
    about: x509.Certificate | None = None
    """The certificate that answers are about, if not the one that was asked about."""
    update: tuple[timedelta, timedelta | None] = (-DAY / 2, DAY / 2)
    reply: Callable[[bytes], web.Response] | None = None
    asked: list[ocsp.OCSPRequest] = field(default_factory=list)
    sent: bytes = b""

    async def handle(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/ocsp-request"
        self.asked.append(ocsp.load_der_ocsp_request(await request.read()))
        self.sent = self.answer(self.asked[-1])
        if self.reply:
            return self.reply(self.sent)
        return web.Response(body=self.sent, content_type="application/ocsp-response")

    def answer(self, request: ocsp.OCSPRequest) -> bytes:
        revoked = self.status is ocsp.OCSPCertStatus.REVOKED
        said: dict[str, Any] = {
            "algorithm": request.hash_algorithm,
            "cert_status": self.status,
            "this_update": NOW + self.update[0],
            "next_update": None if self.update[1] is None else NOW + self.update[1],
            "revocation_time": NOW - DAY if revoked else None,
            "revocation_reason": None,
        }
        builder = ocsp.OCSPResponseBuilder()
        if self.about is None:
            builder = builder.add_response_by_hash(
                request.issuer_name_hash, request.issuer_key_hash, request.serial_number, **said
            )
        else:
            builder = builder.add_response(self.about, self.issuer.certificate, **said)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.signer.certificate)
        if self.signer is not self.issuer:
            builder = builder.certificates([self.signer.certificate])
        return builder.sign(self.signer.key, SHA256()).public_bytes(Encoding.DER)


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    if not hasattr(ocsp.OCSPResponseBuilder, "add_response_by_hash"):
        pytest.skip("the responder of this test needs cryptography 45; the product needs 44")
    port = free_port()
    made = Responder(f"http://localhost:{port}/ocsp", f"localhost:{port}")
    app = web.Application()
    app.router.add_post("/ocsp", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "localhost", port).start()
    yield made
    await runner.cleanup()


@pytest.fixture
def checks(responder: Responder, tmp_path: Path) -> Revocation:
    file = tmp_path / "issuers.pem"
    file.write_text(ISSUER.pem + EC_ISSUER.pem)
    return Revocation([responder.host], file)


def contract(url: str, issuer: Holder = ISSUER, **options: Any) -> Holder:
    """A vehicle's, whose status is known at ``url``; nowhere if that is empty."""
    access = x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))]
    )
    return issued("DE-ABC-C12345678", issuer, *([access] if url else []), **options)


def hashes(own: Holder, issuer: Holder, url: str, algorithm: str = "SHA256") -> dict[str, Any]:
    """``OCSPRequestDataType``."""
    made = ocsp.OCSPRequestBuilder()
    request = made.add_certificate(own.certificate, issuer.certificate, ALGORITHMS[algorithm]()).build()
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{request.serial_number:x}",
        "responderURL": url,
    }


STATUSES = [
    (ocsp.OCSPCertStatus.GOOD, Validity.GOOD, "Accepted"),
    (ocsp.OCSPCertStatus.REVOKED, Validity.REVOKED, "CertificateRevoked"),
    (ocsp.OCSPCertStatus.UNKNOWN, Validity.UNKNOWN, "CertChainError"),
]


@pytest.mark.parametrize(("status", "validity", "_"), STATUSES)
@pytest.mark.parametrize("issuer", [ISSUER, EC_ISSUER], ids=["rsa", "ec"])
async def test_what_a_responder_says(
    responder: Responder,
    checks: Revocation,
    issuer: Holder,
    status: ocsp.OCSPCertStatus,
    validity: Validity,
    _: str,
) -> None:
    responder.status, responder.issuer, responder.signer = status, issuer, issuer
    own = contract(responder.url, issuer)
    for algorithm in ALGORITHMS:
        data = hashes(own, issuer, responder.url, algorithm)
        assert await checks.of_hashes(data, responder.url) is validity
    assert await checks.of_contract(own.pem + issuer.pem) is validity
    assert len(responder.asked) == 4
    assert {one.serial_number for one in responder.asked} == {own.certificate.serial_number}


def later(_: bytes) -> web.Response:
    unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    return web.Response(body=unsuccessful.public_bytes(Encoding.DER))


def altered(body: bytes) -> web.Response:
    return web.Response(body=body[:-1] + bytes([body[-1] ^ 1]))


BELIEVED: list[tuple[str, dict[str, Any], Validity]] = [
    ("who was appointed", {"signer": APPOINTED}, Validity.GOOD),
    ("who was appointed until yesterday", {"signer": RETIRED}, Validity.UNKNOWN),
    ("whose certificate is for something else", {"signer": PRETENDER}, Validity.UNKNOWN),
    ("whom another has appointed", {"signer": IMPOSTOR}, Validity.UNKNOWN),
    ("another", {"signer": OTHER}, Validity.UNKNOWN),
    ("about another certificate", {"about": contract("").certificate}, Validity.UNKNOWN),
    ("without an end", {"update": (-DAY, None)}, Validity.GOOD),
    ("of yesterday", {"update": (-2 * DAY, -DAY)}, Validity.UNKNOWN),
    ("of tomorrow", {"update": (DAY, 2 * DAY)}, Validity.UNKNOWN),
    ("altered", {"reply": altered}, Validity.UNKNOWN),
    ("a refusal", {"reply": later}, Validity.UNKNOWN),
    ("an error of HTTP", {"reply": lambda body: web.Response(body=body, status=500)}, Validity.UNKNOWN),
    ("no OCSP", {"reply": lambda _: web.Response(text="ok")}, Validity.UNKNOWN),
    ("nothing", {"reply": lambda _: web.Response()}, Validity.UNKNOWN),
    ("a flood", {"reply": lambda body: web.Response(body=body + b"x" * LARGEST)}, Validity.UNKNOWN),
]


@pytest.mark.parametrize(("why", "change", "validity"), BELIEVED, ids=[why for why, *_ in BELIEVED])
async def test_whose_answer_is_believed(
    responder: Responder, checks: Revocation, why: str, change: dict[str, Any], validity: Validity
) -> None:
    for name, value in change.items():
        setattr(responder, name, value)
    own = contract(responder.url)
    assert await checks.of_hashes(hashes(own, ISSUER, responder.url), responder.url) is validity, why
    assert await checks.of_contract(own.pem) is validity, why
    assert len(responder.asked) == 2


URLS = ["http://127.0.0.1:{port}/ocsp", "http://{host}@localhost:1/", "file:///etc/passwd", "", "http://["]


async def test_whom_nobody_asks(responder: Responder, checks: Revocation) -> None:
    """A charger names the URL: the backend must not become its way into our network."""
    own = contract(responder.url)
    for template in URLS:
        url = template.format(port=responder.host.partition(":")[2], host=responder.host)
        assert await checks.of_hashes(hashes(own, ISSUER, url), url) is Validity.UNKNOWN
        assert await checks.answer(hashes(own, ISSUER, url)) is None
    assert await checks.of_contract(contract("").pem) is Validity.UNKNOWN, "it names no responder"
    stranger = contract(responder.url, OTHER)
    data = hashes(stranger, OTHER, responder.url)
    assert await checks.of_hashes(data, responder.url) is Validity.UNKNOWN
    assert await checks.of_contract(stranger.pem) is Validity.UNKNOWN
    renamed = issued("Contracts")
    assert await checks.of_contract(contract(responder.url, renamed).pem) is Validity.UNKNOWN
    assert await Revocation([responder.host]).of_contract(own.pem) is Validity.UNKNOWN
    assert await checks.of_contract("text") is Validity.UNKNOWN
    assert responder.asked == []


@pytest.mark.parametrize(
    ("begins", "ends", "validity"), [(-2 * DAY, -DAY, Validity.EXPIRED), (DAY, 2 * DAY, Validity.UNKNOWN)]
)
async def test_a_contract_outside_of_its_time(
    responder: Responder, checks: Revocation, begins: timedelta, ends: timedelta, validity: Validity
) -> None:
    assert await checks.of_contract(contract(responder.url, begins=begins, ends=ends).pem) is validity


DATA = [
    {"hashAlgorithm": "MD5"},
    {"issuerNameHash": "dGVzdC1pc3N1ZXItbmFtZS1oYXNo"},  # base64 instead of hex
    {"issuerKeyHash": "00"},
    {"serialNumber": ""},
    {"serialNumber": "-1"},
    {"serialNumber": 7},
]


@pytest.mark.parametrize("wrong", DATA, ids=str)
async def test_data_that_name_no_certificate(
    responder: Responder, checks: Revocation, wrong: dict[str, Any]
) -> None:
    data = hashes(contract(responder.url), ISSUER, responder.url) | wrong
    assert await checks.of_hashes(data, responder.url) is Validity.UNKNOWN
    assert await checks.answer(data) is None
    assert responder.asked == []


def test_a_file_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "issuers.pem"
    file.write_text("x")
    with pytest.raises(ValueError, match=r"issuers\.pem: does not hold certificates"):
        Revocation([], file)


# -- what chargers get ----------------------------------------------------------------------------------

TOKEN = {"idToken": {"idToken": "DE-ABC-C12345678", "type": "eMAID"}}


async def never(key: str) -> int:
    raise AssertionError(key)


@pytest.fixture
def backend(checks: Revocation, tmp_path: Path) -> Backend:
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("DE-ABC-C12345678 Accepted FLEET\nBLOCKED Blocked\n")
    return Backend(Tokens(tokens), never, Rules(revocation=checks))


async def answered(backend: Backend, version: str, action: str, body: dict[str, Any]) -> Any:
    return await backend.answer(Question(version, action, "CP001", "k", body))


@pytest.mark.parametrize("version", ["v201", "v21"])
async def test_a_charger_gets_the_answer_as_it_came(
    responder: Responder, backend: Backend, version: str
) -> None:
    """Whoever signed it: the charger and the vehicle verify it."""
    responder.signer = OTHER
    body = {"ocspRequestData": hashes(contract(""), OTHER, responder.url)}
    answer = await answered(backend, version, "GetCertificateStatus", body)
    assert answer["status"] == "Accepted"
    assert b64decode(answer["ocspResult"]) == responder.sent
    body["ocspRequestData"]["responderURL"] = "http://localhost:1/"
    assert await answered(backend, version, "GetCertificateStatus", body) == {"status": "Failed"}


@pytest.mark.parametrize("version", ["v201", "v21"])
@pytest.mark.parametrize(("status", "_", "found"), STATUSES)
@pytest.mark.parametrize("by", ["hashes", "certificate"])
async def test_a_contract_is_accepted_if_its_certificate_is_good(
    responder: Responder,
    backend: Backend,
    version: str,
    status: ocsp.OCSPCertStatus,
    _: Validity,
    found: str,
    by: str,
) -> None:
    responder.status = status
    own = contract(responder.url)
    proof: dict[str, Any] = {"certificate": own.pem}
    if by == "hashes":
        proof = {"iso15118CertificateHashData": [hashes(own, ISSUER, responder.url)] * 2}
    info: dict[str, Any] = {"status": "Invalid"}
    if found == "Accepted":
        info = {"status": "Accepted", "groupIdToken": {"idToken": "FLEET", "type": "Central"}}
        blocked = {"idToken": {"idToken": "BLOCKED", "type": "eMAID"}}
        answer = await answered(backend, version, "Authorize", blocked | proof)
        assert answer == {"idTokenInfo": {"status": "Blocked"}, "certificateStatus": "Accepted"}
    answer = await answered(backend, version, "Authorize", TOKEN | proof)
    assert answer == {"idTokenInfo": info, "certificateStatus": found}
    answer = await answered(backend, version, "Authorize", TOKEN)
    assert "certificateStatus" not in answer, "there is no contract"


async def test_the_worst_certificate_counts(responder: Responder, backend: Backend) -> None:
    good = hashes(contract(responder.url), ISSUER, responder.url)
    mixed = {"iso15118CertificateHashData": [good, good | {"serialNumber": "x"}]}
    answer = await answered(backend, "v21", "Authorize", TOKEN | mixed)
    assert answer["certificateStatus"] == "CertChainError"
    expired = contract(responder.url, begins=-2 * DAY, ends=-DAY)
    answer = await answered(backend, "v21", "Authorize", TOKEN | {"certificate": expired.pem})
    assert answer == {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertificateExpired"}


CHAINS = [
    (ocsp.OCSPCertStatus.GOOD, "OCSP", "Good"),
    (ocsp.OCSPCertStatus.REVOKED, "OCSP", "Revoked"),
    (ocsp.OCSPCertStatus.UNKNOWN, "OCSP", "Unknown"),
    (ocsp.OCSPCertStatus.GOOD, "CRL", "Unknown"),
]


@pytest.mark.parametrize(("status", "source", "found"), CHAINS)
async def test_the_status_of_a_chain(
    responder: Responder, backend: Backend, status: ocsp.OCSPCertStatus, source: str, found: str
) -> None:
    responder.status = status
    data = hashes(contract(""), ISSUER, "")
    del data["responderURL"]
    request = {"certificateHashData": data, "source": source, "urls": [responder.url]}
    body = {"certificateStatusRequests": [request, request | {"urls": []}, request | {"urls": [7]}]}
    answer = await answered(backend, "v21", "GetCertificateChainStatus", body)
    assert [one["status"] for one in answer["certificateStatus"]] == [found, "Unknown", "Unknown"]
