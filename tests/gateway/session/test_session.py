"""One charger's conversation in virtual time: CONTRACT 2.2, 2.3 and 3.4."""

import json
from typing import Any

import pytest

from voltgate.gateway.reasons import Reason
from world import BOOT, BOOT_2, METER, NOW, START, STARTED, STATUS, STATUS_2, STREAM, World, booted, result


class Broken:
    """A socket that fails to write."""

    def __init__(self, world: World) -> None:
        self.close = world.close

    def write(self, frame: bytes) -> None:
        raise OSError("no")


def event(seq: int = 0, **more: Any) -> dict[str, Any]:
    """A TransactionEvent of OCPP 2.x."""
    return {
        "eventType": "Updated",
        "timestamp": "2026-11-22T10:00:00Z",
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": {"transactionId": "t1"},
        **more,
    }


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


def test_at_the_bound_of_open_calls_the_socket_is_not_read_and_then_it_is_again() -> None:
    world = World(limits={"open_calls": 3})
    world.bus.hold = True
    for n in range(3):
        assert world.reading
        world.send(str(n), "StatusNotification", STATUS)
    assert not world.reading
    world.bus.release(1)
    assert world.reading
    world.bus.release()
    assert len(world.answers()) == 3


def test_thousands_of_calls_behind_a_slow_one_need_no_recursion() -> None:
    world = World()
    world.bus.hold = True
    world.send("slow", "StatusNotification", STATUS)
    for n in range(5000):
        world.send(str(n), "Heartbeat", {})
    world.bus.release()
    assert len(world.answers()) == 5001


def test_above_calls_per_second_the_socket_rests_and_nothing_is_dropped() -> None:
    world = World(limits={"calls_per_second": 10, "calls_burst": 5})
    for n in range(7):
        world.send(str(n), "Heartbeat", {})
    assert len(world.answers()) == 7
    assert not world.reading
    world.pass_time(0.3)
    assert world.reading


def test_a_call_repeated_while_it_is_open_is_the_same_call() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.send("1", "StatusNotification", STATUS)
    world.bus.release()
    assert world.answers() == [[3, "1", {}]]
    assert world.counted("voltgate_duplicates_total", **{"class": "event"}) == 1


def test_another_message_under_an_open_id_is_another_message() -> None:
    """Weak firmware reuses ids (OCPP.md C): nothing it says is lost."""
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


def test_a_fault_of_ours_ends_one_session_and_says_so() -> None:
    world = World()
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.session._link = Broken(world)  # type: ignore[assignment]
    world.bus.release()
    assert world.closed is Reason.INTERNAL


def test_large_messages_count_until_they_are_answered() -> None:
    world = World()
    world.bus.hold = True
    payload = json.dumps({"vendorId": "x", "data": "y" * 20_000}).encode()
    world.send("1", "DataTransfer", payload)
    assert world.held > 20_000
    world.bus.answers = lambda question: result('{"status":"Accepted"}')
    world.bus.hold = False
    world.bus.release()
    world.pass_time(1)
    assert world.held == 0


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


# -- nobody answers (3.4) -------------------------------------------------------------------------------

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


@pytest.mark.parametrize(
    ("data", "headers", "expected"),
    [
        (b"slow down", {"ocpp-error": "GenericError"}, [4, "1", "GenericError", "slow down", {}]),
        (b"", {"Ocpp-Error": "FormatViolation"}, [4, "1", "FormationViolation", "", {}]),
        (b"", {"ocpp-error": "Nonsense"}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"", {"Nats-Service-Error-Code": "500"}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"{}", {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"", {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"\xff", {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b'{"idTagInfo":{"status":"Ok"}}', {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b' {"idTagInfo":\n{"status":"Invalid"}} ', {}, [3, "1", {"idTagInfo": {"status": "Invalid"}}]),
    ],
    ids=[
        "its error becomes the CALLERROR",
        "in the version's own spelling, whatever the header's case",
        "an unknown code is no answer",
        "nor is a service error",
        "nor a payload that lacks what the schema requires",
        "nor nothing",
        "nor bytes that are no JSON",
        "nor a value the schema does not know",
        "white space does not matter",
    ],
)
def test_what_a_backend_says_is_checked(data: bytes, headers: dict[str, str], expected: list[Any]) -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "Authorize", {"idTag": "a"})
    world.bus.reply(data, headers)
    assert world.answers() == [expected]


def test_a_question_says_until_when_an_answer_helps() -> None:
    world = World()
    world.send("1", "Authorize", {"idTag": "a"})
    (question,) = world.bus.asked
    assert question.headers["ocpp-deadline"] == "2025-11-22T10:00:20.000Z"
    assert question.headers["ocpp-key"] == "CP=201/s1/1"


# -- boot gating ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "status", "action", "payload", "passes"),
    [
        ("v16", "Pending", "Heartbeat", {}, True),
        ("v16", "Pending", "StatusNotification", STATUS, False),
        ("v16", "Rejected", "Heartbeat", {}, False),
        ("v16", "Rejected", "BootNotification", BOOT, True),
        ("v16", "Accepted", "StatusNotification", STATUS, True),
        ("v201", "Pending", "Heartbeat", {}, False),
        ("v201", "Pending", "BootNotification", BOOT_2, True),
        ("v21", "Pending", "TransactionEvent", event(), False),
        ("v21", "Rejected", "Heartbeat", {}, False),
    ],
)
def test_until_boot_is_accepted_only_what_the_rule_names_passes(
    version: str, status: str, action: str, payload: Any, passes: bool
) -> None:
    world = World(version)
    booted(world, status)
    world.send("1", action, payload)
    (answer,) = world.answers()
    assert answer[0] == (3 if passes else 4)
    if not passes:
        assert answer[2] == "SecurityError"
        assert world.bus.published[-1].subject.startswith(f"ocpp.reject.{version}.")


def test_the_fallback_of_a_boot_gates_nothing() -> None:
    world = World()
    world.send("1", "BootNotification", BOOT)
    world.pass_time(6)
    assert world.answers()[0][2]["status"] == "Pending"
    world.send("2", "StatusNotification", STATUS)
    assert world.answers() == [[3, "2", {}]]


def test_what_a_command_asked_for_passes_while_pending() -> None:
    world = World()
    booted(world, "Pending")
    world.session.turn.triggered.add("StatusNotification")
    world.send("1", "StatusNotification", STATUS)
    assert world.answers() == [[3, "1", {}]]


# -- repeats ----------------------------------------------------------------------------------------------


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


def test_a_resent_meter_value_is_stored_once() -> None:
    world = World()
    world.send("1", "MeterValues", METER)
    world.send("2", "MeterValues", METER)
    assert world.answers() == [[3, "1", {}], [3, "2", {}]]
    assert len(world.bus.streams["tx"]) == 1
    assert world.counted("voltgate_duplicates_total", **{"class": "tx"}) == 1


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


def test_a_heartbeat_is_never_replayed_whatever_its_class() -> None:
    world = World(policy={"v16": {"Heartbeat": {"class": "event"}}})
    world.send("1", "Heartbeat", {})
    world.pass_time(2)
    world.send("1", "Heartbeat", {})
    first, second = world.answers()
    assert first[2] != second[2]


def test_the_memory_of_answers_is_bounded() -> None:
    world = World()
    world.send("first", "StatusNotification", STATUS)
    for n in range(20):
        world.send(str(n), "StatusNotification", STATUS)
    before = len(world.bus.published)
    world.send("first", "StatusNotification", STATUS)
    assert len(world.bus.published) == before + 1


def test_a_transaction_event_with_a_known_key_and_other_bytes_is_stored_and_counted() -> None:
    world = World("v21")
    world.send("1", "TransactionEvent", event(3))
    world.connect()
    world.send("2", "TransactionEvent", event(3, offline=True))
    assert len(world.bus.streams["tx"]) == 2
    assert world.counted("voltgate_key_conflicts_total") == 1


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "raw", "answer"),
    [
        ("v16", b'[2,"1","Nonsense",{}]', [4, "1", "NotImplemented"]),
        ("v16", b'[2,"1","Reset",{"type":"Soft"}]', [4, "1", "NotSupported"]),
        ("v16", b'[2,"1","StatusNotification",{}]', [4, "1", "OccurenceConstraintViolation"]),
        ("v201", b'[2,"1","Heartbeat",{"x":1}]', [4, "1", "FormatViolation"]),
        ("v16", b'[2,"1","Heartbeat",{}', [4, "1", "FormationViolation"]),
        ("v16", b"pong", None),
        ("v201", b"pong", [4, "-1", "RpcFrameworkError"]),
        ("v21", b"", [4, "-1", "RpcFrameworkError"]),
        ("v16", b'[9,"1"]', None),
        ("v201", b'[9,"1"]', [4, "1", "MessageTypeNotSupported"]),
        ("v21", b'[9,"1"]', None),
        ("v16", b'[6,"1","NotifyPeriodicEventStream",{}]', None),
        ("v21", b'[6,"1","NotifyPeriodicEventStream",{}]', None),
        ("v21", b'[3,"unknown",{}]', None),
        ("v21", b'[4,"unknown","GenericError","",{}]', None),
        ("v21", b'[5,"1","GenericError","",{}]', None),
    ],
)
def test_what_is_refused_is_stored_and_then_answered_where_the_version_answers(
    version: str, raw: bytes, answer: list[Any] | None
) -> None:
    world = World(version)
    world.raw(raw)
    stored = world.bus.published + world.bus.live
    assert [message.subject for message in stored] == [f"ocpp.reject.{version}.CP=201"]
    assert stored[0].data == raw
    assert [sent[:3] for sent in world.answers()] == ([answer] if answer else [])
    world.send("after", "Heartbeat", {})
    assert world.answers()[0][1] == "after"


def test_a_stray_answer_with_a_password_is_kept_without_it() -> None:
    """Secrets never reach a fact (CONTRACT 3.5), not even where their command is forgotten."""
    world = World()
    world.raw(
        b'[3,"forgotten",{"configurationKey":[{"key":"AuthorizationKey","readonly":true,"value":"top"}]}]'
    )
    (kept,) = world.bus.live
    assert kept.data == b"***"


def test_invalid_utf8_closes_with_1007() -> None:
    world = World()
    world.raw(b'[2,"\xff","Heartbeat",{}]')
    assert world.closed is Reason.NOT_UTF8


def test_above_rejects_per_minute_frames_are_answered_and_counted_but_not_stored() -> None:
    world = World(limits={"rejects_per_minute": 3})
    for n in range(5):
        world.send(str(n), "Nonsense", {})
    assert len(world.answers()) == 5
    assert len(world.bus.published) == 3
    assert world.counted("voltgate_rejects_unstored_total", version="v16") == 2
    world.pass_time(61)
    world.send("later", "Nonsense", {})
    assert len(world.bus.published) == 4


def test_a_refused_transaction_message_is_stored_whole_and_always() -> None:
    world = World(limits={"rejects_per_minute": 0}, policy={"v16": {"MeterValues": {"validation": "strict"}}})
    payload = METER | {"x": "y" * 9000}
    world.send("1", "MeterValues", payload)
    world.send("2", "Nonsense", {"x": "y" * 9000})
    (reject,) = world.bus.published
    assert len(reject.data) > 9000
    assert "ocpp-reject-bytes" not in reject.headers


@pytest.mark.parametrize(
    ("config", "tag"),
    [
        ({}, "TypeConstraintViolation /connectorId"),
        ({"validation": "off"}, None),
        ({"validation": "strict"}, "refused"),
        ({"validation": "off", "policy": {"v16": {"MeterValues": {"validation": "strict"}}}}, "refused"),
        ({"validation": "strict", "policy": {"v16": {"MeterValues": {"validation": "off"}}}}, None),
    ],
    ids=[
        "money is not thrown away: lenient by default",
        "off says nothing",
        "a global key beats the default",
        "the action's policy beats the global key",
        "both ways",
    ],
)
def test_the_validation_level_decides_about_a_violation(config: dict[str, Any], tag: str | None) -> None:
    world = World("v16", **config)
    world.send("1", "MeterValues", METER | {"connectorId": "1"})
    (fact,), (answer,) = world.bus.published, world.answers()
    if tag == "refused":
        assert answer[2] == "TypeConstraintViolation"
    else:
        assert answer == [3, "1", {}]
        assert fact.headers.get("ocpp-violation") == tag


@pytest.mark.parametrize(
    "payload",
    [
        b'{"connectorId":"1","x":}',
        b'{"connectorId":1,"connectorId":1}',
        b'{"connectorId":"1","x":' + b"[" * 40 + b"]" * 40 + b"}",
    ],
    ids=["broken JSON", "a duplicate key", "too deep"],
)
def test_no_level_passes_what_is_no_sound_json(payload: bytes) -> None:
    world = World(validation="off")
    world.send("1", "MeterValues", payload)
    assert world.answers()[0][0] == 4


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
