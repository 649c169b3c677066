"""The answer of a stream's leader."""

from base64 import b64encode
from typing import Any

import orjson
import pytest

from voltgate.gateway.bus.leader import parse
from voltgate.gateway.interfaces import NotRead, Stored

HEADERS = b64encode(b"NATS/1.0\r\nocpp-session: s\r\n\r\n").decode()
BODY = b64encode(b"{}").decode()

ANSWERS: list[tuple[Any, Stored | NotRead]] = [
    ({"message": {"seq": 7, "hdrs": HEADERS, "data": BODY}}, Stored(7, {"ocpp-session": "s"}, b"{}")),
    ({"message": {"seq": 7}}, Stored(7, {}, b"")),
    ({"error": {"code": 404, "err_code": 10037}}, NotRead.MISSING),
    ({"error": {"code": 503, "err_code": 10008}}, NotRead.UNREADABLE),
    ({"error": {"code": 404, "err_code": 10059}}, NotRead.UNREADABLE),  # there is no such stream
    ({"error": None}, NotRead.UNREADABLE),
    ({"message": {"seq": "7"}}, NotRead.UNREADABLE),
    ({"message": {"seq": 7, "data": "?"}}, NotRead.UNREADABLE),
    ({"message": {"seq": 7, "data": 5}}, NotRead.UNREADABLE),
    ({"message": []}, NotRead.UNREADABLE),
    ({}, NotRead.UNREADABLE),
    ([], NotRead.UNREADABLE),
    (5, NotRead.UNREADABLE),
]


@pytest.mark.parametrize(("answer", "found"), ANSWERS)
def test_what_an_answer_means(answer: Any, found: Stored | NotRead) -> None:
    assert parse(orjson.dumps(answer)) == found


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_what_is_not_json_is_unreadable(data: bytes) -> None:
    assert parse(data) is NotRead.UNREADABLE
