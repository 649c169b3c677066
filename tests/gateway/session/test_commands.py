"""Commands of one charger in virtual time (docs/contract.md 3.5): outcomes, facts, command ids, secrets."""

import json
from collections import Counter
from typing import Any

import pytest

from voltgate.config import Level
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session.commands import JOINED
from world import ACCEPTED, SOFT, STATUS, World, answered, booted, call, outcome, outcomes

# -- the outcomes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v16", "v201", "v21"])
def test_a_result_is_stored_and_told_with_the_chargers_own_bytes(version: str) -> None:
    world = World(version)
    payload = SOFT if version == "v16" else {"type": "Immediate"}
    world.command("Reset", payload)
    ((kind, message_id, action, sent),) = world.answers()
    assert (kind, action, sent) == (2, "Reset", payload)
    assert outcomes(world) == []
    answered(world, message_id, b'{ "status":"Accepted" }')
    reply = outcome(world)
    assert (reply.headers["ocpp-outcome"], reply.data) == ("result", b'{ "status":"Accepted" }')
    assert reply.headers["ocpp-message-id"] == message_id
    assert reply.headers["ocpp-session"] == "s1"
    assert world.facts() == [f"command.{version}.Reset", f"command.{version}.ResetResponse"]
    fact, response = world.bus.published
    assert json.loads(fact.data) == payload
    assert (response.headers["ocpp-outcome"], response.data) == ("result", b'{ "status":"Accepted" }')
    assert fact.headers["ocpp-key"] == response.headers["ocpp-key"] == f"CP=201/s1/{message_id}"
    assert fact.headers["Nats-Msg-Id"] == f"CP=201/{message_id}"
    assert fact.headers["ce-type"] == f"ocpp.{version}.Reset"
    assert fact.headers["ce-id"] != response.headers["ce-id"]
    assert "ocpp-redacted" not in fact.headers
    assert world.counted("voltgate_commands_total", action="Reset", outcome="result") == 1
    label = {"version": version, "direction": "out", "type": "call", "action": "Reset"}
    assert world.counted("voltgate_frames_total", **label) == 1


def test_the_call_waits_for_the_facts_pubAck() -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    assert world.facts() == ["command.v16.Reset"]
    assert world.answers() == []
    world.bus.release()
    assert call(world)


def test_an_error_is_told_with_code_description_and_details() -> None:
    world = World()
    world.command("Reset", SOFT)
    world.raw(b'[4,"%s","NotSupported","no \xc3\xb6",{"a": 1}]' % call(world).encode())
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "error"
    assert json.loads(reply.data) == {"code": "NotSupported", "description": "no ö", "details": {"a": 1}}
    assert world.bus.published[1].data == reply.data


@pytest.mark.parametrize("payload", [b'{"status":"Nope"}', b"[1]", b'{"status":"Accepted"},1'])
@pytest.mark.parametrize(("version", "answers"), [("v16", []), ("v201", []), ("v21", [5])])
def test_a_result_that_violates_its_schema_is_told_as_it_came(
    version: str, answers: list[int], payload: bytes
) -> None:
    world = World(version)
    world.command("ClearCache")
    message_id = call(world)
    answered(world, message_id, payload)
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "bad_result"
    assert payload.startswith(reply.data)
    told = world.answers()
    assert [frame[0] for frame in told] == answers, "only 2.1 has a word for it (docs/ocpp.md A13)"
    assert all(frame[1] == message_id for frame in told)


def test_without_a_reply_subject_nothing_is_sent() -> None:
    world = World()
    world.command("Reset", SOFT, reply="")
    assert (world.answers(), world.facts(), world.replies()) == ([], [], [])
    assert world.bus.refused == ["reply_subject"]


def test_commands_go_one_at_a_time_in_the_order_of_arrival_and_beyond_the_queue_they_are_busy() -> None:
    world = World(limits={"command_queue": 2})
    for n in range(5):
        world.command("DataTransfer", {"vendorId": str(n)}, reply=f"_INBOX.{n}")
    assert [(m.subject, m.headers["ocpp-outcome"]) for m in world.replies()] == [
        ("_INBOX.3", "busy"), ("_INBOX.4", "busy"),
    ]  # fmt: skip
    for n in range(3):
        ((_, message_id, _, payload),) = world.answers()
        assert payload == {"vendorId": str(n)}
        answered(world, message_id, ACCEPTED)
    assert [m.subject for m in world.replies()] == ["_INBOX.0", "_INBOX.1", "_INBOX.2"]


def test_a_command_that_waits_beyond_its_deadline_is_not_sent() -> None:
    world = World()
    world.command("Reset", SOFT)
    world.command("ClearCache", ocpp_timeout=5)
    first = call(world)
    world.pass_time(5.2)
    assert outcome(world).headers["ocpp-outcome"] == "expired"
    answered(world, first, ACCEPTED)
    assert (outcomes(world), world.answers()) == (["result"], [])


def test_a_deadline_that_passes_while_the_fact_is_stored_sends_nothing() -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT, ocpp_timeout=1)
    world.pass_time(2)
    world.bus.hold = False
    world.bus.settle()
    assert (outcomes(world), world.answers()) == (["expired"], [])


@pytest.mark.parametrize(("headers", "seconds"), [({}, 30), ({"ocpp_timeout": 2.5}, 2.5)])
def test_a_late_answer_is_a_fact_and_is_matched_to_no_other_command(
    headers: dict[str, Any], seconds: float
) -> None:
    world = World()
    world.command("Reset", SOFT, **headers)
    world.command("ClearCache", ocpp_timeout=100)
    first = call(world)
    world.pass_time(seconds - 0.2)
    assert outcomes(world) == []
    world.pass_time(0.4)
    assert outcome(world).headers["ocpp-outcome"] == "timeout"
    second = call(world)
    answered(world, first, ACCEPTED)
    assert outcomes(world) == []
    late = world.bus.published[-1]
    assert late.subject == "ocpp.command.v16.ResetResponse.CP=201"
    assert (late.headers["ocpp-outcome"], late.headers["ocpp-late"]) == ("result", "true")
    assert late.headers["ocpp-message-id"] == first
    answered(world, second, ACCEPTED)
    assert outcomes(world) == ["result"]
    answered(world, first, ACCEPTED)
    assert world.bus.live[-1].subject == "ocpp.reject.v16.CP=201", "said twice: it answers no open CALL"


def test_what_answers_no_command_is_kept_as_a_reject_and_told_to_nobody() -> None:
    world = World()
    world.command("Reset", SOFT)
    call(world)
    answered(world, "other", ACCEPTED)
    world.raw(b'[4,"other","GenericError","",{}]')
    assert [m.subject for m in world.bus.live] == ["ocpp.reject.v16.CP=201"] * 2
    assert outcomes(world) == []


def test_when_the_socket_ends_the_sent_one_is_lost_and_the_queued_ones_are_gone() -> None:
    world = World()
    world.command("Reset", SOFT)
    world.command("ClearCache")
    world.session.ended()
    assert sorted(outcomes(world)) == ["gone", "lost"]
    assert world.facts() == ["command.v16.Reset", "command.v16.ResetResponse"]
    world.command("Reset", SOFT)
    assert outcome(world).headers["ocpp-outcome"] == "gone", "it was on its way when the socket ended"


def test_a_command_whose_fact_is_being_stored_when_the_socket_ends_is_gone() -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.session.ended()
    world.bus.release()
    assert outcomes(world) == ["gone"]
    assert world.answers() == []


def test_a_leaving_session_sends_no_further_command() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.command("Reset", SOFT)
    world.command("ClearCache")
    world.session.leave(Reason.DRAIN)
    assert outcomes(world) == ["gone"]
    world.command("ClearCache")
    assert outcomes(world) == ["gone"]
    world.bus.release()
    assert [frame[0] for frame in world.answers()] == [3], "its own CALL is answered still"
    assert outcomes(world) == ["gone"]
    assert world.closed is Reason.DRAIN


def test_what_cannot_be_stored_is_not_sent() -> None:
    world = World(limits={"command_queue": 100})
    world.bus.hold = True
    world.bus.fails.add("command")
    for _ in range(101):
        world.command("Reset", SOFT)
    world.bus.release()
    assert outcomes(world) == ["unavailable"] * 101
    assert world.answers() == []


def test_commands_and_the_chargers_own_calls_cross() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.command("Reset", SOFT)
    world.bus.release()
    ((_, one, _), (_, message_id, _, _)) = sorted(world.answers(), key=len)
    assert one == "1"
    world.bus.hold = True
    world.send("2", "StatusNotification", STATUS)
    answered(world, message_id, ACCEPTED)
    assert outcomes(world) == ["result"], "it does not wait for the charger's CALL"


# -- boot ----------------------------------------------------------------------------------------------


def test_a_rejected_charger_gets_no_commands() -> None:
    world = World()
    booted(world, "Rejected")
    world.command("Reset", SOFT)
    assert json.loads(outcome(world).data)["reason"] == "BootNotification was answered Rejected"
    booted(world, "Pending")
    world.command("Reset", SOFT)
    assert call(world)


# -- command ids ---------------------------------------------------------------------------------------


def test_a_repeat_of_an_open_command_waits_for_its_outcome() -> None:
    world = World()
    world.command("Reset", SOFT, reply="_INBOX.1", ocpp_command_id="c 1")
    world.command("Reset", SOFT, reply="_INBOX.2", ocpp_command_id="c 1")
    message_id = call(world)
    answered(world, message_id, ACCEPTED)
    replies = world.replies()
    assert [m.subject for m in replies] == ["_INBOX.1", "_INBOX.2"]
    assert {m.headers["ocpp-message-id"] for m in replies} == {message_id}
    assert world.bus.published[0].headers["Nats-Msg-Id"] == "CP=201/c=201"
    assert world.bus.published[0].headers["ocpp-command-id"] == "c 1"


def test_repeats_of_an_open_command_are_not_counted_by_the_queue_and_have_a_bound_of_their_own() -> None:
    world = World(limits={"command_queue": 1})
    for n in range(JOINED + 2):
        world.command("Reset", SOFT, reply=f"_INBOX.{n}", ocpp_command_id="c")
    (busy,) = world.replies()
    assert (busy.subject, busy.headers["ocpp-outcome"]) == (f"_INBOX.{JOINED + 1}", "busy")
    answered(world, call(world), ACCEPTED)
    assert Counter(m.headers["ocpp-outcome"] for m in world.replies()) == {"result": JOINED + 1}


@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
@pytest.mark.parametrize(("action", "payload"), [("Reset", {"type": "Hard"}), ("ClearCache", {})])
def test_the_same_id_for_something_else_is_invalid(action: str, payload: Any, ended: bool) -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_command_id="c")
    message_id = call(world)
    if ended:
        answered(world, message_id, ACCEPTED)
        world.replies()
    world.command(action, payload, ocpp_command_id="c")
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "invalid"
    assert "ocpp-command-id" in json.loads(reply.data)["reason"]
    assert world.answers() == []


LONG = {"key": "Certificate", "value": "x" * 1500}


@pytest.mark.parametrize(
    ("level", "tag"),
    [("lenient", "PropertyConstraintViolation /value"), ("off", None), ("strict", "not sent"),
     (None, "not sent")],
)  # fmt: skip
@pytest.mark.parametrize("named_by", ["record", "policy"])
def test_the_level_of_a_record_or_a_policy_is_for_commands_too(
    level: Level | None, tag: str | None, named_by: str
) -> None:
    """The global key and the default are not: a backend can be mended (docs/contract.md 2.2)."""
    policy = {"v16": {"ChangeConfiguration": {"validation": level}}} if named_by == "policy" and level else {}
    world = World(validation="off", policy=policy)
    if named_by == "record" and level is not None:
        world.level = level
        world.connect()
    world.command("ChangeConfiguration", LONG)
    if tag == "not sent":
        assert outcomes(world) == ["invalid"]
        return
    message_id = call(world)
    (fact,) = world.bus.published
    assert fact.headers.get("ocpp-violation") == tag
    answered(world, message_id, {"status": "Sure"})
    assert outcome(world).headers["ocpp-outcome"] == "result"
    response = world.bus.published[-1]
    assert response.headers.get("ocpp-violation") == (tag and "PropertyConstraintViolation /status")


@pytest.mark.parametrize(
    "payload",
    [b'{"key":"k","value":}', b'{"key":"k","key":"k"}', b"[]", b'"x"', b'{"key":7,"value":1e999}',
     b'{"key":7,"v":' + b"[" * 40 + b"]" * 40 + b"}", b'{"key":7},"x"', b'{"key":7}],[2,"1","Reset",{}'],
)  # fmt: skip
def test_no_level_sends_what_is_not_sound_json(payload: bytes) -> None:
    world = World(policy={"v16": {"ChangeConfiguration": {"validation": "off"}}})
    world.command("ChangeConfiguration", payload)
    assert (outcomes(world), world.answers()) == (["invalid"], [])


@pytest.mark.parametrize(
    ("frame", "body"),
    [
        ('[3,"~",{"a":01}]', '{"a":01}'),
        ('[3, "~" , {"status":"Acc', '{"status":"Acc'),
        ('[3,"~",{"a":1,"a":2}]', '{"a":1,"a":2}'),
        ('[3,"~",7]', "7"),
        ('[3,"~"]', ""),
    ],
)
def test_a_result_whose_json_is_broken_is_told_as_it_came(frame: str, body: str) -> None:
    world = World()
    world.command("ClearCache")
    world.raw(frame.replace("~", call(world)).encode())
    reply = outcome(world)
    assert (reply.headers["ocpp-outcome"], reply.data.decode()) == ("bad_result", body)
