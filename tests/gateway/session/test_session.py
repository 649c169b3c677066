"""One charger's conversation in virtual time: docs/contract.md 2.2, 2.3 and 3.4."""

import json
from typing import Any

import pytest

from voltgate.gateway.reasons import Reason
from world import METER, NOW, START, STARTED, STATUS, STATUS_2, STREAM, World, event, result

# -- the order of things ------------------------------------------------------------------------------


def test_an_event_is_answered_after_its_pubAck_and_not_before() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    assert world.facts() == ["event.v16.StatusNotification"]
    assert world.answers() == []
    world.bus.release()
    assert world.answers() == [[3, "1", {}]]
    assert world.facts() == ["event.v16.StatusNotification"], "an answer without content is no Response fact"


def test_a_live_call_is_answered_at_once_with_the_clock() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "Heartbeat", {})
    assert world.answers() == [[3, "1", {"currentTime": NOW}]]
    assert [m.subject for m in world.bus.live] == ["ocpp.live.v16.Heartbeat.CP=201"]


def test_a_question_of_class_event_leaves_with_its_fact_and_all_three_come_before_the_answer() -> None:
    world = World()
    world.bus.hold = True
    world.bus.answers = lambda question: result('{"idTagInfo":{"status":"Accepted"}}')
    world.send("1", "Authorize", {"idTag": "a"})
    assert world.facts() == ["event.v16.Authorize"]
    assert [m.subject for m in world.bus.asked] == ["ocpprpc.ask.v16.Authorize.CP=201"]
    world.bus.release(2)  # fact and reply
    assert world.facts() == ["event.v16.Authorize", "event.v16.AuthorizeResponse"]
    assert world.answers() == []
    world.bus.release()
    assert world.answers() == [[3, "1", {"idTagInfo": {"status": "Accepted"}}]]
    response = world.bus.published[1]
    assert response.headers["ocpp-answered-by"] == "backend"
    assert response.headers["ocpp-key"] == world.bus.published[0].headers["ocpp-key"]


def test_a_question_of_class_tx_waits_for_the_pubAck() -> None:
    world = World()
    world.bus.hold = True
    world.bus.answers = lambda question: result(STARTED)
    world.send("1", "StartTransaction", START)
    assert world.bus.asked == []
    world.bus.release()
    assert world.facts() == ["tx.v16.StartTransaction", "tx.v16.StartTransactionResponse"]
    assert world.answers() == [[3, "1", json.loads(STARTED)]]


@pytest.mark.parametrize(
    ("payload", "asked"),
    [(event(), 0), (event(idToken={"idToken": "x", "type": "Central"}), 1)],
    ids=["without idToken the gateway answers", "with idToken a backend is asked"],
)
def test_who_answers_a_transaction_event_depends_on_its_id_token(payload: dict[str, Any], asked: int) -> None:
    world = World("v201")
    world.bus.answers = lambda question: result('{"idTokenInfo":{"status":"Accepted"}}')
    world.send("1", "TransactionEvent", payload)
    assert len(world.bus.asked) == asked
    assert len(world.answers()) == 1


def test_pipelined_calls_are_served_in_order_one_at_a_time() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.send("2", "Heartbeat", {})
    world.send("3", "MeterValues", METER)
    assert world.facts() == ["event.v16.StatusNotification"]
    assert world.answers() == []
    world.bus.release()
    assert [answer[1] for answer in world.answers()] == ["1", "2", "3"]


def test_thousands_of_calls_behind_a_slow_one_need_no_recursion() -> None:
    world = World()
    world.bus.hold = True
    world.send("slow", "StatusNotification", STATUS)
    for n in range(5000):
        world.send(str(n), "Heartbeat", {})
    world.bus.release()
    assert len(world.answers()) == 5001


def test_a_call_repeated_while_it_is_open_is_the_same_call() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.send("1", "StatusNotification", STATUS)
    world.bus.release()
    assert world.answers() == [[3, "1", {}]]
    assert world.counted("voltgate_duplicates_total", **{"class": "event"}) == 1


def test_another_message_under_an_open_id_is_another_message() -> None:
    """Weak firmware reuses ids (docs/ocpp.md C): nothing it says is lost."""
    world = World("v21")
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS_2)
    world.send("1", "NotifyPeriodicEventStream", STREAM, kind=6)
    world.send("1", "FirmwareStatusNotification", {"status": "Idle"})
    world.raw(b'[2,"1","StatusNotification",{"x":1}]')
    world.bus.release()
    assert world.facts()[:2] == ["event.v21.StatusNotification", "event.v21.NotifyPeriodicEventStream"]
    assert [answer[0] for answer in world.answers()] == [3, 3], (
        "the broken one has the id and action of the first"
    )


def test_a_fact_says_when_its_message_was_read_however_long_it_waited() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.send("2", "StatusNotification", STATUS)
    world.pass_time(5)
    world.bus.release(1)
    assert [fact.headers["ce-time"] for fact in world.bus.published] == [NOW, NOW]


def test_a_send_is_stored_and_never_answered() -> None:
    world = World("v21")
    world.send("1", "NotifyPeriodicEventStream", STREAM, kind=6)
    world.send("2", "Heartbeat", {})
    assert world.facts() == ["event.v21.NotifyPeriodicEventStream"]
    assert [answer[1] for answer in world.answers()] == ["2"]


# -- what cannot be stored is not answered (2.3) -------------------------------------------------------


@pytest.mark.parametrize(
    ("fails", "action", "payload"),
    [
        ("event", "StatusNotification", STATUS),
        ("tx", "MeterValues", METER),
        ("tx", "StartTransaction", START),
        ("reject", "Nonsense", {}),
    ],
)
def test_what_is_not_stored_closes_the_socket_with_1013(fails: str, action: str, payload: Any) -> None:
    world = World()
    world.bus.fails = {fails}
    world.send("1", action, payload)
    assert world.closed is Reason.NOT_STORED
    assert world.closed.value.code == 1013
    assert world.written == []


def test_an_answer_that_cannot_be_recorded_is_not_given() -> None:
    world = World()
    world.bus.answers = lambda question: result('{"idTagInfo":{"status":"Accepted"}}')
    world.bus.hold = True
    world.send("1", "Authorize", {"idTag": "a"})
    world.bus.release(2)
    world.bus.fails = {"event"}
    world.bus.release()
    assert world.closed is Reason.NOT_STORED
    assert world.written == []


def test_a_heartbeat_is_answered_while_nothing_can_be_stored() -> None:
    world = World()
    world.bus.fails = {"tx", "event", "reject"}
    world.send("1", "Heartbeat", {})
    assert len(world.answers()) == 1
    assert world.closed is None


def test_a_charger_that_left_gets_nothing_and_breaks_nothing() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "Authorize", {"idTag": "a"})
    world.send("2", "StatusNotification", STATUS)
    world.session.ended()
    world.bus.release()
    world.pass_time(30)
    assert world.written == []


def test_a_resent_meter_value_is_stored_once() -> None:
    world = World()
    world.send("1", "MeterValues", METER)
    world.send("2", "MeterValues", METER)
    assert world.answers() == [[3, "1", {}], [3, "2", {}]]
    assert len(world.bus.streams["tx"]) == 1
    assert world.counted("voltgate_duplicates_total", **{"class": "tx"}) == 1


def test_invalid_utf8_closes_with_1007() -> None:
    world = World()
    world.raw(b'[2,"\xff","Heartbeat",{}]')
    assert world.closed is Reason.NOT_UTF8


# -- leaving ----------------------------------------------------------------------------------------------


def test_a_session_that_leaves_finishes_the_call_it_has() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.session.leave(Reason.DRAIN)
    assert world.closed is None
    assert not world.reading
    world.bus.release()
    assert world.answers() == [[3, "1", {}]]
    assert world.closed is Reason.DRAIN


def test_an_idle_session_leaves_at_once() -> None:
    world = World()
    world.session.leave(Reason.DRAIN)
    assert world.closed is Reason.DRAIN


@pytest.mark.parametrize("version", ["v16", "v201", "v21"])
def test_the_policy_can_make_any_class_and_answer_of_an_action(version: str) -> None:
    """MeterValues as live is not stored; StatusNotification as tx carries its Nats-Msg-Id."""
    world = World(version, policy={version: {"Heartbeat": {"class": "event"}}})
    world.send("1", "Heartbeat", {})
    assert world.facts() == [f"event.{version}.Heartbeat", f"event.{version}.HeartbeatResponse"]
    assert world.bus.published[1].headers["ocpp-answered-by"] == "gateway"
    assert len(world.answers()) == 1
