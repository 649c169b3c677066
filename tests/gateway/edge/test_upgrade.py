"""One socket until its 101: the head, the bytes behind it, the answers, the deadlines."""

import pytest

from frames import frame
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.edge.upgrade import MAX_HEAD_BYTES, Upgrade
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


NOT_UPGRADES = {
    "no Connection header": request(Connection=""),
    "no Upgrade header": request(Upgrade=""),
    "no key": request(Sec_WebSocket_Key=""),
    "a key of the wrong size": request(Sec_WebSocket_Key="c2hvcnQ="),
    "another websocket version": request(Sec_WebSocket_Version="8"),
    "a plain GET": b"GET /CP HTTP/1.1\r\nHost: x\r\n\r\n",
    "another method": request().replace(b"GET", b"POST", 1),
    "HTTP/1.0": request().replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "not HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a header without a colon": b"GET /CP HTTP/1.1\r\nHost\r\n\r\n",
    "a header line without end": b"GET /CP HTTP/1.1\r\n" + b"X: " + b"y" * 40_000,
    "a request line without end": b"GET /" + b"x" * 40_000,
    "128 KiB without a line end": b"\0" * 131_072,
    "too many headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (MAX_HEAD_BYTES // 6),
    "no end within MAX_HEAD_BYTES": b"GET / HTTP/1.1\r\n" + (b"a: " + b"b" * 8000 + b"\r\n") * 5,
}


@pytest.mark.parametrize("head", NOT_UPGRADES.values(), ids=NOT_UPGRADES)
def test_what_is_not_an_upgrade_request_gets_a_client_error(head: bytes) -> None:
    """What cannot be read is not waited for."""
    edge = Edge()
    wire, upgrades = asked(edge, head)
    assert not any(upgrade.prepare("ocpp1.6") for upgrade in upgrades)
    assert wire.head.startswith(("HTTP/1.1 4", "HTTP/1.1 505"))
    assert wire.half_closed
    assert edge.counted("voltgate_handshakes_total", result="bad_request") == 1


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


def test_beyond_connections_and_handshakes_a_socket_is_reset() -> None:
    edge = Edge(max_connections=2, max_handshakes=1)
    wires = [asked(edge)[0] for _ in range(4)]
    assert [wire.is_reset() for wire in wires] == [False, False, False, True]
    assert edge.counted("voltgate_handshakes_total", result="sockets") == 1
    for wire in (wires[3], wires[0]):
        wire.lose()
    assert not asked(edge)[0].is_reset()


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
