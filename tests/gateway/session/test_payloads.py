"""What the payloads of a few actions mean: secrets, passwords, triggered messages."""

import json
from typing import Any

import pytest

from voltgate.gateway.interfaces import Verdict
from voltgate.gateway.session.payloads import passwords, verdict
from world import ACCEPTED, World, answered, booted, call, outcome, outcomes

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
