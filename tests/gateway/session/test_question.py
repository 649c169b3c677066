"""Questions to a backend in virtual time: retries, deadlines, fallbacks (docs/contract.md 3.4)."""

from typing import Any

import pytest

from voltgate.gateway.reasons import Reason
from world import BOOT, BOOT_2, START, World, event, result

SIGNED = {"csr": "x"}


FALLBACKS = [
    ("v16", "BootNotification", BOOT, [3, "1", {"status": "Pending", "interval": 60, "currentTime": "*"}]),
    ("v16", "DataTransfer", {"vendorId": "x"}, [3, "1", {"status": "UnknownVendorId"}]),
    ("v16", "SignCertificate", SIGNED, [3, "1", {"status": "Rejected"}]),
    ("v16", "Authorize", {"idTag": "a"}, [4, "1", "InternalError", "no backend answered", {}]),
    ("v201", "TransactionEvent", event(idToken={"idToken": "x", "type": "Central"}), [3, "1", {}]),
    ("v201", "SignCertificate", SIGNED, [3, "1", {"status": "Rejected"}]),
    ("v21", "BootNotification", BOOT_2, [3, "1", {"status": "Pending", "interval": 60, "currentTime": "*"}]),
    ("v21", "DataTransfer", {"vendorId": "x"}, [3, "1", {"status": "UnknownVendorId"}]),
]


@pytest.mark.parametrize(("version", "action", "payload", "expected"), FALLBACKS)
def test_without_a_responder_the_fallback_comes_after_ask_grace(
    version: str, action: str, payload: Any, expected: list[Any]
) -> None:
    world = World(version)
    world.send("1", action, payload)
    world.pass_time(4.5)
    assert world.answers() == [], "asked again every 250 ms for ask_grace"
    world.pass_time(1)
    (answer,) = world.answers()
    if "currentTime" in expected[2]:
        answer[2]["currentTime"] = "*"
    assert answer == expected
    assert 16 <= len(world.bus.asked) <= 21
    response = world.bus.published[-1]
    assert response.subject.split(".")[3] == f"{action}Response"
    assert response.headers["ocpp-answered-by"] == "fallback"
    assert response.headers.get("ocpp-error-code") == (expected[2] if expected[0] == 4 else None)


def test_a_start_of_a_transaction_nobody_answers_closes_the_socket() -> None:
    world = World()
    world.send("1", "StartTransaction", START)
    world.pass_time(6)
    assert world.closed is Reason.UNANSWERED
    assert world.written == []
    assert world.facts() == ["tx.v16.StartTransaction"]


def test_a_backend_that_hangs_is_given_ask_timeout() -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "Authorize", {"idTag": "a"})
    world.pass_time(19.5)
    assert world.answers() == []
    world.pass_time(1)
    assert world.answers()[0][2] == "InternalError"


def test_a_backend_that_comes_up_within_ask_grace_is_heard() -> None:
    world = World()
    world.send("1", "Authorize", {"idTag": "a"})
    world.pass_time(2)
    world.bus.answers = lambda question: result('{"idTagInfo":{"status":"Blocked"}}')
    world.pass_time(1)
    assert world.answers() == [[3, "1", {"idTagInfo": {"status": "Blocked"}}]]


def test_a_question_says_until_when_an_answer_helps() -> None:
    world = World()
    world.send("1", "Authorize", {"idTag": "a"})
    (question,) = world.bus.asked
    assert question.headers["ocpp-deadline"] == "2025-11-22T10:00:20.000Z"
    assert question.headers["ocpp-key"] == "CP=201/s1/1"
