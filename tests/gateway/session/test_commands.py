"""Commands of one charger in virtual time (CONTRACT 3.5): outcomes, facts, command ids, secrets."""

import json
from typing import Any

import pytest

from voltgate.gateway.reasons import Reason
from world import STATUS, World, answered, booted, call, outcome, outcomes

SOFT = {"type": "Soft"}
ACCEPTED = {"status": "Accepted"}


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
    assert [frame[0] for frame in told] == answers, "only 2.1 has a word for it (OCPP.md A13)"
    assert all(frame[1] == message_id for frame in told)


INVALID: list[tuple[str, str, Any, dict[str, str], str, str]] = [
    ("v16", "Reset", {"type": "Mild"}, {}, "PropertyConstraintViolation", "/type"),
    ("v16", "Reset", b'{"type":', {}, "FormationViolation", "/type"),
    ("v16", "SetVariables", {}, {}, "NotSupported", ""),
    ("v16", "Nonsense", {}, {}, "NotSupported", ""),
    ("v16", "Heartbeat", {}, {}, "NotSupported", ""),
    ("v21", "NotifyPeriodicEventStream", {}, {}, "NotSupported", ""),
    ("v16", "ClearCache", {}, {"ocpp_timeout": "0"}, "", ""),
    ("v16", "ClearCache", {}, {"ocpp_timeout": "nan"}, "", ""),
    ("v16", "ClearCache", {}, {"ocpp_timeout": "soon"}, "", ""),
    ("v16", "ClearCache", {}, {"ocpp_command_id": "x" * 256}, "", ""),
    ("v16", "DataTransfer", {"vendorId": "v", "data": "x" * 2000}, {}, "", ""),
]


@pytest.mark.parametrize(("version", "action", "payload", "headers", "code", "pointer"), INVALID)
def test_what_cannot_be_sent_is_told_at_once_and_leaves_no_trace(
    version: str, action: str, payload: Any, headers: dict[str, str], code: str, pointer: str
) -> None:
    world = World(version, limits={"max_message_bytes": 1024})
    world.command(action, payload, **headers)
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "invalid"
    body = json.loads(reply.data)
    assert (body["code"], body["pointer"]) == (code, pointer)
    assert body["reason"]
    assert (world.facts(), world.answers()) == ([], [])
    known = action in ("Reset", "ClearCache", "DataTransfer")
    label = action if known else "unknown"
    assert world.counted("voltgate_commands_total", action=label, outcome="invalid") == 1


@pytest.mark.parametrize("payload", [b"", b" null ", b"{}"])
def test_an_empty_body_is_the_empty_payload(payload: bytes) -> None:
    world = World()
    world.command("ClearCache", payload)
    ((_, _, action, body),) = world.answers()
    assert (action, body) == ("ClearCache", {})


def test_without_a_reply_subject_nothing_is_sent() -> None:
    world = World()
    world.command("Reset", SOFT, reply="")
    assert (world.answers(), world.facts(), world.replies()) == ([], [], [])


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


def test_who_waits_longer_than_his_deadline_was_not_sent() -> None:
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


def test_one_whose_fact_is_on_its_way_when_the_socket_ends_is_gone() -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.session.ended()
    world.bus.release()
    assert outcomes(world) == ["gone"]
    assert world.answers() == []


def test_who_leaves_sends_nothing_more() -> None:
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


TRIGGERED = [
    ("v16", "TriggerMessage", {"requestedMessage": "StatusNotification"}, "StatusNotification"),
    ("v16", "ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}, "SignCertificate"),
    ("v201", "TriggerMessage", {"requestedMessage": "SignV2GCertificate"}, "SignCertificate"),
    ("v201", "GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}, "NotifyReport"),
    ("v21", "GetReport", {"requestId": 1}, "NotifyReport"),
]


@pytest.mark.parametrize(("version", "action", "payload", "passes"), TRIGGERED)
@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
def test_what_an_accepted_command_asked_for_passes_while_pending(
    version: str, action: str, payload: Any, passes: str, status: str
) -> None:
    world = World(version)
    booted(world, "Pending")
    world.command(action, payload)
    answered(world, call(world), {"status": status})
    assert world.session.triggered == ({passes} if status == "Accepted" else set())


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


def test_what_nobody_knows_is_lost_until_a_late_answer_tells() -> None:
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


@pytest.mark.parametrize("socket_ends", [False, True])
def test_how_a_sent_command_ended_is_told_when_nats_is_back(socket_ends: bool) -> None:
    """Nobody else knows what the charger answered: neither the caller nor a repeat is left with ``lost``."""
    world = World()
    world.command("Reset", SOFT, ocpp_command_id="c")
    message_id = call(world)
    world.bus.fails.add("command")
    answered(world, message_id, ACCEPTED)
    assert outcomes(world) == ["result"], "it may never have left"
    if socket_ends:
        world.connect()
    world.pass_time(9)
    world.bus.fails.clear()
    world.replies()
    world.pass_time(2)
    assert outcomes(world) == ["result"]
    fact, response = world.bus.streams["command"]
    assert response.headers["ocpp-outcome"] == "result"
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert (outcomes(world), world.answers()) == (["result"], [])
    world.pass_time(100)
    assert world.bus.streams["command"] == [fact, response]


def test_what_was_not_sent_is_told_once() -> None:
    """A storm of commands while their stream is away leaves nothing behind."""
    world = World()
    world.bus.fails.add("command")
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert outcomes(world) == ["unavailable"]
    world.pass_time(10)
    assert outcomes(world) == []


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


# -- secrets -------------------------------------------------------------------------------------------

P = "hunter2hunter2hu"
SECRETS: list[tuple[str, str, Any, Any, list[str]]] = [
    ("v16", "ChangeConfiguration", {"key": "authorizationkey", "value": P}, ACCEPTED, []),
    (
        "v16",
        "GetConfiguration",
        {"key": ["AuthorizationKey"]},
        {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": P}]},
        [],
    ),
    (
        "v201",
        "SetVariables",
        {"setVariableData": [
            {"attributeValue": P, "component": {"name": "S"}, "variable": {"name": "BasicAuthPassword"}},
            {"attributeValue": "shown", "component": {"name": "S"}, "variable": {"name": "Other"}},
        ]},
        {"setVariableResult": [
            {"attributeStatus": "Accepted", "component": {"name": "S"}, "variable": {"name": "Other"}}
        ]},
        ["shown"],
    ),
    (
        "v201",
        "GetVariables",
        {"getVariableData": [{"component": {"name": "S"}, "variable": {"name": "BasicAuthPassword"}}]},
        {"getVariableResult": [{
            "attributeStatus": "Accepted", "attributeValue": P,
            "component": {"name": "S"}, "variable": {"name": "BasicAuthPassword"},
        }]},
        [],
    ),
    (
        "v21",
        "SetNetworkProfile",
        {"configurationSlot": 1, "connectionData": {
            "ocppInterface": "Wired0", "ocppTransport": "JSON", "messageTimeout": 30,
            "ocppCsmsUrl": "wss://csms", "securityProfile": 2, "basicAuthPassword": P,
            "apn": {"apn": "net", "apnPassword": P[:20], "apnAuthentication": "PAP"},
            "vpn": {"server": "v", "user": "u", "password": P[:20], "key": P, "type": "IKEv2"},
        }},
        ACCEPTED,
        ["wss://csms", "IKEv2"],
    ),
    ("v16", "UpdateFirmware", {"location": f"ftp://u:{P}@host/f.bin", "retrieveDate": "2026-01-01T00:00:00Z"},
     {}, ["ftp://***@host/f.bin"]),
    ("v16", "GetDiagnostics", {"location": f"ftp://u:{P}@host/"}, {}, ["ftp://***@host/"]),
    (
        "v201",
        "GetLog",
        {"requestId": 1, "logType": "SecurityLog", "log": {"remoteLocation": f"sftp://u:{P}@host:22/x"}},
        ACCEPTED,
        ["sftp://***@host:22/x"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "action", "payload", "answer", "shown"), SECRETS, ids=[row[1] for row in SECRETS]
)
def test_secrets_reach_the_charger_and_the_backend_and_no_fact(
    version: str, action: str, payload: Any, answer: Any, shown: list[str]
) -> None:
    world = World(version)
    for end in (json.dumps(answer), json.dumps({"configurationKey": [{"key": 1}], "value": P})):
        world.command(action, payload, ocpp_command_id="c" if world.facts() == [] else "d")
        ((_, message_id, _, sent),) = world.answers()
        assert sent == payload
        answered(world, message_id, end.encode())
        assert outcome(world).data == end.encode()
        world.answers()  # 2.1 hears of the bad one
    world.command(action, payload)
    world.raw(b'[4,"%s","GenericError","%s is weak",{}]' % (call(world).encode(), P.encode()))
    assert outcomes(world) == ["error"]
    stored = world.bus.published
    assert len(stored) == 6
    for fact in stored:
        assert P.encode() not in fact.data, fact
        if b"***" in fact.data:
            assert fact.headers["ocpp-redacted"] == "true"
    request, response = stored[:2]
    assert "ocpp-redacted" in request.headers or "ocpp-redacted" in response.headers
    for text in shown:
        assert text.encode() in request.data
    world.command(action, payload, ocpp_command_id="c")
    assert outcome(world).headers["ocpp-outcome"] == "result", "masked or not, it is the same command"


def test_urls_without_a_login_are_left_as_they_are() -> None:
    world = World()
    world.command("GetDiagnostics", b'{ "location": "ftp://host/" }')
    (fact,) = world.bus.published
    assert fact.data == b'{ "location": "ftp://host/" }'
    assert "ocpp-redacted" not in fact.headers


def test_a_fault_of_ours_ends_one_session_and_the_command_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    monkeypatch.setattr(world, "write", lambda frame: 1 / 0)
    world.bus.release()
    assert world.closed is Reason.INTERNAL
    assert outcomes(world) == ["lost"], "nobody knows what went out"


# -- half duplex ---------------------------------------------------------------------------------------


def test_with_half_duplex_a_command_waits_for_the_chargers_own_call() -> None:
    """OCPP.md B: some cannot take a CALL while their own is open."""
    world = World(half_duplex=True)
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.command("Reset", SOFT)
    assert world.facts() == ["event.v16.StatusNotification"], "its turn has not come"
    world.bus.release(1)
    assert [(frame[0], frame[1]) for frame in world.answers()] == [(3, "1")], "its fact is stored first"
    assert world.facts() == ["event.v16.StatusNotification", "command.v16.Reset"]
    world.bus.release()
    message_id = call(world)
    answered(world, message_id, ACCEPTED)
    assert outcomes(world) == ["result"]


def test_with_half_duplex_a_call_that_begins_while_the_fact_is_stored_is_answered_first() -> None:
    world = World(half_duplex=True)
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.send("1", "StatusNotification", STATUS)
    world.bus.release(1)
    assert world.answers() == []
    world.bus.release()
    assert [(frame[0], len(frame)) for frame in world.answers()] == [(3, 3), (2, 4)]


@pytest.mark.parametrize("stored", [False, True], ids=["queued", "its fact stored"])
def test_with_half_duplex_the_deadline_runs_while_it_waits(stored: bool) -> None:
    world = World(half_duplex=True)
    world.bus.hold = True
    if stored:
        world.command("Reset", SOFT, ocpp_timeout=5)
        world.send("1", "StatusNotification", STATUS)
        world.bus.release(1)
    else:
        world.send("1", "StatusNotification", STATUS)
        world.command("Reset", SOFT, ocpp_timeout=5)
    world.command("ClearCache", ocpp_timeout=9)
    world.pass_time(4.8)
    assert outcomes(world) == []
    world.pass_time(0.4)
    assert outcomes(world) == ["expired"]
    world.bus.hold = False
    world.bus.settle()
    assert [frame[0] for frame in world.answers()] == [3, 2], "the next one's turn comes all the same"


def test_with_half_duplex_the_queue_is_bounded_while_it_waits() -> None:
    world = World(half_duplex=True, limits={"command_queue": 2})
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    for _ in range(3):
        world.command("Reset", SOFT)
    assert outcomes(world) == ["busy"]
    world.session.ended()
    assert outcomes(world) == ["gone", "gone"]


def test_with_half_duplex_one_that_waits_with_its_fact_stored_is_gone_when_the_charger_leaves() -> None:
    world = World(half_duplex=True)
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.send("1", "StatusNotification", STATUS)
    world.bus.release(1)
    world.session.leave(Reason.DRAIN)
    assert outcomes(world) == ["gone"]
    world.bus.release()
    assert [frame[0] for frame in world.answers()] == [3]
    assert world.closed is Reason.DRAIN


# -- draining ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True], ids=["no CALL open", "a CALL open"])
def test_a_drain_waits_for_the_answer_to_the_command_in_flight(own: bool) -> None:
    """CONTRACT 4.5: CALLs in flight are finished, in both directions."""
    world = World()
    world.command("Reset", SOFT)
    world.command("ClearCache")
    message_id = call(world)
    world.bus.hold = own
    if own:
        world.send("1", "StatusNotification", STATUS)
    world.session.leave(Reason.DRAIN)
    assert outcomes(world) == ["gone"]
    assert (world.closed, world.reading) == (None, True), "its answer must be read"
    answered(world, message_id, ACCEPTED)
    assert outcomes(world) == ["result"]
    if own:
        assert (world.closed, world.reading) == (None, False), "nothing new is taken"
        world.bus.release()
        assert [frame[0] for frame in world.answers()] == [3]
    assert world.closed is Reason.DRAIN


def test_a_drain_ends_with_the_deadline_of_the_command_in_flight() -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_timeout=7)
    world.session.leave(Reason.DRAIN)
    world.pass_time(6.8)
    assert (outcomes(world), world.closed) == ([], None)
    world.pass_time(0.4)
    assert (outcomes(world), world.closed) == (["timeout"], Reason.DRAIN)


def test_a_drain_waits_for_a_fact_on_its_way_and_sends_nothing() -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.session.leave(Reason.DRAIN)
    assert world.closed is None
    world.bus.release()
    assert (outcomes(world), world.answers()) == (["gone"], [])
    assert world.closed == Reason.DRAIN


@pytest.mark.parametrize("reason", [Reason.OUTAGE, Reason.RECORD_CHANGED])
def test_whatever_else_ends_a_connection_does_not_wait_for_a_command(reason: Reason) -> None:
    world = World()
    world.command("Reset", SOFT)
    world.session.leave(reason)
    assert (outcomes(world), world.closed) == (["lost"], reason)
