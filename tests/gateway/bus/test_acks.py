"""What counts as a PubAck (docs/contract.md 3.7), and of which message."""

import json
from typing import Any

import pytest

from voltgate.config import Nats
from voltgate.gateway.bus.acks import LONGEST, Acks, NoAck
from voltgate.gateway.interfaces import Ack

ACKS = Acks(Nats())
TX = b"HPUB ocpp.tx.v16.X.CP _VOLTGATE.a.1.b 12 12\r\n"


def judged(body: Any, hpub: bytes = TX, headers: bytes = b"") -> Ack | NoAck:
    return ACKS.judge(hpub, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("subject", "stream"),
    [
        ("ocpp.tx.v16.X.CP", "OCPP_TX"),
        ("ocpp.event.v16.X.CP", "OCPP_EVENTS"),
        ("ocpp.command.v16.X.CP", "OCPP_COMMANDS"),
        ("ocpp.reject.v16.CP", "OCPP_REJECTS"),
        ("ocpp.security.x.CP", "OCPP_REJECTS"),
        ("ocpp.link.CP", "OCPP_LINKS"),
        ("$KV.ocpp_chargers.CP", "KV_ocpp_chargers"),
        ("$KV.ocpp_gateways.a", "KV_ocpp_gateways"),
    ],
)
def test_a_message_is_stored_by_its_own_stream_alone(subject: str, stream: str) -> None:
    hpub = f"HPUB {subject} _VOLTGATE.a.1.b 12 12\r\n".encode()
    streams = {
        "OCPP_TX",
        "OCPP_EVENTS",
        "OCPP_COMMANDS",
        "OCPP_REJECTS",
        "OCPP_LINKS",
        "MINE",
        "KV_",
        "KV_ocpp",
    }
    for other in streams | {"KV_ocpp_chargers", "KV_ocpp_gateways", stream, "x" + stream, ""}:
        verdict = judged({"stream": other, "seq": 3}, hpub)
        assert verdict == (Ack(stream, 3, False) if other == stream else NoAck.GARBAGE), other


@pytest.mark.parametrize(
    ("ours", "body", "counts"),
    [
        ("", {}, True),
        ("", {"domain": "hub"}, True),
        ("hub", {"domain": "hub"}, True),
        ("hub", {"domain": "leaf"}, False),
        ("hub", {}, False),
        ("hub", {"domain": 7}, False),
    ],
)
def test_the_stream_of_another_domain_does_not_count(ours: str, body: dict[str, Any], counts: bool) -> None:
    """A hub and a leaf node may both store a message; each gateway waits for its own."""
    data = json.dumps({"stream": "OCPP_TX", "seq": 3, **body}).encode()
    verdict = Acks(Nats(domain=ours)).judge(TX, b"", data)
    assert verdict == (Ack("OCPP_TX", 3, False) if counts else NoAck.GARBAGE)


def test_a_duplicate_has_the_first_sequence() -> None:
    assert judged({"stream": "OCPP_TX", "seq": 1, "duplicate": True}) == Ack("OCPP_TX", 1, True)
    assert judged({"stream": "OCPP_TX", "seq": 1, "duplicate": False, "domain": "x"}) == Ack(
        "OCPP_TX", 1, False
    )


GARBAGE: list[Any] = [
    [],
    {},
    "OK",
    7,
    None,
    b"\xff",
    b"{",
    b"[" * 2000,
    {"stream": "OCPP_TX"},
    {"seq": 1},
    {"stream": "OCPP_TX", "seq": 0},
    {"stream": "OCPP_TX", "seq": -1},
    {"stream": "OCPP_TX", "seq": "1"},
    {"stream": "OCPP_TX", "seq": 1.0},
    {"stream": "OCPP_TX", "seq": True},
    {"stream": "OCPP_TX", "seq": 1, "duplicate": "yes"},
    {"stream": "OCPP_TX", "seq": 1, "duplicate": None},
    {"stream": ["OCPP_TX"], "seq": 1},
    {"stream": "OCPP_TX\r\nPUB x 0\r\n", "seq": 1},
    {"stream": "OCPP_EVENTS", "seq": 1},
    {"stream": "KV_\ud800", "seq": 1},
    {"stream": "OCPP_TX", "seq": 1, "pad": "x" * LONGEST},
    {"error": None},
    {"error": {}},
    {"error": "503"},
    {"error": {"code": "503"}},
    {"error": {"code": 400, "err_code": "10077"}},
]


@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_anything_else_is_no_pub_ack(body: Any) -> None:
    assert judged(body) is NoAck.GARBAGE


def test_an_empty_body_is_judged_by_its_status_alone() -> None:
    assert judged(b"", headers=b"NATS/1.0 503\r\n\r\n") is NoAck.NOT_NOW
    assert judged(b"", headers=b"") is NoAck.GARBAGE
    assert judged(b"", headers=b"NATS/1.0\r\nStatus: 503\r\n\r\n") is NoAck.GARBAGE


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ({"code": 503, "err_code": 10077, "description": "maximum messages exceeded"}, NoAck.FULL),
        ({"code": 503, "err_code": 10008}, NoAck.NOT_NOW),
        ({"code": 503}, NoAck.NOT_NOW),
        ({"code": 409, "err_code": 10158}, NoAck.NOT_NOW),
        ({"code": 400, "err_code": 10071}, NoAck.REFUSED),
        ({"code": 400}, NoAck.REFUSED),
    ],
)
def test_an_error_says_why_it_is_not_stored(error: dict[str, Any], verdict: NoAck) -> None:
    assert judged({"error": error, "stream": "OCPP_TX", "seq": 0}) is verdict
