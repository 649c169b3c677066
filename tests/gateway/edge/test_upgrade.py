"""One socket until its 101: the head, the bytes behind it, the answers, the deadlines."""

import pytest
from structlog.testing import capture_logs

from frames import frame
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.edge.head import MAX_BYTES
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.reasons import Reason, Refusal
from wire import CLOSE, CODEC, PING, PONG, TEXT, Charger, Edge, Receiver, Wire, request

BEAT = b'[2,"1","Heartbeat",{}]'
EARLY = frame(TEXT, b"[1]") + frame(PING, b"p") + frame(TEXT, b"[2]") + frame(TEXT, b"[3]")[:5]


def asked(edge: Edge, *chunks: bytes) -> tuple[Wire, list[Upgrade]]:
    """A socket that has sent ``chunks``, and the upgrades whose decision is waited for."""
    upgrades: list[Upgrade] = []
    return edge.knock(upgrades.append, *chunks), upgrades


def test_a_head_is_decided_once_it_is_complete() -> None:
    head = request("/a/CP1")
    wire, upgrades = asked(Edge(), *(bytes([byte]) for byte in head[:-1]))
    assert upgrades == []
    assert wire.is_reading()
    wire.send(head[-1:])
    assert [upgrade.request.path for upgrade in upgrades] == ["/a/CP1"]
    assert not wire.is_reading(), "not before it is decided"
    assert upgrades[0].peer == "192.0.2.1:5000"


@pytest.mark.parametrize("cut", range(0, len(EARLY) + 1, 7))
def test_bytes_behind_the_head_wait_for_the_101(cut: int) -> None:
    """Also those that were read before the pause took effect; none is lost, none is looked at too early."""
    edge = Edge()
    wire, (upgrade,) = asked(edge, request() + EARLY[:cut])
    upgrade.data_received(EARLY[cut:])
    assert wire.written == b""
    assert upgrade.prepare("ocpp1.6")
    assert wire.written == b"", "a prepared answer may still become a refusal"
    connection = upgrade.accept(CODEC)
    assert wire.head.startswith("HTTP/1.1 101 ")
    receiver = Receiver()
    connection.start(receiver, lambda *_: None)
    assert receiver.messages == [b"[1]", b"[2]"]
    assert wire.frames() == [(PONG, b"p")]
    wire.send(frame(TEXT, b"[3]")[5:])
    assert receiver.messages[2:] == [b"[3]"]


def test_the_socket_is_handed_over_at_the_101() -> None:
    edge = Edge(handshake_timeout=10)
    charger = Charger(edge)
    assert charger.wire.protocol is charger.connection
    assert edge.shared.open == {charger.connection}
    assert isinstance(charger.connection, Connection)
    edge.pass_time(20)
    assert charger.ends == [], "its handshake_timeout is off"
    charger.wire.lose()
    assert edge.shared.open == set()
    assert charger.ends == [Reason.CLIENT]


REFUSALS = {
    Refusal.BAD_IDENTITY: (400, ""),
    Refusal.NO_CREDENTIALS: (401, 'WWW-Authenticate: Basic realm="voltgate"'),
    Refusal.NOT_REGISTERED: (404, ""),
    Refusal.FULL: (503, "Retry-After: "),
}


@pytest.mark.parametrize(("refusal", "status", "header"), [(k, *v) for k, v in REFUSALS.items()])
def test_a_refusal_is_answered_counted_and_closed(refusal: Refusal, status: int, header: str) -> None:
    edge = Edge()
    wire, (upgrade,) = asked(edge, request() + b"GET /again HTTP/1.1\r\n\r\n")
    upgrade.refuse(refusal)
    assert wire.head.startswith(f"HTTP/1.1 {status} ")
    assert header in wire.head
    assert ("Retry-After" in wire.head) == (refusal.value.retry is not None)
    assert edge.counted("voltgate_handshakes_total", result=refusal.label) == 1
    assert wire.half_closed
    assert upgrade.gone


NOT_UPGRADES: dict[str, tuple[bytes, Refusal]] = {
    "no Upgrade header": (request(Upgrade=""), Refusal.NOT_WEBSOCKET),
    "an upgrade to something else": (request(Upgrade="h2c"), Refusal.NOT_WEBSOCKET),
    "two upgrades": (request(Upgrade="h2c, websocket"), Refusal.NOT_WEBSOCKET),
    "no key": (request(Sec_WebSocket_Key=""), Refusal.WEBSOCKET_KEY),
    "a key of the wrong size": (request(Sec_WebSocket_Key="c2hvcnQ="), Refusal.WEBSOCKET_KEY),
    "a key that is not base64": (request(Sec_WebSocket_Key="!"), Refusal.WEBSOCKET_KEY),
    "no websocket version": (request(Sec_WebSocket_Version=""), Refusal.WEBSOCKET_VERSION),
    "another websocket version": (request(Sec_WebSocket_Version="8"), Refusal.WEBSOCKET_VERSION),
    "broken extensions": (request(Sec_WebSocket_Extensions="a;;"), Refusal.BAD_HEADER),
    "a plain GET": (b"GET /CP HTTP/1.1\r\nHost: x\r\n\r\n", Refusal.NOT_WEBSOCKET),
    "another method": (request().replace(b"GET", b"POST", 1), Refusal.BAD_METHOD),
    "HTTP/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0", 1), Refusal.HTTP_VERSION),
    "not HTTP at all": (b"HELO charger\r\n", Refusal.BAD_REQUEST),
    "a header without a colon": (b"GET /CP HTTP/1.1\r\nHost\r\n\r\n", Refusal.BAD_HEADER),
    "a body": (request(Content_Length="5"), Refusal.BAD_HEADER),
    "a header line without end": (b"GET /CP HTTP/1.1\r\n" + b"X: " + b"y" * 40_000, Refusal.HEAD_TOO_LARGE),
    "a request line without end": (b"GET /" + b"x" * 40_000, Refusal.HEAD_TOO_LARGE),
    "128 KiB without a line end": (b"\0" * 131_072, Refusal.HEAD_TOO_LARGE),
    "a request line of 9,000 bytes": (request("/" + "x" * 9000), Refusal.HEAD_TOO_LARGE),
    "a header of 9,000 bytes": (request(X="x" * 9000), Refusal.HEAD_TOO_LARGE),
    "200 headers": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", Refusal.HEAD_TOO_LARGE),
    "no end within MAX_BYTES": (
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_BYTES // 6),
        Refusal.HEAD_TOO_LARGE,
    ),
}


@pytest.mark.parametrize(("sent", "refusal"), NOT_UPGRADES.values(), ids=NOT_UPGRADES)
def test_what_is_not_an_upgrade_request_is_told_what_is_wrong(sent: bytes, refusal: Refusal) -> None:
    """What cannot be read is not waited for."""
    edge = Edge()
    wire, upgrades = asked(edge, sent)
    assert not any(upgrade.prepare("ocpp1.6") for upgrade in upgrades)
    answer = refusal.value
    assert wire.head.startswith(f"HTTP/1.1 {answer.status} ")
    assert wire.written.endswith(f"\r\n\r\n{answer.text}\n".encode())
    assert answer.header is None or ": ".join(answer.header) in wire.head
    assert wire.half_closed
    assert edge.counted("voltgate_handshakes_total", result=refusal.label) == 1


TOLERATED = {
    "no Connection header": request(Connection=""),
    "Connection names something else": request(Connection="keep-alive"),
    "an empty line before it": b"\r\n\n" + request(),
    "a space in the target": request("/ocpp/CP 1"),
    "bytes beyond ASCII in the target": request("/ocpp/CPö"),
    "no slash before the path": request("ocpp/CP1"),
    "lines that end with LF alone": request().replace(b"\r\n", b"\n"),
    "other letter case": request(Upgrade="WebSocket"),
}


@pytest.mark.parametrize("sent", TOLERATED.values(), ids=TOLERATED)
def test_what_harms_nobody_is_served(sent: bytes) -> None:
    wire, (upgrade,) = asked(Edge(), *(bytes((byte,)) for byte in sent))
    assert upgrade.identity in ("CP1", "CP 1", "CPö")
    assert upgrade.prepare("ocpp1.6")
    upgrade.accept(CODEC)
    assert wire.head.startswith("HTTP/1.1 101 ")


def test_tls_on_a_plain_port_is_closed_at_once() -> None:
    edge = Edge()
    with capture_logs() as lines:
        wire, upgrades = asked(edge, bytes.fromhex("160301002f010000"))
    assert (wire.written, upgrades) == (b"", [])
    assert wire.half_closed
    assert edge.counted("voltgate_handshakes_total", result="tls_on_plain") == 1
    assert [(line["event"], line["reason"]) for line in lines] == [("upgrade.refused", "tls_on_plain")]


def test_a_refusal_is_logged_with_address_identity_and_reason() -> None:
    wire, (upgrade,) = asked(Edge(), request("/ocpp/CP1"))
    with capture_logs() as lines:
        upgrade.refuse(Refusal.WRONG_PASSWORD)
    assert lines == [
        {
            "event": "upgrade.refused",
            "log_level": "info",
            "reason": "wrong_password",
            "identity": "CP1",
            "peer": "192.0.2.1:5000",
        }
    ]
    assert wire.half_closed


@pytest.mark.parametrize(
    "sent", [b"", b"G", request()[:-20], request()], ids=["nothing", "a byte", "half", "undecided"]
)
def test_the_upgrade_must_be_complete_in_handshake_timeout(sent: bytes) -> None:
    edge = Edge(handshake_timeout=10)
    wire, upgrades = asked(edge, sent)
    edge.pass_time(9.9)
    assert not wire.is_reset()
    edge.pass_time(0.3)
    assert wire.is_reset()
    assert all(upgrade.gone for upgrade in upgrades)
    assert edge.counted("voltgate_handshakes_total", result="timeout") == 1


def test_a_whole_request_is_decided_however_late_it_was() -> None:
    """In a storm the gateway itself is slow: a charger that has sent everything is not reset for that."""
    edge = Edge(handshake_timeout=10)
    wire, upgrades = asked(edge, request()[:-1])
    edge.pass_time(9.0)
    wire.send(request()[-1:])
    edge.pass_time(9.9)
    assert not wire.is_reset()
    assert len(upgrades) == 1
    edge.pass_time(0.3)
    assert wire.is_reset()


def test_beyond_so_many_upgrades_at_a_time_a_socket_is_reset() -> None:
    """Connected chargers are none of them."""
    edge = Edge(max_handshakes=2)
    chargers = [Charger(edge) for _ in range(3)]
    wires = [asked(edge)[0] for _ in range(3)]
    assert [wire.is_reset() for wire in wires] == [False, False, True]
    assert edge.counted("voltgate_handshakes_total", result="sockets") == 1
    for wire in (wires[2], wires[0]):
        wire.lose()
    assert [asked(edge)[0].is_reset() for _ in range(2)] == [False, True]
    assert not any(charger.wire.is_reset() for charger in chargers)


def test_a_socket_that_may_not_stay_is_reset_at_its_accept() -> None:
    edge = Edge()
    edge.accepts = False
    wire, upgrades = asked(edge, request())
    assert (wire.is_reset(), upgrades, edge.accepted) == (True, [], ["192.0.2.1:5000"])


def test_the_address_is_the_one_that_a_proxy_header_names() -> None:
    """It is known after the accept, and before the first byte of the request."""
    edge = Edge(handshake_timeout=10)
    upgrade = Upgrade(edge.shared, lambda _: None, edge.accept)
    wire = Wire(upgrade, peername=("10.0.0.1", 1))
    wire.extra["peername"] = ("192.0.2.7", 40_000)
    wire.send(b"G")
    assert upgrade.peer == "192.0.2.7:40000"


def test_unmatched_may_be_a_101_that_is_closed_at_once() -> None:
    edge = Edge()
    wire, (upgrade,) = asked(edge, request(protocols=None) + EARLY)
    assert upgrade.prepare(None)
    upgrade.close_unmatched(Refusal.NO_SUBPROTOCOL)
    assert "Sec-WebSocket-Protocol" not in wire.head
    assert wire.frames() == [(CLOSE, (1002).to_bytes(2, "big") + b"no subprotocol agreed")]
    assert wire.half_closed
    assert edge.counted("voltgate_handshakes_total", result="no_subprotocol") == 1
    assert edge.counted("voltgate_disconnects_total", reason="unmatched") == 1


def test_the_end_of_the_process_resets_what_is_not_upgraded() -> None:
    edge = Edge()
    wire, (upgrade,) = asked(edge, request())
    (one,) = edge.shared.open
    one.close(Reason.DRAIN)
    assert wire.is_reset()
    assert upgrade.gone


def test_compression_without_context_takeover_is_agreed() -> None:
    charger = Charger(Edge(), Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
    agreed = charger.wire.head
    for word in ("permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"):
        assert word in agreed
