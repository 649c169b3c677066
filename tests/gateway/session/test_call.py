"""One CALL: its steps as a table, and the memory of answered ones."""

from typing import Any

import pytest

from voltgate.config import load
from voltgate.gateway.interfaces import Ack
from voltgate.gateway.session.call import Answer, Call, GatewayViolation, Handling, Step
from voltgate.gateway.telemetry.metrics import ActionCounts, Metrics
from voltgate.policy import rules
from voltgate.schemas import Codec
from world import BOOT, NOW, STATUS, World, result


def test_a_repeated_event_gets_the_same_answer_without_being_asked_again() -> None:
    world = World()
    world.bus.answers = lambda question: result('{"idTagInfo":{"status":"Accepted"}}')
    for _ in range(2):
        world.send("1", "Authorize", {"idTag": "a"})
    first, second = world.answers()
    assert first == second
    assert len(world.bus.asked) == 1


@pytest.mark.parametrize(
    ("action", "payload"),
    [("Heartbeat", {}), ("BootNotification", BOOT), ("Authorize", {"idTag": "b"})],
    ids=["a heartbeat", "a boot", "the same id with another payload"],
)
def test_some_repeats_are_new_calls(action: str, payload: Any) -> None:
    world = World()
    boot = f'{{"status":"Accepted","currentTime":"{NOW}","interval":9}}'
    accepted = '{"idTagInfo":{"status":"Accepted"}}'
    world.bus.answers = lambda question: result(boot if "Boot" in question.subject else accepted)
    world.send("1", action, {"idTag": "a"} if action == "Authorize" else payload)
    asked, live = len(world.bus.asked), len(world.bus.live)
    world.send("1", action, payload)
    assert len(world.bus.asked) + len(world.bus.live) == 2 * (asked + live)
    assert len(world.answers()) == 2


def test_the_memory_of_answers_is_bounded() -> None:
    world = World()
    world.send("first", "StatusNotification", STATUS)
    for n in range(20):
        world.send(str(n), "StatusNotification", STATUS)
    before = len(world.bus.published)
    world.send("first", "StatusNotification", STATUS)
    assert len(world.bus.published) == before + 1


GATEWAY, CONTENT = Answer("gateway"), Answer("backend", b'{"status":"Accepted"}')
ACK, AGAIN = Ack("S", 1, False), Ack("S", 1, True)
STEPS: list[tuple[str, str, Step, dict[str, Any], Step]] = [
    ("refused", "MeterValues", Step.QUEUED, {"refusal": GatewayViolation("x", "", "")}, Step.REFUSING),
    ("a repeat", "Authorize", Step.QUEUED, {"answer": CONTENT}, Step.DONE),
    ("to be stored", "MeterValues", Step.QUEUED, {}, Step.STORING),
    ("the answer is {}", "MeterValues", Step.STORING, {"ack": ACK}, Step.DONE),
    ("a duplicate whose answer is {}", "MeterValues", Step.STORING, {"ack": AGAIN}, Step.DONE),
    ("a duplicate", "StartTransaction", Step.STORING, {"ack": AGAIN, "asks": True}, Step.READING),
    ("not a transaction", "Authorize", Step.STORING, {"ack": AGAIN, "asks": True}, Step.ASKING),
    ("never answered", "StartTransaction", Step.READING, {"ack": AGAIN, "asks": True}, Step.ASKING),
    ("answered", "StartTransaction", Step.READING, {"answer": CONTENT, "read_back": True}, Step.DONE),
    ("a reply", "Authorize", Step.ASKING, {"asks": True, "answer": CONTENT}, Step.RECORDING),
    ("the reply was first", "Authorize", Step.STORING, {"asks": True, "answer": CONTENT}, Step.RECORDING),
    ("a reply without content", "DataTransfer", Step.ASKING, {"answer": GATEWAY}, Step.DONE),
    ("a fallback", "DataTransfer", Step.ASKING, {"answer": CONTENT._replace(by="fallback")}, Step.RECORDING),
    ("an empty fallback", "DataTransfer", Step.ASKING, {"answer": Answer("fallback")}, Step.DONE),
    (
        "a bad reply",
        "DataTransfer",
        Step.ASKING,
        {"answer": Answer("fallback", reply_violation="X")},
        Step.RECORDING,
    ),
    ("a Heartbeat that is live", "Heartbeat", Step.STORING, {}, Step.DONE),
    ("recorded", "Authorize", Step.RECORDING, {"answer": CONTENT, "ack": ACK}, Step.DONE),
    ("recorded before", "Authorize", Step.RECORDING, {"answer": CONTENT, "ack": AGAIN}, Step.READING),
    ("its reject is stored", "MeterValues", Step.REFUSING, {}, Step.DONE),
    ("done", "MeterValues", Step.DONE, {}, Step.DONE),
]


@pytest.mark.parametrize(("action", "step", "state", "expected"), [row[1:] for row in STEPS], ids=[
    f"{row[2].name}: {row[0]}" for row in STEPS
])  # fmt: skip
def test_which_step_follows(action: str, step: Step, state: dict[str, Any], expected: Step) -> None:
    frame = Codec("ocpp1.6").decode(b'[2,"1","%s",{}]' % action.encode())
    rule = rules(load(None))["v16"][action]
    call = Call(frame, "1", Handling(rule, ActionCounts(Metrics(), "v16", action, rule.class_)), 0.0, 0)
    call.step = step
    for name, value in state.items():
        setattr(call, name, value)
    assert call.following() is expected


@pytest.mark.parametrize(
    ("answer", "content"),
    [(GATEWAY, False), (Answer("backend", b" {\n} "), False), (CONTENT, True), (Answer("x", code="y"), True)],
)
def test_an_answer_has_content_if_it_says_more_than_braces(answer: Answer, content: bool) -> None:
    assert answer.has_content is content
