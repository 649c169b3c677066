"""What the answers to reads of a stream mean."""

from base64 import b64encode
from typing import Any

import orjson
import pytest

from voltgate.gateway.bus.reads import Unanswered, parse_direct, parse_leader
from voltgate.gateway.interfaces import NotRead, Stored

HEADERS = b64encode(b"NATS/1.0\r\nocpp-session: s\r\n\r\n").decode()
BODY = b64encode(b"{}").decode()

ANSWERS: list[tuple[Any, Stored | NotRead | Unanswered]] = [
    ({"message": {"seq": 7, "hdrs": HEADERS, "data": BODY}}, Stored(7, {"ocpp-session": "s"}, b"{}")),
    ({"message": {"seq": 7}}, Stored(7, {}, b"")),
    ({"error": {"code": 404, "err_code": 10037}}, NotRead.MISSING),
    ({"error": {"code": 503, "err_code": 10008}}, Unanswered.NOT_NOW),
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
def test_what_the_answer_of_a_leader_means(answer: Any, found: Stored | NotRead | Unanswered) -> None:
    assert parse_leader({}, orjson.dumps(answer)) == found


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_what_is_not_json_is_unreadable(data: bytes) -> None:
    assert parse_leader({}, data) is NotRead.UNREADABLE


REAL = {"Nats-Stream": "S", "Nats-Subject": "a", "Nats-Sequence": "7"}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (REAL, Stored(7, REAL, b"x")),
        ({"Status": "404"}, NotRead.MISSING),
        ({"Status": "503"}, Unanswered.NOT_NOW),
        ({"Status": "408"}, NotRead.UNREADABLE),
        ({}, Unanswered.FOREIGN),
        (REAL | {"Nats-Stream": "T"}, Unanswered.FOREIGN),
        (REAL | {"Nats-Subject": "b"}, Unanswered.FOREIGN),
        (REAL | {"Nats-Sequence": "-7"}, Unanswered.FOREIGN),
        (REAL | {"Nats-Sequence": "7" * 21}, Unanswered.FOREIGN),
    ],
)
def test_what_the_answer_to_a_direct_get_means(
    headers: dict[str, str], found: Stored | NotRead | Unanswered
) -> None:
    assert parse_direct(headers, b"x", "S", "a") == found


def test_nobody_there_to_ask_the_leader_is_no_answer() -> None:
    assert parse_leader({"Status": "503"}, b"") is Unanswered.NOT_NOW
