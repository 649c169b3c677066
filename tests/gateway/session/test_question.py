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
    world.pass_time(4.95)
    assert world.answers() == [], "asked again every 250 ms for ask_grace"
    world.pass_time(0.1)
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


ENDED = event(eventType="Ended")
TOKEN = {"idToken": "x", "type": "Central"}
ASKED = [
    (event(), 0, "nothing to answer"),
    (event(idToken=TOKEN), 1, "an idToken"),
    (event(idToken=None), 1, "an idToken that is not one"),
    (ENDED, 1, "what it cost"),
    (ENDED | {"offline": False}, 1, "what it cost"),
    (ENDED | {"offline": True}, 0, "the driver has left"),
    (ENDED | {"offline": True, "idToken": TOKEN}, 1, "an idToken"),
]


@pytest.mark.parametrize("version", ["v201", "v21"])
@pytest.mark.parametrize(("payload", "asked", "why"), ASKED)
def test_a_transaction_event_is_asked_where_its_answer_can_say_something(
    version: str, payload: dict[str, Any], asked: int, why: str
) -> None:
    """Without a backend it is answered at once, and its empty fallback is not a Response fact."""
    world = World(version)
    world.send("1", "TransactionEvent", payload)
    assert len(world.bus.asked) == asked, why
    assert world.answers() == [[3, "1", {}]], "there is no grace for an empty fallback"
    assert world.facts() == [f"tx.{version}.TransactionEvent"]
    world.bus.answers = lambda question: result('{"totalCost":1.5}')
    world.send("2", "TransactionEvent", payload)
    assert world.answers() == [[3, "2", {"totalCost": 1.5} if asked else {}]], "a resend may be answered"


def test_a_backlog_of_ended_sessions_is_answered_without_a_backend_and_without_grace() -> None:
    world = World("v201")
    for n in range(100):
        world.send(str(n), "TransactionEvent", ENDED | {"transactionInfo": {"transactionId": f"t{n}"}})
    assert len(world.answers()) == 100


BAD, WRONG = '{"idTagInfo":{"status":"Ok"}}', "PropertyConstraintViolation /idTagInfo/status"


@pytest.mark.parametrize(
    ("replies", "answer", "by"),
    [
        ([(0, BAD)], [4, "1", "InternalError", "the backend's answer was invalid", {}], "fallback"),
        ([(0, BAD), (1.5, '{"idTagInfo":{"status":"Blocked"}}')],
         [3, "1", {"idTagInfo": {"status": "Blocked"}}], "backend"),
        ([(0, BAD), (1, "{}"), (0.5, '{"idTagInfo":{"status":"Blocked"}}')],
         [3, "1", {"idTagInfo": {"status": "Blocked"}}], "backend"),
        ([(0, BAD), (1, "{}")],
         [4, "1", "InternalError", "the backend's answer was invalid", {}], "fallback"),
    ],
    ids=["alone", "a better one follows", "the third is the better one", "none is"],
)  # fmt: skip
def test_a_reply_that_cannot_be_used_is_visible_and_a_better_one_is_taken(
    replies: list[tuple[float, str]], answer: list[Any], by: str
) -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "Authorize", {"idTag": "a"})
    for seconds, body in replies:
        world.pass_time(seconds)
        world.bus.reply(body.encode())
    world.pass_time(2.1 - sum(seconds for seconds, _ in replies))
    assert world.answers() == [answer]
    response = world.bus.published[-1]
    assert response.headers["ocpp-answered-by"] == by
    assert response.headers["ocpp-reply-violation"] == WRONG, "the first one"
    labels = {"version": "v16", "action": "Authorize"}
    count = world.counted("voltgate_reply_violations_total", **labels, code="PropertyConstraintViolation")
    assert count == 1
    assert world.counted("voltgate_asks_total", outcome="invalid" if by == "fallback" else "reply") == 1


def test_a_reply_that_cannot_be_used_is_on_a_response_that_says_nothing_else() -> None:
    """An empty fallback is stored for it, and does not stand in the way of a later answer."""
    world = World("v201")
    world.bus.answers = lambda question: None
    world.send("1", "TransactionEvent", ENDED)
    world.bus.reply(b'{"totalCost":"a lot"}')
    world.pass_time(2.1)
    response = world.bus.published[-1]
    assert (response.data, response.headers["ocpp-reply-violation"]) == (
        b"{}", "TypeConstraintViolation /totalCost")  # fmt: skip
    world.bus.answers = lambda question: result('{"totalCost":1}')
    world.send("2", "TransactionEvent", ENDED)
    assert world.answers()[-1] == [3, "2", {"totalCost": 1}]


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [({}, b'{"status":"Accepted"}', Reason.BAD_REPLY),
     ({"Nats-Service-Error-Code": "500"}, b"", Reason.BACKEND_FAILED)],
)  # fmt: skip
def test_what_closes_the_socket_says_whether_a_backend_answered(
    headers: dict[str, str], body: bytes, reason: Reason
) -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "StartTransaction", START)
    world.bus.reply(body, headers)
    if reason is Reason.BACKEND_FAILED:
        assert world.closed is reason, "at once"
    world.pass_time(2.1)
    assert world.closed is reason


def test_a_backend_that_hangs_is_given_ask_timeout() -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "Authorize", {"idTag": "a"})
    world.pass_time(19.5)
    assert world.answers() == []
    world.pass_time(1)
    assert world.answers()[0][2] == "InternalError"


@pytest.mark.parametrize(("away", "left"), [(2, 1), (4.9, 0.2)], ids=["within", "at its end"])
def test_a_backend_that_comes_up_within_ask_grace_is_heard(away: float, left: float) -> None:
    world = World()
    world.send("1", "Authorize", {"idTag": "a"})
    world.pass_time(away)
    world.bus.answers = lambda question: result('{"idTagInfo":{"status":"Blocked"}}')
    world.pass_time(left)
    assert world.answers() == [[3, "1", {"idTagInfo": {"status": "Blocked"}}]]


def test_a_grace_of_ask_timeout_ends_with_the_fallback() -> None:
    world = World(nats={"ask_grace": 3.0, "ask_timeout": 3.0})
    world.send("1", "Authorize", {"idTag": "a"})
    world.pass_time(2.9)
    assert world.answers() == []
    world.pass_time(0.2)
    assert world.answers() == [[4, "1", "InternalError", "no backend answered", {}]]


def test_a_question_says_until_when_an_answer_helps() -> None:
    world = World()
    world.send("1", "Authorize", {"idTag": "a"})
    (question,) = world.bus.asked
    assert question.headers["ocpp-deadline"] == "2025-11-22T10:00:20.000Z"
    assert question.headers["ocpp-key"] == "CP=201/s1/1"
