"""TLS of a listener: which handshakes pass, why the others fail, and what a certificate says."""

import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from certificates import Authority, Issued
from voltgate.gateway.edge.tickets import keys
from voltgate.gateway.edge.tls import (
    SUITES,
    CertificateFault,
    Failure,
    Files,
    Peer,
    TlsError,
    build,
    certificate_fault,
    failure,
    peer,
)

PAST, FUTURE = timedelta(days=-30), timedelta(days=30)


class Pki(NamedTuple):
    """Authorities of servers and of chargers, and a server's certificates of both kinds."""

    folder: Path
    servers: Authority
    chargers: Authority
    rsa: Issued
    ec: Issued

    @property
    def both(self) -> tuple[tuple[str, str], ...]:
        return self.rsa.pair, self.ec.pair


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    servers, chargers = Authority(folder, "servers"), Authority(folder, "chargers")
    rsa, ec = servers.issue("rsa", kind="rsa"), servers.issue("ec", kind="ec")
    return Pki(folder, servers, chargers, rsa, ec)


def client(pki: Pki, issued: Issued | None = None) -> ssl.SSLContext:
    """A charger that trusts the servers' authority."""
    context = ssl.create_default_context(cafile=pki.servers.file)
    if issued is not None:
        context.load_cert_chain(*issued.pair)
    return context


def mutual(pki: Pki, name: str, version: ssl.TLSVersion) -> tuple[Files, ssl.SSLContext]:
    """A listener of security profile 3, and a charger with a certificate that speaks at most ``version``."""
    charger = client(pki, pki.chargers.issue(name, name))
    charger.maximum_version = version
    return Files(pki.both, client_ca=pki.chargers.file), charger


class Met(NamedTuple):
    """Both ends of a handshake: what they agreed on, or why the server's side failed."""

    version: str | None
    suite: str
    server_certificate: bytes
    peer: Peer | None
    resumed: bool
    session: ssl.SSLSession | None
    failure: Failure | None


def meet(server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Met:
    """One handshake over a socket; the server then sends a byte, and with it its tickets."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    theirs.settimeout(10)

    def serve() -> Met:
        with ours:
            try:
                with server.wrap_socket(ours, server_side=True) as secured:
                    secured.sendall(b"!")
                    cipher = secured.cipher()
                    resumed = secured.session_reused or False
                    return Met(
                        secured.version(),
                        cipher[0] if cipher else "",
                        b"",
                        peer(secured),
                        resumed,
                        None,
                        None,
                    )
            except ssl.SSLError as error:
                return Met(None, "", b"", None, False, None, failure(error))

    with ThreadPoolExecutor(1) as pool, theirs:
        served = pool.submit(serve)
        try:
            with client.wrap_socket(theirs, server_hostname="localhost", session=session) as secured:
                secured.recv(1)
                certificate = secured.getpeercert(binary_form=True) or b""
                return served.result()._replace(server_certificate=certificate, session=secured.session)
        except OSError:
            return served.result()


# -- which handshakes pass ------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES.split(":"))
def test_each_suite_that_ocpp_demands_is_served_by_the_certificate_of_its_kind(pki: Pki, suite: str) -> None:
    """docs/ocpp.md A25."""
    charger = client(pki)
    charger.maximum_version = ssl.TLSVersion.TLSv1_2
    charger.set_ciphers(suite)
    met = meet(build(Files(pki.both)).context, charger)
    kind = pki.ec if "ECDSA" in suite else pki.rsa
    assert (met.version, met.suite) == ("TLSv1.2", suite)
    assert met.server_certificate == ssl.PEM_cert_to_DER_cert(first_certificate(kind))


def first_certificate(issued: Issued) -> str:
    end = "-----END CERTIFICATE-----\n"
    return Path(issued.pair[0]).read_text().split(end)[0] + end


@pytest.mark.parametrize("kind", ["rsa", "ec", "both"])
def test_tls_1_3_is_served_with_either_kind_of_certificate(pki: Pki, kind: str) -> None:
    certificates = pki.both if kind == "both" else (getattr(pki, kind).pair,)
    assert meet(build(Files(certificates)).context, client(pki)).version == "TLSv1.3"


@pytest.mark.parametrize("suite", ["ECDHE-RSA-AES128-SHA256", "AES128-SHA", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_no_other_suite_is_served(pki: Pki, suite: str) -> None:
    charger = client(pki)
    charger.maximum_version = ssl.TLSVersion.TLSv1_2
    charger.set_ciphers(suite)
    assert meet(build(Files(pki.both)).context, charger).failure is Failure.SUITES


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_an_older_version_is_refused(pki: Pki) -> None:
    charger = client(pki)
    charger.set_ciphers("ALL:@SECLEVEL=0")
    charger.minimum_version = charger.maximum_version = ssl.TLSVersion.TLSv1_1
    assert meet(build(Files(pki.both)).context, charger).failure is Failure.VERSION


def test_neither_compression_nor_renegotiation(pki: Pki) -> None:
    context = build(Files(pki.both)).context
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_with_its_certificate_and_not_beyond_a_reload(
    pki: Pki, version: ssl.TLSVersion
) -> None:
    files, charger = mutual(pki, "CP1", version)
    context = build(files).context
    first = meet(context, charger)
    assert not first.resumed
    again = meet(context, charger, first.session)
    assert again.resumed
    assert again.peer == Peer("CP1", "")
    assert not meet(build(files).context, charger, again.session).resumed


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_by_whoever_has_the_same_keys_for_the_same_listener(
    pki: Pki, version: ssl.TLSVersion
) -> None:
    files, charger = mutual(pki, "CP2", version)
    first, other, listener = (build(files, keys(b"s" * 32, name)).context for name in ("a:1", "a:1", "a:2"))
    met = meet(first, charger)
    again = meet(other, charger, met.session)
    assert again.resumed
    assert again.peer == Peer("CP2", "")
    assert not meet(listener, charger, again.session).resumed


# -- security profile 3 ---------------------------------------------------------------------------------


CLIENTS: list[tuple[str, Callable[[Pki], Issued | None], Failure | None]] = [
    ("its own", lambda pki: pki.chargers.issue("good", "CP1", "Operator"), None),
    ("an RSA one", lambda pki: pki.chargers.issue("goodrsa", "CP1", "Operator", kind="rsa"), None),
    ("none", lambda _: None, Failure.NO_CERTIFICATE),
    (
        "of another authority",
        lambda pki: pki.servers.issue("other", "CP1", "Operator"),
        Failure.UNKNOWN_AUTHORITY,
    ),
    ("expired", lambda pki: pki.chargers.issue("old", "CP1", begins=2 * PAST, ends=PAST), Failure.EXPIRED),
    ("not valid yet", lambda pki: pki.chargers.issue("new", "CP1", begins=FUTURE), Failure.EXPIRED),
]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("why", "issue", "expected"), CLIENTS, ids=[row[0] for row in CLIENTS])
def test_which_client_certificates_pass_the_handshake(
    pki: Pki,
    why: str,
    issue: Callable[[Pki], Issued | None],
    expected: Failure | None,
    version: ssl.TLSVersion,
) -> None:
    charger = client(pki, issue(pki))
    charger.maximum_version = version
    met = meet(build(Files(pki.both, client_ca=pki.chargers.file)).context, charger)
    assert met.failure is expected, why
    assert met.peer == (Peer("CP1", "Operator") if expected is None else None)


LISTS: list[tuple[str, timedelta, bool, Failure | None]] = [
    ("not on it", FUTURE, False, None),
    ("on it", FUTURE, True, Failure.REVOKED),
    ("the time of the list is over", timedelta(days=-1), False, Failure.NO_LIST),
]


@pytest.mark.parametrize(("why", "ends", "listed", "expected"), LISTS, ids=[row[0] for row in LISTS])
def test_a_list_of_revoked_certificates(
    tmp_path: Path, pki: Pki, why: str, ends: timedelta, listed: bool, expected: Failure | None
) -> None:
    authority = Authority(tmp_path, "own")
    mine, other = authority.issue("mine", "CP1"), authority.issue("other", "CP2")
    files = Files(pki.both, authority.file, authority.revoke(mine if listed else other, ends=ends))
    assert meet(build(files).context, client(pki, mine)).failure is expected, why


def test_a_certificate_without_a_list_of_its_issuer_is_refused(pki: Pki) -> None:
    """A list that is missing must not open the door."""
    files = Files(pki.both, pki.chargers.file, pki.servers.revoke())
    met = meet(build(files).context, client(pki, pki.chargers.issue("listless", "CP1")))
    assert met.failure is Failure.NO_LIST


def test_an_authority_below_a_root_may_be_named_without_it(tmp_path: Path, pki: Pki) -> None:
    root = Authority(tmp_path, "root")
    below = Authority(tmp_path, "below", root)
    context = build(Files(pki.both, below.file)).context
    assert meet(context, client(pki, below.issue("sub", "CP1"))).peer == Peer("CP1", "")
    assert meet(context, client(pki, root.issue("top", "CP1"))).failure is Failure.UNKNOWN_AUTHORITY


def test_a_client_that_does_not_trust_our_certificate(pki: Pki) -> None:
    stranger = ssl.create_default_context(cafile=pki.chargers.file)
    assert meet(build(Files(pki.both)).context, stranger).failure is Failure.ALERT


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /CP1 HTTP/1.1\r\nHost: x\r\n\r\n", Failure.MISSING),
        (b"\x00" * 64, Failure.MISSING),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", Failure.PROTOCOL),
    ],
    ids=["http", "zeros", "an empty hello"],
)
def test_bytes_that_are_not_a_handshake(pki: Pki, sent: bytes, expected: Failure) -> None:
    incoming = ssl.MemoryBIO()
    incoming.write(sent)
    secured = build(Files(pki.both)).context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    with pytest.raises(ssl.SSLError) as caught:
        secured.do_handshake()
    assert failure(caught.value) is expected, caught.value.reason


NAMES = [
    (Peer("CP1", "Operator"), "CP1", "", None, "any operator"),
    (Peer("CP1", "Operator"), "CP1", "Operator", None, "this operator"),
    (Peer("CP1", "Other"), "CP1", "Operator", CertificateFault.ORGANIZATION, "another operator"),
    (Peer("CP1", ""), "CP1", "Operator", CertificateFault.ORGANIZATION, "no operator, or several"),
    (Peer("CP2", "Operator"), "CP1", "Operator", CertificateFault.COMMON_NAME, "another charger"),
    (Peer("cp1", ""), "CP1", "", CertificateFault.COMMON_NAME, "case matters"),
    (Peer("", ""), "", "", CertificateFault.COMMON_NAME, "no name is never the charger's"),
    (None, "CP1", "", CertificateFault.NONE, "not verified"),
]


@pytest.mark.parametrize(("found", "expected", "organization", "fault", "why"), NAMES)
def test_whose_certificate_it_must_be(
    found: Peer | None, expected: str, organization: str, fault: CertificateFault | None, why: str
) -> None:
    """docs/contract.md 3.8."""
    assert certificate_fault(found, expected, organization) is fault, why


@pytest.mark.parametrize(
    ("cn", "read"), [("CP\u00e9 1", "CP\u00e9 1"), (("CP1", "CP2"), ""), ("CP1\0CP2", "CP1\0CP2")]
)
def test_how_a_common_name_is_read(pki: Pki, cn: str | tuple[str, ...], read: str) -> None:
    """Of two names neither counts; a NUL ends nothing."""
    met = meet(
        build(Files(pki.both, pki.chargers.file)).context, client(pki, pki.chargers.issue("named", cn))
    )
    assert met.peer == Peer(read, "")


# -- files ----------------------------------------------------------------------------------------------


def test_when_files_expire(pki: Pki) -> None:
    soon = pki.servers.issue("soon", ends=timedelta(days=3))
    lists = pki.chargers.revoke(ends=timedelta(days=2))
    found = {one.key: one for one in build(Files((soon.pair,), pki.chargers.file, lists)).expiries}
    now = datetime.now(UTC)
    days = {key: round((one.at - now) / timedelta(days=1)) for key, one in found.items()}
    assert days == {"tls_certificates.0": 3, "client_ca": 365, "crl": 2}
    assert found["tls_certificates.0"].file == soon.pair[0]


FAULTS: list[tuple[Callable[[Pki], Files], str]] = [
    (lambda _: Files(()), "tls_certificates: is empty"),
    (lambda _: Files((("missing.pem", "missing.key"),)), "missing.pem: No such file"),
    (lambda p: Files(((p.ec.pair[0], "missing.key"),)), "missing.key: No such file"),
    (lambda p: Files(((p.ec.pair[0], p.rsa.pair[1]),)), "is not the key of"),
    (lambda p: Files(((p.ec.pair[1], p.ec.pair[1]),)), "not a certificate and its key in PEM form"),
    (lambda p: Files((p.ec.pair, p.ec.pair)), "are both EC"),
    (lambda p: Files((p.servers.issue("weak", kind="rsa", bits=1024).pair,)), "RSA from 2048"),
    (lambda p: Files((p.servers.issue("locked", passphrase=b"secret").pair,)), "has a passphrase"),
    (lambda p: Files(p.both, client_ca="missing.pem"), "client_ca: missing.pem: No such file"),
    (lambda p: Files(p.both, client_ca=p.ec.pair[1]), "client_ca"),
    (lambda p: Files(p.both, crl=p.ec.pair[1]), "crl: has no use without client_ca"),
    (lambda p: Files(p.both, p.chargers.file, p.ec.pair[1]), "does not hold a certificate revocation list"),
    (lambda p: Files(p.both, p.chargers.file, "missing.crl"), "crl: missing.crl: No such file"),
]


@pytest.mark.parametrize(("files", "text"), FAULTS, ids=[text for _, text in FAULTS])
def test_a_file_that_cannot_be_used_is_named(pki: Pki, files: Callable[[Pki], Files], text: str) -> None:
    with pytest.raises(TlsError) as caught:
        build(files(pki))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_expired_certificate_is_served(pki: Pki) -> None:
    """Chargers that do not check it stay connected; the metric and ``check`` say that it is expired."""
    old = pki.servers.issue("expired", begins=2 * PAST, ends=PAST)
    assert build(Files((old.pair,))).expiries[0].at < datetime.now(UTC)
