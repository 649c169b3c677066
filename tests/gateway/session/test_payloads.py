"""What the payloads of a few actions mean: secrets, passwords, triggered messages."""

import json
from base64 import b64encode
from typing import Any

import pytest

from voltgate._core import masked
from voltgate.gateway.interfaces import Verdict
from voltgate.gateway.session.payloads import passwords, verdict
from world import ACCEPTED, NOW, World, answered, booted, call, outcome, outcomes

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


def test_a_stray_answer_with_a_password_is_kept_without_it() -> None:
    """Secrets never reach a fact (docs/contract.md 3.5), not even where their command is forgotten."""
    world = World()
    world.raw(
        b'[3,"forgotten",{"configurationKey":[{"key":"AuthorizationKey","readonly":true,"value":"top"}]}]'
    )
    (kept,) = world.bus.live
    assert kept.data == b"***"


PASSWORD_2 = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
VPN = {"component": {"name": "NetworkConfiguration", "instance": "1"}, "variable": {"name": "VpnPassword"}}


def report(**more: Any) -> dict[str, Any]:
    data = PASSWORD_2 | {"variableAttribute": [{"value": P, "mutability": "WriteOnly"}]} | more
    return {"requestId": 1, "generatedAt": NOW, "seqNo": 0, "reportData": [data]}


# Version, a command (or None), and where a secret is: in the command, or in what the charger sends.
PLANTED: list[tuple[str, str, Any]] = [
    ("v16", "ChangeConfiguration", {"key": "AuthorizationKey", "value": P}),
    ("v16", "GetConfiguration", {}),
    ("v16", "UpdateFirmware", {"location": f"ftp://u:{P}@h/f", "retrieveDate": NOW}),
    ("v16", "GetDiagnostics", {"location": f"ftp://u:{P}@h/"}),
    ("v201", "SetVariables", {"setVariableData": [PASSWORD_2 | {"attributeValue": P}]}),
    ("v201", "SetVariables", {"setVariableData": [VPN | {"attributeValue": P}]}),
    ("v21", "SetVariables", {"setVariableData": [
        {"component": {"name": "N"}, "variable": {"name": "OcppCsmsUrl"}, "attributeValue": f"wss://u:{P}@h/"}]}),
    ("v201", "GetVariables", {"getVariableData": [PASSWORD_2]}),
    ("v201", "GetLog", {"requestId": 1, "logType": "SecurityLog", "log": {"remoteLocation": f"ftp://u:{P}@h"}}),
    ("v201", "SetNetworkProfile", {"configurationSlot": 1, "connectionData": {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": f"wss://u:{P}@h/",
        "messageTimeout": 3, "securityProfile": 1, "ocppInterface": "Wired0"}}),
]  # fmt: skip
ANSWERS: list[str] = [
    '[3,"~id~",{"status":"Accepted"}]',
    '[3,"~id~",{"status":"Rejected","statusInfo":{"reasonCode":"X","additionalInfo":"~p~ is weak"}}]',
    '[3,"~id~",{"configurationKey":[{"key":"AuthorizationKey","readonly":false,"value":"~p~"}]}]',
    '[3,"~id~",{"configurationKey":[{"key":"X","readonly":false,"value":"ws://u:~p~@h/"}]}]',
    '[3,"~id~",{"getVariableResult":[{"attributeStatus":"Accepted","attributeValue":"~p~",'
    '"attributeStatusInfo":{"reasonCode":"R","additionalInfo":"~p~"},'
    '"component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}]',
    '[3,"~id~",{"setVariableResult":[{"attributeStatus":"Rejected","attributeStatusInfo":'
    '{"reasonCode":"R","additionalInfo":"~p~"},"component":{"name":"S"},"variable":{"name":"VpnPassword"}}]}]',
    '[3,"~id~",{"filename":"~p~","status":"Accepted"}]',
    '[3,"~id~","~p~"]',
    '[3,"~id~",{"configurationKey":["~p~"',
    '[3,"~id~",{},"~p~"]',
    '[4,"~id~","GenericError","~p~ is weak",{"value":"~p~"}]',
    '[4,"~id~","~p~","",{}]',
    '[4,"~id~","GenericError","","~p~"]',
    '[5,"~id~","GenericError","~p~",{}]',
    '["3","~id~",{"value":"~p~"}]',
    '[,3,"~id~",{"value":"~p~"}]',
    '[null,"~id~",{"value":"~p~"}]',
    '[2,"~id~",{"value":"~p~"}]',
    '3,"~id~",{"value":"~p~"}]',
    '{"~id~":"~p~"}',
]


@pytest.mark.parametrize("level", ["strict", "lenient", "off"])
@pytest.mark.parametrize(("version", "action", "payload"), PLANTED)
def test_a_secret_is_in_no_fact_however_the_command_is_answered(
    version: str, action: str, payload: Any, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Valid, error, broken, late and stray answers, and those after a reconnect that look like one."""
    for answer in ANSWERS:
        for when in ("at once", "late", "stray", "reconnected")[: 4 if answer in ANSWERS[:16] else 3]:
            policy = {version: {action: {"validation": level}}}
            world = World(version, policy=policy, limits={"rejects_per_minute": 1000})
            world.command(action, payload, ocpp_timeout=5)
            message_id = call(world) if when in ("at once", "late") else "forgotten"
            if when == "reconnected":
                world.connect()
            elif when == "late":
                world.pass_time(6)
            world.raw(answer.replace("~id~", message_id).replace("~p~", P).encode())
            world.context.violations.flush()
            facts = [*world.bus.published, *world.bus.live]
            facts = [fact for fact in facts if not fact.subject.startswith(("_INBOX.", "$KV."))]
            assert P not in str(list(world.metrics.collect())) + caplog.text
            for fact in facts:
                assert P.encode() not in fact.data, (answer, when, fact)
                assert P not in str(fact.headers), (answer, when, fact)
                assert (b"***" in fact.data) == ("ocpp-redacted" in fact.headers), (answer, when, fact)


@pytest.mark.parametrize("level", ["strict", "lenient", "off"])
@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("NotifyReport", report()),
        ("NotifyReport", report(variable={"name": "basicauthpassword"}, x=P)),
        ("NotifyReport", report(variable="BasicAuthPassword")),
        ("NotifyReport", report(variable={"name": "Url"}, variableAttribute=[{"value": f"ws://u:{P}@h"}])),
        ("NotifyEvent", {"generatedAt": NOW, "seqNo": 0, "eventData": [
            PASSWORD_2 | {"eventId": 1, "timestamp": NOW, "trigger": "Delta", "actualValue": P,
                          "eventNotificationType": "CustomMonitor"}]}),
        ("PublishFirmwareStatusNotification", {"status": "Published", "location": [f"http://u:{P}@h/f"]}),
    ],
)  # fmt: skip
def test_a_secret_that_a_charger_reports_is_in_no_fact(action: str, payload: Any, level: str) -> None:
    world = World("v201", validation=level)
    world.send("1", action, payload)
    (fact,) = world.bus.published
    assert P.encode() not in fact.data
    assert fact.headers["ocpp-redacted"] == "true"


def encoded(payload: Any, alphabet: bytes = b"-_") -> str:
    return b64encode(json.dumps(payload).encode(), alphabet).decode().rstrip("=")


def signed(payload: Any) -> dict[str, str]:
    """The flattened JWS of a signed message (docs/ocpp.md A16)."""
    return {"protected": "e30", "payload": encoded(payload), "signature": "c2ln"}


ODD = report(note="?>?>?>")  # its two alphabets differ
SIGNED: list[tuple[str, dict[str, Any], bool, str]] = [
    ("NotifyReport-Signed", signed(report()), True, "a report with a password"),
    (
        "NotifyReport-Signed",
        signed(ODD) | {"payload": encoded(ODD, b"+/")},
        True,
        "base64 of the other alphabet",
    ),
    ("NotifyReport-Signed", signed(report()) | {"payload": encoded(report()) + "=="}, True, "padded"),
    (
        "NotifyReport-Signed",
        signed(report()) | {"payload": "not base64!"},
        True,
        "a payload that is not read",
    ),
    (
        "NotifyReport-Signed",
        signed({}) | {"payload": b64encode(b"password: " + P.encode()).decode()},
        True,
        "text",
    ),
    ("NotifyReport-Signed", signed({"requestId": 1}), False, "a report without a secret"),
    ("NotifyReport-Signed", signed([1, "a"]), False, "no object"),
    ("NotifyReport-Signed", {"payload": "e30"}, False, "no signature"),
]


@pytest.mark.parametrize(("action", "payload", "redacted", "why"), SIGNED, ids=[one[-1] for one in SIGNED])
def test_a_secret_in_a_signed_report_is_in_no_fact(
    action: str, payload: dict[str, Any], redacted: bool, why: str
) -> None:
    world = World("v201")
    body = json.dumps(payload).encode()
    world.send("1", action, body)
    (fact,) = world.bus.published
    assert ("ocpp-redacted" in fact.headers) is redacted, why
    assert fact.data == body if not redacted else json.loads(fact.data) == payload | {"payload": "***"}


def test_a_signed_secret_in_a_frame_that_is_refused_is_not_stored() -> None:
    for payload, kept in ((report(), False), ({"requestId": 1}, True)):
        world = World("v201")
        frame = json.dumps([2, "1", "NotifyReport-Signed", signed(payload), "too much"]).encode()
        world.raw(frame)
        (reject,) = world.bus.published
        assert (reject.data == frame, encoded(payload).encode() in reject.data) == (kept, kept)


def test_reports_without_secrets_are_the_bytes_that_came() -> None:
    world = World("v201")
    data = {"component": {"name": "C"}, "variable": {"name": "V"}, "variableAttribute": [{"value": "mail@h"}]}
    body = json.dumps(report() | {"reportData": [data]}).encode()
    world.send("1", "NotifyReport", body)
    (fact,) = world.bus.published
    assert fact.data == body
    assert "ocpp-redacted" not in fact.headers


def test_what_is_not_json_is_masked_only_where_a_secret_may_be_in_it() -> None:
    assert masked(b'{"mail": "a@b"') is None
    assert masked(b'{"password": "x') == b"***"


def test_stray_answers_that_say_nothing_are_kept_as_they_came() -> None:
    world = World()
    for raw in (
        b'[3,"1",{}]',
        b'[3, "1", {"status":"Accepted"}]',
        b'[4,"1","GenericError","",{}]',
        b"[3,7,{}]",
    ):
        world.bus.live.clear()
        world.raw(raw)
        assert [fact.data for fact in world.bus.live] == [raw]


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
    assert world.session.turn.triggered == ({passes} if status == "Accepted" else set())


def variables(*values: str, **more: Any) -> dict[str, Any]:
    entry = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, **more}
    return {"setVariableData": [entry | {"attributeValue": value} for value in values]}


FOUND: list[tuple[str, Any, list[bytes]]] = [
    ("ChangeConfiguration", {"key": "authorizationkey", "value": "ab" * 20}, [b"ab" * 20]),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "5"}, []),
    ("SetVariables", variables("x"), [b"x"]),
    ("SetVariables", variables("x", attributeType="Actual"), [b"x"]),
    ("SetVariables", variables("x", attributeType="Target"), []),
    ("SetVariables", variables("x", component={"name": "securityctrlr"}), [b"x"]),
    ("SetVariables", variables("x", component={"name": "NetworkConfiguration"}), []),
    ("SetVariables", variables("x", variable={"name": "Identity"}), []),
    ("SetNetworkProfile", {"connectionData": {"basicAuthPassword": "x"}}, []),
    ("Reset", {"type": "Soft"}, []),
]


@pytest.mark.parametrize(("action", "body", "found"), FOUND)
def test_which_commands_change_the_password(action: str, body: Any, found: list[bytes]) -> None:
    assert passwords(action, json.dumps(body).encode()) == found


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Accepted", Verdict.TAKEN), ("RebootRequired", Verdict.AT_REBOOT), ("Rejected", Verdict.REFUSED)],
)
def test_what_a_result_decides_about_the_password(status: str, expected: Verdict) -> None:
    entry = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    results = {"setVariableResult": [entry | {"attributeStatus": status}]}
    assert verdict("ChangeConfiguration", json.dumps({"status": status}).encode()) is expected
    assert verdict("SetVariables", json.dumps(results).encode()) is expected
    assert verdict("SetVariables", b'{"setVariableResult":[]}') is None
