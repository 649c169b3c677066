"""What was recorded about a message before: answers to CALLs, outcomes of commands.

See docs/contract.md 3.4, 3.5.
"""

import json

import pytest

from world import ACCEPTED, SOFT, START, STARTED, World, answered, call, event, outcome, outcomes, result


def test_a_resent_transaction_message_is_answered_as_the_first_time_on_any_connection() -> None:
    world = World()
    world.bus.answers = lambda question: result(STARTED)
    world.send("1", "StartTransaction", START)
    world.connect()
    world.bus.answers = lambda question: result(STARTED.replace("7", "8"))
    world.send("other", "StartTransaction", START)
    first, second = world.answers()
    assert first[2] == second[2]
    assert second[1] == "other"
    assert len(world.bus.asked) == 1
    assert [m.subject.split(".")[3] for m in world.bus.streams["tx"]] == [
        "StartTransaction",
        "StartTransactionResponse",
    ]
    assert (
        world.counted("voltgate_calls_answered_total", version="v16", action="StartTransaction", by="replay")
        == 1
    )


def test_a_resend_whose_first_answer_never_came_is_asked_again_with_the_same_key() -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "StartTransaction", START)
    world.session.ended()
    world.connect()
    world.send("2", "StartTransaction", START)
    assert len(world.bus.asked) == 2
    assert len({question.headers["ocpp-key"] for question in world.bus.asked}) == 1
    world.bus.questions.popleft()
    world.bus.reply(STARTED.encode())
    assert world.answers() == [[3, "2", json.loads(STARTED)]]


def test_of_two_workers_that_ask_the_recorded_answer_wins() -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "StartTransaction", START)
    first = world.session
    world.connect()
    world.send("2", "StartTransaction", START)
    world.bus.reply(STARTED.encode())
    world.bus.reply(STARTED.replace("7", "8").encode())
    assert first is not world.session
    assert [answer[2]["transactionId"] for answer in world.answers()] == [7, 7]


def test_an_error_is_not_replayed_the_charger_gets_another_chance() -> None:
    world = World("v201", policy={"v201": {"TransactionEvent": {"fallback": "InternalError"}}})
    payload = event(idToken={"idToken": "x", "type": "Central"})
    world.send("1", "TransactionEvent", payload)
    world.pass_time(6)
    assert world.answers()[0][0] == 4
    world.bus.answers = lambda question: result('{"idTokenInfo":{"status":"Accepted"}}')
    world.send("2", "TransactionEvent", payload)
    assert world.answers() == [[3, "2", {"idTokenInfo": {"status": "Accepted"}}]]


def test_a_heartbeat_is_never_replayed_whatever_its_class() -> None:
    world = World(policy={"v16": {"Heartbeat": {"class": "event"}}})
    world.send("1", "Heartbeat", {})
    world.pass_time(2)
    world.send("1", "Heartbeat", {})
    first, second = world.answers()
    assert first[2] != second[2]


ENDINGS = [
    (b'[3,"%s",{"status":"Rejected"}]', "result", b'{"status":"Rejected"}'),
    (b'[3,"%s",{"status":1}]', "bad_result", b'{"status":1}'),
    (b'[4,"%s","GenericError","",{}]', "error", b'{"code":"GenericError","description":"","details":{}}'),
]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same connection", "another connection"])
@pytest.mark.parametrize(("answer", "label", "body"), ENDINGS)
def test_a_repeat_of_an_ended_command_gets_the_recorded_outcome(
    answer: bytes, label: str, body: bytes, elsewhere: bool
) -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_command_id="c")
    message_id = call(world)
    world.raw(answer % message_id.encode())
    world.replies()
    if elsewhere:
        world.connect()
    world.command("Reset", SOFT, ocpp_command_id="c")
    reply = outcome(world)
    assert (reply.headers["ocpp-outcome"], reply.data) == (label, body)
    assert (reply.headers["ocpp-message-id"], reply.headers["ocpp-session"]) == (message_id, "s1")
    assert world.answers() == []
    assert len(world.bus.streams["command"]) == 2


def test_an_unrecorded_outcome_is_lost_until_a_late_answer_is_stored() -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_command_id="c")
    message_id = call(world)
    world.pass_time(31)
    assert outcomes(world) == ["timeout"]
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert outcomes(world) == ["timeout"], "recorded"
    answered(world, message_id, ACCEPTED)
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert outcomes(world) == ["result"]
    assert world.answers() == []


def test_after_a_crash_a_repeat_is_lost_and_never_sent_again() -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_command_id="c")
    call(world)
    world.connect()  # the first one's process is dead: it wrote no Response
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert (outcomes(world), world.answers()) == (["lost"], [])


@pytest.mark.parametrize("how", ["expired", "gone"])
def test_outcomes_that_sent_nothing_are_not_remembered(how: str) -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT, ocpp_command_id="c", ocpp_timeout=1)
    if how == "gone":
        world.session.ended()
        world.bus.hold = False
        world.bus.settle()
        world.connect()
    else:
        world.pass_time(2)
        world.bus.hold = False
        world.bus.settle()
    assert outcomes(world) == [how]
    world.command("Reset", SOFT, ocpp_command_id="c")
    answered(world, call(world), ACCEPTED)
    assert outcomes(world) == ["result"]
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert (outcomes(world), world.answers()) == (["result"], []), "and now it is"
