"""Who may connect, in virtual time: a real listener and real upgrades on sockets in memory."""

from base64 import b64encode
from typing import Any, cast
from urllib.parse import quote

import pytest

from judging import Threads
from voltgate import config
from voltgate.gateway.edge.front import Front
from voltgate.gateway.edge.listener import Admission, Entrance, Listener
from voltgate.gateway.edge.secured import Handshakes
from voltgate.gateway.edge.tls import Peer
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.interfaces import Claim, NotRead
from voltgate.gateway.rates import Bucket, Budgets
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.credentials import REFUSED_AFTER, Passwords
from voltgate.gateway.registry.hashes import hash_key
from voltgate.gateway.registry.record import Found, Known, Record
from voltgate.gateway.registry.security import Security
from voltgate.schemas import VERSIONS
from wire import CODEC, Edge, Wire, request
from world import Bus

KEY = "ab" * 20


class Entry(Edge):
    """Everything around one listener; what it asks for is remembered, and answered as a test says."""

    def __init__(self, limits: dict[str, Any] | None = None, required: bool = True, **settings: Any) -> None:
        super().__init__(**(limits or {}))
        self.records: dict[str, Known | NotRead] = {}
        self.looked_up: list[str] = []
        self.claims: list[Claim] = []
        self.verdict: tuple[Refusal | None, str | None] | None = (None, None)  # None: undecided
        self.sessions: list[tuple[Admission, str | None]] = []
        self.refusal: Refusal | None = None
        self.bus = Bus(cast(Any, self))  # it needs a clock
        entrance = Entrance(
            self,
            Passwords(Threads(), 10, 10, self.clock),
            self,
            Security(self.bus, self.clock, "ocpp", "gw"),
            Bucket(),
            Budgets([0]),
            lambda: self.refusal,
            self.start_session,
        )
        listener = config.Listener(**settings)
        handshakes = Handshakes(self.shared.paced, self.soon.append, lambda *_: None, lambda *_: None)
        front = Front(listener, handshakes, lambda *_: None, lambda _: True)
        self.listener = Listener(listener, config.Registry(required=required), entrance, self.shared, front)

    # listener.Records
    def find(self, identity: str, found: Found) -> None:
        self.looked_up.append(identity)
        found(self.records.get(identity, NotRead.MISSING))

    # listener.Ownership
    def claim(self, claim: Claim) -> None:
        self.claims.append(claim)
        if self.verdict is not None:
            claim.decided(*self.verdict)

    def start_session(self, admission: Admission, upgrade: Upgrade, replaced: str | None) -> None:
        upgrade.accept(CODEC)
        self.sessions.append((admission, replaced))

    def record(self, identity: str = "CP1", enabled: bool = True, **fields: Any) -> None:
        fields = {"password_hashes": (hash_key(bytes.fromhex(KEY)),)} | fields
        self.records[identity] = Known(identity, identity, Record(enabled=enabled, **fields))

    def dial(self, path: str = "/CP1", password: str = "", *, transport: Any = None, **headers: str) -> Wire:
        """``transport``: a dict of what the transport knows beside the address."""
        if password:
            name = path.rpartition("/")[2]
            headers.setdefault("Authorization", f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}")
        return self.knock(self.listener.decide, request(path, **headers), **(transport or {}))

    def results(self) -> dict[str, float]:
        """``voltgate_handshakes_total`` by result."""
        return {result: cell[0] for (result,), cell in self.metrics.handshakes._cells.items() if cell[0]}


def status(wire: Wire) -> int:
    return int(wire.head.split()[1]) if wire.head else 0


# -- identity and subprotocol ---------------------------------------------------------------------------


BAD_PATHS = {
    "/": "empty",
    "//": "empty segments only",
    "/ocpp/" + "x" * 49: "49 characters",
    "/ocpp/" + quote("ö" * 49): "49 characters in 98 bytes",
    "/ocpp/" + quote("🔌" * 25): "25 characters in 100 bytes",
    "/ocpp/a%0Ab": "a line feed",
    "/ocpp/%00": "NUL",
    "/ocpp/a%7F": "delete",
    "/ocpp/a%C2%85": "a control character beyond ASCII",
    "/ocpp/a:b": "a colon (docs/ocpp.md A3)",
    "/ocpp/a%3Ab": "a colon, percent-encoded",
    "/ocpp/%FF": "invalid UTF-8",
    "/ocpp/%C0%AF": "an overlong encoding",
    "/ocpp/%ED%A0%80": "a surrogate",
}


@pytest.mark.parametrize("path", BAD_PATHS, ids=BAD_PATHS.values())
def test_an_illegal_identity_is_refused_with_400_and_costs_nothing(path: str) -> None:
    entry = Entry()
    assert status(entry.dial(path)) == 400
    assert (entry.results(), entry.looked_up) == ({"bad_identity": 1}, [])


SUBPROTOCOLS: list[tuple[str | None, dict[str, Any], dict[str, Any], str | None]] = [
    # offered, record, listener, chosen
    ("ocpp1.6", {}, {}, "ocpp1.6"),
    ("ocpp2.0.1", {}, {}, "ocpp2.0.1"),
    ("ocpp2.1", {}, {}, "ocpp2.1"),
    ("ocpp2.0.1, ocpp1.6", {}, {}, "ocpp2.0.1"),  # the client's order
    ("ocpp1.6,ocpp2.1", {}, {}, "ocpp1.6"),
    ("ocpp0.1, ocpp2.0.1", {}, {}, "ocpp2.0.1"),  # docs/ocpp.md E
    ("ocpp2.0 , ocpp2.1 ,ocpp1.6", {}, {}, "ocpp2.1"),
    (" , ocpp1.6", {}, {}, "ocpp1.6"),
    ("ocpp2.0.1, ocpp1.6", {"versions": ("v16",)}, {}, "ocpp1.6"),
    ("ocpp2.1", {"versions": ("v16",)}, {}, None),
    ("ocpp1.6j", {}, {}, None),
    ("ocpp1.6j", {"quirks": frozenset({"subprotocol_alias"})}, {}, "ocpp1.6"),
    ("ocpp1.5", {}, {}, None),
    ("OCPP1.6", {}, {}, None),
    ("ocpp1.5, soap", {}, {}, None),
    (None, {}, {}, None),
    (" ", {}, {}, None),
    ("ocpp1.5", {}, {"assume_version": "ocpp1.6"}, None),
    (None, {}, {"assume_version": "ocpp1.6"}, "ocpp1.6"),
]


@pytest.mark.parametrize(("offered", "record", "settings", "chosen"), SUBPROTOCOLS)
def test_the_first_offered_subprotocol_that_is_served(
    offered: str | None, record: dict[str, Any], settings: dict[str, Any], chosen: str | None
) -> None:
    entry = Entry(allow_unauthenticated=True, **settings)
    entry.record(**record)
    wire = entry.knock(entry.listener.decide, request("/CP1", offered))
    assert [admission.subprotocol for admission, _ in entry.sessions] == ([chosen] if chosen else [])
    assert status(wire) == (101 if chosen else 400)
    assert ("Sec-WebSocket-Protocol" in wire.head) == bool(chosen and offered), "none is made up"
    if not chosen:
        result = "unserved_subprotocol" if (offered or "").strip() else "no_subprotocol"
        assert entry.results() == {result: 1}


def test_subprotocols_in_several_headers_are_one_list() -> None:
    entry = Entry(allow_unauthenticated=True, required=False)
    head = request("/CP1", "ocpp0.1").replace(b"Host:", b"Sec-WebSocket-Protocol: ocpp2.1\r\nHost:", 1)
    assert "Sec-WebSocket-Protocol: ocpp2.1" in entry.knock(entry.listener.decide, head).head


def test_unmatched_close_needs_no_record() -> None:
    entry = Entry(unmatched="close")
    assert status(entry.dial(Sec_WebSocket_Protocol="soap")) == 101
    assert (entry.results(), entry.sessions) == ({"unserved_subprotocol": 1}, [])


def test_no_compression_for_chargers_that_cannot_do_it() -> None:
    entry = Entry(allow_unauthenticated=True)
    entry.record("CP1", quirks=frozenset({"no_compression"}))
    entry.record("CP2")
    agreed = [
        "permessage-deflate" in entry.dial(path, Sec_WebSocket_Extensions="permessage-deflate").head
        for path in ("/CP1", "/CP2")
    ]
    assert agreed == [False, True]


IGNORED = {
    "credentials that are not asked for": {"Authorization": "Basic Q1A6c2VjcmV0"},
    "an origin": {"Origin": "https://evil.example"},
    "cookies and a long agent": {"Cookie": "a=b", "User_Agent": "x" * 2000},
    "Connection in a list": {"Connection": "keep-alive, Upgrade"},
    "words in capitals": {"Upgrade": "WebSocket", "Connection": "UPGRADE"},
}


@pytest.mark.parametrize("headers", IGNORED.values(), ids=IGNORED)
def test_headers_that_change_nothing(headers: dict[str, str]) -> None:
    entry = Entry(allow_unauthenticated=True, required=False)
    assert status(entry.dial(**headers)) == 101


# -- admission ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [Refusal.DRAINING, Refusal.BUS_AWAY, Refusal.FULL])
def test_a_closed_house_is_refused_first(refusal: Refusal) -> None:
    entry = Entry()
    entry.refusal = refusal
    assert status(entry.dial("/a:b")) == 503
    assert entry.results() == {refusal.label: 1}


def test_handshakes_per_second_are_read_as_they_are_now() -> None:
    """A burst of one second, then the rate; SIGHUP changes both at once."""
    entry = Entry({"handshakes_per_second": 3}, allow_unauthenticated=True, required=False)
    assert [status(entry.dial(f"/{n}")) for n in range(4)] == [101, 101, 101, 503]
    entry.pass_time(1)
    entry.shared.take(entry.shared.limits.model_copy(update={"handshakes_per_second": 1.0}))
    assert [status(entry.dial(f"/{n}")) for n in range(2)] == [101, 503]
    entry.shared.take(entry.shared.limits.model_copy(update={"handshakes_per_second": 100.0}))
    entry.pass_time(1)
    assert {status(entry.dial(f"/{n}")) for n in range(100)} == {101}
    assert entry.results()["rate"] == 2


ADMISSION: list[tuple[dict[str, Any] | NotRead, bool, int]] = [
    # record, registry.required, status where no credentials are wanted
    ({}, True, 101),
    (NotRead.MISSING, True, 404),
    (NotRead.MISSING, False, 101),
    (NotRead.UNREADABLE, False, 503),
    ({"enabled": False}, False, 404),
    ({"security_profile": 2}, True, 401),
]


@pytest.mark.parametrize(("record", "required", "expected"), ADMISSION)
def test_without_credentials_the_record_decides(
    record: dict[str, Any] | NotRead, required: bool, expected: int
) -> None:
    entry = Entry(required=required, allow_unauthenticated=True)
    if isinstance(record, NotRead):
        entry.records["CP1"] = record
    else:
        entry.record(**record)
    assert status(entry.dial()) == expected
    assert len(entry.sessions) == (expected == 101)
    assert bool(entry.bus.live) == (expected in (401, 404)), "a security fact"


def test_with_the_right_password_a_charger_connects() -> None:
    entry = Entry()
    entry.record()
    assert status(entry.dial(password=KEY)) == 101
    ((admission, replaced),) = entry.sessions
    assert (admission.identity, admission.authenticated, replaced) == ("CP1", True, None)
    assert entry.claims[0].authenticated


WRONG: dict[str, tuple[dict[str, Any] | None, dict[str, str], str]] = {
    "no header": ({}, {}, "no_credentials"),
    "another name": ({}, {"Authorization": "Basic " + b64encode(b"CP2:x").decode()}, "wrong_user"),
    "another password": ({}, {"password": "ba" * 20}, "wrong_password"),
    "no record": (None, {"password": KEY}, "unknown_identity"),
    "no password": ({"password_hashes": ()}, {"password": KEY}, "wrong_password"),
    "disabled": ({"enabled": False}, {"password": KEY}, "disabled"),
    "another profile": ({"security_profile": 3}, {"password": KEY}, "wrong_profile"),
}


@pytest.mark.parametrize("recorded", [True, False])
def test_failed_logins_have_a_rate_by_source_and_identity(recorded: bool) -> None:
    """Whatever the record holds, and whatever the password is then."""
    entry = Entry({"logins_per_minute": 3})
    if recorded:
        entry.record()
    for _ in range(3):
        entry.dial(password="ba" * 20)
    assert status(entry.dial(password=KEY)) == 503
    assert status(entry.dial("/CP2", password=KEY)) == 0, "another identity is not concerned: 401 when due"
    assert entry.results()["failed_logins"] == 1
    assert "ocpp.security.failed_logins." in "".join(message.subject for message in entry.bus.live)
    entry.pass_time(21)
    assert status(entry.dial(password=KEY)) == (101 if recorded else 0)


def test_logins_that_pass_cost_nothing() -> None:
    entry = Entry({"logins_per_minute": 3})
    entry.record()
    assert [status(entry.dial(password=KEY)) for _ in range(10)] == [101] * 10


@pytest.mark.parametrize(("record", "given", "result"), WRONG.values(), ids=WRONG)
def test_wrong_credentials_are_all_refused_alike(
    record: dict[str, Any] | None, given: dict[str, str], result: str
) -> None:
    """The same answer after the same time, so that neither says what was wrong."""
    entry = Entry()
    if record is not None:
        entry.record(**record)
    wire = entry.dial(**given)
    entry.pass_time(REFUSED_AFTER - 0.1)
    assert wire.head == ""
    entry.pass_time(0.2)
    assert status(wire) == 401
    assert wire.written.endswith(b"credentials are missing or wrong\n")
    assert (entry.results(), entry.sessions) == ({result: 1}, [])
    assert [message.subject.split(".")[2] for message in entry.bus.live] == [result]


# -- security profiles ----------------------------------------------------------------------------------

PROXIED: dict[str, Any] = {"proxy_protocol": True, "trusted_proxies": ["192.0.2.1"]}
TLS: dict[str, Any] = {"tls_version": "TLSv1.3"}
OWN = TLS | {"client_certificate": Peer("CP1", "")}

PROFILES: list[tuple[int, dict[str, Any] | None, dict[str, Any], str]] = [
    # the listener's profile, the record, what its transport knows, the result
    (1, {"security_profile": 1}, {}, ""),
    (1, {"security_profile": 2}, {}, "wrong_profile"),
    (2, {"security_profile": 2}, TLS, ""),
    (2, {}, TLS, ""),
    (2, {"security_profile": 1}, TLS, "wrong_profile"),
    (2, {"security_profile": 3}, TLS, "wrong_profile"),
    (2, {"security_profile": 2}, {}, "wrong_profile"),  # no TLS before the load balancer
    (2, {}, {}, "wrong_profile"),
    (3, {"security_profile": 3}, OWN, ""),
    (3, {}, OWN, ""),
    (3, {"password_hashes": ()}, OWN, ""),
    (3, {"security_profile": 2}, OWN, "wrong_profile"),
    (3, {"security_profile": 3}, {}, "wrong_profile"),
    (3, {}, TLS, "no_certificate"),
    (3, {"certificate_cn": "serial"}, OWN, "wrong_common_name"),
    (3, {"certificate_cn": "serial"}, TLS | {"client_certificate": Peer("serial", "")}, ""),
    (3, {}, TLS | {"client_certificate": Peer("CP2", "")}, "wrong_common_name"),
    (3, {}, TLS | {"client_certificate": Peer("", "")}, "wrong_common_name"),
    (3, {"enabled": False}, OWN, "disabled"),
    (3, None, OWN, "unknown_identity"),
]


@pytest.mark.parametrize(("profile", "record", "transport", "result"), PROFILES)
def test_one_security_profile_a_charger(
    profile: int, record: dict[str, Any] | None, transport: dict[str, Any], result: str
) -> None:
    """The right password is no substitute for TLS, nor for the charger's own certificate."""
    entry = Entry(security_profile=profile, **(PROXIED if profile > 1 else {}))
    if record is not None:
        entry.record(**record)
    wire = entry.dial(password=KEY, transport=transport)
    if not result:
        assert status(wire) == 101
        ((admission, _),) = entry.sessions
        assert (admission.security_profile, admission.authenticated) == (profile, True)
        return
    entry.pass_time(REFUSED_AFTER - 0.1)
    assert wire.head == "", "as late as a wrong password"
    entry.pass_time(0.2)
    assert (status(wire), entry.results(), entry.sessions) == (401, {result: 1}, [])
    assert [message.subject.split(".")[2] for message in entry.bus.live] == [result]


def test_wrong_certificates_have_the_rate_of_failed_logins() -> None:
    entry = Entry({"logins_per_minute": 3}, security_profile=3, **PROXIED)
    entry.record()
    for _ in range(3):
        entry.dial(transport=TLS)
    assert status(entry.dial(transport=OWN)) == 503
    entry.pass_time(21)
    assert [status(entry.dial(transport=OWN)) for _ in range(5)] == [101] * 5


def test_without_credentials_a_listener_of_profile_2_wants_tls_all_the_same() -> None:
    entry = Entry(security_profile=2, allow_unauthenticated=True, required=False, **PROXIED)
    assert [status(entry.dial(f"/{n}", transport=known)) for n, known in enumerate(({}, TLS))] == [401, 101]


# -- identity in use ------------------------------------------------------------------------------------


def test_the_101_waits_until_the_identity_is_free() -> None:
    entry = Entry(allow_unauthenticated=True, required=False)
    entry.verdict = None
    wire = entry.dial()
    assert (status(wire), entry.sessions) == (0, [])
    entry.claims[0].decided(None, "s1")
    assert status(wire) == 101
    assert [replaced for _, replaced in entry.sessions] == ["s1"]


@pytest.mark.parametrize(
    ("refusal", "closed", "result"),
    [
        (Refusal.IDENTITY_IN_USE, None, "identity_in_use"),
        (Refusal.FLAPPING, None, "flapping"),
        (None, Refusal.DRAINING, "draining"),
    ],
)
def test_after_the_wait_it_may_be_a_refusal(
    refusal: Refusal | None, closed: Refusal | None, result: str
) -> None:
    entry = Entry(allow_unauthenticated=True, required=False)
    entry.verdict = None
    wire = entry.dial()
    entry.refusal = closed
    entry.claims[0].decided(refusal, None)
    assert status(wire) == 503
    assert (entry.results(), entry.sessions) == ({result: 1}, [])


def test_who_hung_up_meanwhile_gets_no_session() -> None:
    entry = Entry(allow_unauthenticated=True, required=False)
    entry.verdict = None
    wire = entry.dial()
    wire.lose()
    assert entry.claims[0].newcomer.gone
    entry.claims[0].decided(None, None)
    assert (wire.written, entry.sessions) == (b"", [])


# -- a record that changes ------------------------------------------------------------------------------

CHANGES: list[tuple[dict[str, Any] | None, Reason | None]] = [
    ({}, None),
    ({"password_hashes": ()}, None),
    ({"enabled": False}, Reason.DISABLED),
    ({"security_profile": 2}, Reason.RECORD_CHANGED),
    ({"versions": ("v21",)}, Reason.RECORD_CHANGED),
    ({"versions": ("v16", "v21")}, None),
    ({"validation": "lenient"}, Reason.RECORD_CHANGED),
    ({"quirks": frozenset({"no_ping"})}, Reason.RECORD_CHANGED),
    (None, Reason.REMOVED),
]


@pytest.mark.parametrize(("fields", "reason"), CHANGES)
def test_which_changes_of_its_record_end_a_connection(
    fields: dict[str, Any] | None, reason: Reason | None
) -> None:
    def known(**fields: Any) -> Known:
        return Known("CP1", "CP1", Record(**{"enabled": True} | fields))

    (subprotocol,) = (name for name, version in VERSIONS.items() if version == "v16")
    admission = Admission("CP1", subprotocol, 1, True, known(), needs_record=True)
    assert admission.ended_by(None if fields is None else known(**fields)) is reason


@pytest.mark.parametrize(("profile", "reason"), [(2, None), (3, Reason.RECORD_CHANGED)])
def test_another_common_name_ends_a_connection_by_certificate(profile: int, reason: Reason | None) -> None:
    before = Known("CP1", "CP1", Record(enabled=True))
    after = Known("CP1", "CP1", Record(enabled=True, certificate_cn="serial"))
    admission = Admission("CP1", "ocpp1.6", profile, True, before, needs_record=True)
    assert admission.ended_by(after) is reason


def test_a_record_that_is_not_needed_may_be_removed() -> None:
    assert Admission("CP1", "ocpp1.6", 1, False, None, needs_record=False).ended_by(None) is None
