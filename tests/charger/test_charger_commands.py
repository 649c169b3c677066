"""What a charger answers to its CSMS, and what it then does."""

import asyncio
from base64 import b64decode
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest

from scripted_csms import NOW, QUICK, VERSIONS, Csms, conversation, ready
from voltgate import Codec, _core
from voltgate.charger import Line, Observer
from voltgate.schemas import SUBPROTOCOLS, schema_files


def least(schema: dict[str, Any], top: dict[str, Any]) -> Any:
    """The smallest value that a schema takes."""
    if "$ref" in schema:
        schema = top["definitions"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: least(schema["properties"][name], top) for name in schema.get("required", [])}
        case "array":
            return [least(schema["items"], top)] * schema.get("minItems", 0)
        case "string":
            return {"date-time": NOW, "uri": "https://firmware.example/1"}.get(schema.get("format", ""), "x")
        case "boolean":
            return True
        case _:
            return 1


def requests(version: str) -> dict[str, Any]:
    """The smallest request of every command of a version."""
    found = {}
    schemas = {name: orjson.loads(raw.removeprefix(b"\xef\xbb\xbf")) for name, raw in schema_files(version)}
    for action, sender, _, _ in _core.actions(version):
        if sender != "charger":
            schema = schemas[action if version == "v16" else f"{action}Request"]
            found[action] = least(schema, schema)
    return found


def boot_reasons(csms: Csms) -> set[str]:
    return {boot.payload["reason"] for boot in csms.all("BootNotification")}


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_command_of_a_version_gets_an_answer_its_schema_takes(version: str) -> None:
    """And the observer is called for each."""
    codec = Codec(SUBPROTOCOLS[version])
    found: dict[str, Any] = {}

    class Listening(Observer):
        def commanded(self, line: Line, action: str, payload: dict[str, Any]) -> None:
            found[action] = payload

    async with conversation(version, observer=Listening()) as (charger, csms):
        await ready(charger)
        asked = requests(version)
        reset = asked.pop("Reset")
        for action, payload in [*asked.items(), ("Reset", reset)]:
            answer = await csms.command(action, payload)
            assert answer[0] == 3, (action, payload, answer)
            violation = codec.check(action, "response", orjson.dumps(answer[2]))
            assert violation is None, (action, answer[2], violation.reason)
        assert found == asked | {"Reset": reset}
        await csms.until(lambda: len(csms.sockets) == 2)
        await csms.until(lambda: version == "v16" or "RemoteReset" in boot_reasons(csms))
    assert charger.tally.callerror == 0


REFUSALS = [
    ("v16", "FlyToTheMoon", {}, "NotImplemented", "no such action"),
    ("v201", "StatusNotification", {}, "NotSupported", "only a charger sends that"),
    ("v16", "Reset", {"type": 1}, "TypeConstraintViolation", "the schema requires a string"),
    ("v16", "Reset", {}, "OccurenceConstraintViolation", "1.6 spells it with one r"),
    ("v21", "Reset", {}, "OccurrenceConstraintViolation", "2.x with two"),
]


@pytest.mark.parametrize(("version", "action", "payload", "code", "why"), REFUSALS)
async def test_a_bad_command_gets_a_callerror(
    version: str, action: str, payload: dict[str, Any], code: str, why: str
) -> None:
    async with conversation(version) as (charger, csms):
        await ready(charger)
        answer = await csms.command(action, payload)
        assert (answer[0], answer[2]) == (4, code), why


TRIGGERS = [
    ("v16", "Heartbeat", "Accepted", "Heartbeat"),
    ("v16", "MeterValues", "Accepted", "MeterValues"),
    ("v16", "StatusNotification", "Accepted", "StatusNotification"),
    ("v16", "DiagnosticsStatusNotification", "Accepted", "DiagnosticsStatusNotification"),
    ("v16", "FirmwareStatusNotification", "Accepted", "FirmwareStatusNotification"),
    ("v16", "BootNotification", "Accepted", "BootNotification"),
    ("v201", "LogStatusNotification", "Accepted", "LogStatusNotification"),
    ("v201", "MeterValues", "Accepted", "MeterValues"),
    ("v201", "TransactionEvent", "Rejected", None),
    ("v21", "StatusNotification", "Accepted", "StatusNotification"),
    ("v201", "SignChargingStationCertificate", "Accepted", "SignCertificate"),
    ("v21", "SignV2GCertificate", "NotImplemented", None),
]


@pytest.mark.parametrize(("version", "wanted", "status", "sent"), TRIGGERS)
async def test_a_trigger_that_is_accepted_is_obeyed(
    version: str, wanted: str, status: str, sent: str | None
) -> None:
    async with conversation(version) as (charger, csms):
        await csms.wait_for("StatusNotification")
        before = Counter(call.action for call in csms.received)
        answer = await csms.command("TriggerMessage", {"requestedMessage": wanted})
        assert answer[2] == {"status": status}
        if sent:
            await csms.wait_for(sent, before[sent] + 1)
        assert charger.tally.callerror == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_remote_start_and_a_remote_stop(version: str) -> None:
    new = version != "v16"
    async with conversation(version) as (charger, csms):
        await ready(charger)
        token = (
            {"idToken": {"idToken": "AB", "type": "Local"}, "remoteStartId": 5} if new else {"idTag": "AB"}
        )
        start, stop = (
            ("RequestStartTransaction", "RequestStopTransaction")
            if new
            else ("RemoteStartTransaction", "RemoteStopTransaction")
        )
        assert (await csms.command(start, token))[2] == {"status": "Accepted"}
        assert (await csms.command(start, token))[2] == {"status": "Rejected"}, "the connector is taken"
        await csms.until(lambda: len(csms.all("TransactionEvent", "StartTransaction", "MeterValues")) >= 3)
        (tx,) = charger.connectors.transactions
        if new:
            status = await csms.command("GetTransactionStatus", {"transactionId": tx.id})
            assert status[2]["ongoingIndicator"] is True
            assert (await csms.command("TriggerMessage", {"requestedMessage": "TransactionEvent"}))[2][
                "status"
            ] == "Accepted"
        assert (await csms.command(stop, {"transactionId": tx.id}))[2] == {"status": "Accepted"}
        await csms.until(
            lambda: any(
                c.action == "StopTransaction" or c.payload.get("eventType") == "Ended" for c in csms.received
            )
        )
        if new:
            events = csms.all("TransactionEvent")
            assert events[0].payload["triggerReason"] == "RemoteStart"
            assert events[0].payload["transactionInfo"]["remoteStartId"] == 5
            assert "Trigger" in {event.payload["triggerReason"] for event in events}
            assert events[-1].payload["triggerReason"] == "RemoteStop"
        else:
            assert csms.all("StopTransaction")[0].payload["reason"] == "Remote"
        assert not csms.all("Authorize")


async def test_configuration_of_1_6_is_told_and_obeyed() -> None:
    async with conversation("v16") as (charger, csms):
        await ready(charger)
        for key, value, status in [
            ("HeartbeatInterval", "20", "Accepted"),
            ("HeartbeatInterval", "often", "Rejected"),
            ("NumberOfConnectors", "9", "Rejected"),
            ("NoSuchKey", "1", "NotSupported"),
        ]:
            assert (await csms.command("ChangeConfiguration", {"key": key, "value": value}))[2] == {
                "status": status
            }
        await csms.wait_for("Heartbeat", 2)
        found = (await csms.command("GetConfiguration", {"key": ["HeartbeatInterval", "AuthorizationKey"]}))[
            2
        ]
        assert found == {
            "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "20"}],
            "unknownKey": ["AuthorizationKey"],
        }


async def test_variables_of_2_x_are_told_and_set_one_by_one() -> None:
    def data(component: str, name: str, value: str | None = None) -> dict[str, Any]:
        about = {"component": {"name": component}, "variable": {"name": name}}
        return about if value is None else {"attributeValue": value, **about}

    async with conversation("v201") as (charger, csms):
        await ready(charger)
        wanted = [
            data("OCPPCommCtrlr", "HeartbeatInterval", "20"),
            data("ChargingStation", "Model", "x"),
            data("No", "No", "1"),
        ]
        results = (await csms.command("SetVariables", {"setVariableData": wanted}))[2]["setVariableResult"]
        assert [result["attributeStatus"] for result in results] == [
            "Accepted",
            "Rejected",
            "UnknownVariable",
        ]
        await csms.wait_for("Heartbeat")
        wanted = [
            data("OCPPCommCtrlr", "HeartbeatInterval"),
            data("SecurityCtrlr", "BasicAuthPassword"),
            data("No", "No"),
        ]
        results = (await csms.command("GetVariables", {"getVariableData": wanted}))[2]["getVariableResult"]
        assert [result["attributeStatus"] for result in results] == [
            "Accepted",
            "Rejected",
            "UnknownVariable",
        ]
        assert results[0]["attributeValue"] == "20"
        await csms.command("GetBaseReport", {"requestId": 4, "reportBase": "FullInventory"})
        assert (await csms.wait_for("NotifyReport")).payload["requestId"] == 4


PASSWORDS = [
    ("v16", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "00FF" * 8}, b"\x00\xff" * 8),
    (
        "v201",
        "SetVariables",
        {
            "setVariableData": [
                {
                    "attributeValue": "0123456789abcdef",
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": "BasicAuthPassword"},
                }
            ]
        },
        b"0123456789abcdef",
    ),
]


@pytest.mark.parametrize(("version", "action", "payload", "password"), PASSWORDS)
async def test_a_new_password_is_used_at_the_next_handshake(
    version: str, action: str, payload: dict[str, Any], password: bytes
) -> None:
    """docs/ocpp.md A23: hex of raw bytes in 1.6, text in 2.x."""
    async with conversation(version, password=b"old") as (charger, csms):
        await ready(charger)
        await csms.command(action, payload)
        await csms.until(lambda: len(csms.handshakes) == 2)
        basic = csms.handshakes[-1][1].headers["Authorization"].removeprefix("Basic ")
        assert b64decode(basic) == b"CP 1:" + password


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_connector_goes_out_of_service_and_comes_back(version: str) -> None:
    async with conversation(version) as (charger, csms):
        await csms.wait_for("StatusNotification")
        for number, (kind, state) in enumerate(
            [("Inoperative", "Unavailable"), ("Operative", "Available")], 2
        ):
            payload = {"connectorId": 1, "type": kind} if version == "v16" else {"operationalStatus": kind}
            assert (await csms.command("ChangeAvailability", payload))[2] == {"status": "Accepted"}
            found = await csms.wait_for("StatusNotification", number)
            assert found.payload.get("status", found.payload.get("connectorStatus")) == state
            assert (await charger.connectors.charge(1, readings=0) is None) == (state == "Unavailable")


@pytest.mark.parametrize("place", [0, 1])
async def test_a_power_limit_holds_for_its_place_only(place: int) -> None:
    """0 is the whole charger: its transactions share it."""
    async with conversation("v16", behaviour=replace(QUICK, connectors=2)) as (charger, csms):
        await ready(charger)
        period = {"startPeriod": 0, "limit": 4_000}
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile" if place else "ChargePointMaxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [period]},
        }
        request = {"connectorId": place, "csChargingProfiles": profile}
        assert (await csms.command("SetChargingProfile", request))[2] == {"status": "Accepted"}
        powers: dict[int, set[int]] = {1: set(), 2: set()}
        running = [asyncio.create_task(charger.connectors.charge(number, readings=40)) for number in powers]
        while not all(task.done() for task in running):
            for tx in charger.connectors.transactions:
                if tx.meter:  # of a reading
                    powers[tx.connector].add(tx.power)
            await asyncio.sleep(0)
    assert max(powers[1]) <= 4_000
    assert (max(powers[2]) > 15_000) == bool(place)
