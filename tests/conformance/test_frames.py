"""docs/ocpp.md A5 to A17 and A21: the frames of each version, and the answers to those that break a rule."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from conformance.conftest import OPEN, MakeBackend
from conformance.rules import ALL, V2, V21, rule
from e2e.commanding import commandable, heard_call, send
from e2e.house import Gateway
from e2e.strangers import Charger, Facts, dial, until
from world import METER, SOFT, STATUS, STATUS_2, STREAM

FORMATION = {"v16": "FormationViolation", "v201": "FormatViolation", "v21": "FormatViolation"}
OCCURRENCE = {
    "v16": "OccurenceConstraintViolation",
    "v201": "OccurrenceConstraintViolation",
    "v21": "OccurrenceConstraintViolation",
}
NOTIFICATION = {"v16": STATUS, "v201": STATUS_2, "v21": STATUS_2}
METERS = {"v16": METER, "v201": {"evseId": 1, "meterValue": METER["meterValue"]}}
METERS["v21"] = METERS["v201"]
ACCEPTED = '{"status":"Accepted"}'
RESET = {"v16": SOFT, "v201": {"type": "Immediate"}, "v21": {"type": "Immediate"}}


@pytest.fixture
async def charger(house: Gateway, known: None, identity: str, version: str) -> AsyncIterator[Charger]:
    """Connected, with a record and without credentials."""
    async with dial(house.ports[OPEN], identity, version) as one:
        yield one


def call(message_id: Any, action: str, payload: Any) -> str:
    return json.dumps([2, message_id, action, payload])


async def ask(charger: Charger, message_id: Any, action: str, payload: Any) -> Any:
    """The whole answer."""
    return json.loads(await charger.ask(call(message_id, action, payload)))


async def is_silent(charger: Charger) -> None:
    """Nothing was answered: what comes next is the answer to a Heartbeat."""
    assert (await ask(charger, "probe", "Heartbeat", {}))[:2] == [3, "probe"]


@rule(
    "A5", "the action is case-sensitive and has no suffix; a CALLERROR has a short text and `{}` as details"
)
async def test_action(charger: Charger, version: str) -> None:
    for action in ("heartbeat", "HeartbeatRequest"):
        kind, message_id, code, text, details = await ask(charger, "1", action, {})
        assert (kind, message_id, code, details) == (4, "1", "NotImplemented", {})
        assert len(text) <= 255
    kind, message_id, payload = await ask(charger, "2", "Heartbeat", {})
    assert (kind, message_id, set(payload)) == (3, "2", {"currentTime"})


@rule("A6", "a CALL that is repeated with its id gets the recorded answer, and is one message")
async def test_repeat(charger: Charger, facts: Facts, version: str) -> None:
    payload = NOTIFICATION[version]
    assert [await ask(charger, "x" * 36, "StatusNotification", payload) for _ in range(2)] == [
        [3, "x" * 36, {}]
    ] * 2
    await facts.find(".StatusNotification.")
    await is_silent(charger)
    assert len(facts.about(".event.", ".StatusNotification.")) == 1


@rule("A7", "an id of more than 36 characters is refused under that id")
async def test_long_id(charger: Charger, version: str) -> None:
    answer = await ask(charger, "x" * 37, "Heartbeat", {})
    assert answer[:3] == [4, "x" * 37, FORMATION[version]]


@rule("A8", "CALLs of both sides cross; a second CALL of the charger waits for the answer to the first")
async def test_crossing(
    charger: Charger, backend: MakeBackend, client: Client, identity: str, version: str
) -> None:
    asked = await backend(DataTransfer=None)
    await commandable(client, identity)
    await charger.send(call("1", "DataTransfer", {"vendorId": "V"}), call("2", "Heartbeat", {}))
    await until(lambda: asked.withheld)
    sending = asyncio.create_task(send(client, identity, "Reset", RESET[version]))
    message_id = await heard_call(charger)
    await charger.send(f'[3,"{message_id}",{ACCEPTED}]')
    assert (await sending)[0] == "result"
    await asked.withheld[0].respond(ACCEPTED.encode())
    assert json.loads(await charger.hear()) == [3, "1", {"status": "Accepted"}]
    assert json.loads(await charger.hear())[:2] == [3, "2"]


@rule("A9", "an empty payload is `null` or `{}` in 1.6; in 2.x `null` and empty lists are refused")
async def test_empty(charger: Charger, version: str) -> None:
    answer = await ask(charger, "1", "Heartbeat", None)
    if version == "v16":
        assert answer[:2] == [3, "1"]
    else:
        assert answer[:3] == [4, "1", FORMATION[version]]
        assert (await ask(charger, "2", "Heartbeat", {"customData": None}))[2] == "TypeConstraintViolation"
        empty = METERS[version] | {"meterValue": []}
        assert (await ask(charger, "3", "MeterValues", empty))[2] == OCCURRENCE[version]


UNKNOWN = {"v16": ("5", "6", "9"), "v201": ("5", "6", "9"), "v21": ("9", "1")}


@rule("A10", "an unknown message type: 2.0.1 gets `MessageTypeNotSupported`, the others nothing")
async def test_message_type(charger: Charger, version: str) -> None:
    for kind in UNKNOWN[version]:
        await charger.send(f'[{kind},"7","Heartbeat",{{}}]')
        if version == "v201":
            assert json.loads(await charger.hear())[:3] == [4, "7", "MessageTypeNotSupported"]
    await is_silent(charger)


@rule("A11", "an unreadable id: the answer has the id `-1` and `RpcFrameworkError`", V2)
async def test_unreadable(charger: Charger, version: str) -> None:
    for text, message_id, code in (
        ("pong", "-1", "RpcFrameworkError"),
        ('[2,7,"Heartbeat",{}]', "-1", "RpcFrameworkError"),
        ('[2,"1"', "1", FORMATION[version]),  # its id can be read
    ):
        answer = json.loads(await charger.ask(text))
        assert answer[:3] == [4, message_id, code]
        assert text not in answer[3]


@rule("A12", "an invalid CALL gets one CALLERROR, and is stored as refused")
async def test_invalid(charger: Charger, facts: Facts, version: str) -> None:
    answer = await ask(charger, "1", "StatusNotification", NOTIFICATION[version] | {"connectorId": "one"})
    assert answer[:3] == [4, "1", "TypeConstraintViolation"]
    await facts.find(f".reject.{version}.")
    await is_silent(charger)
    assert len(facts.about(f".reject.{version}.")) == 1
    assert facts.about(".StatusNotification.") == []


@rule("A13", "an invalid result gets CALLRESULTERROR with its id; one of the charger's gets no answer", V21)
async def test_result_error(charger: Charger, client: Client, identity: str, version: str) -> None:
    await commandable(client, identity)
    sending = asyncio.create_task(send(client, identity, "Reset", RESET[version]))
    message_id = await heard_call(charger)
    await charger.send(f'[3,"{message_id}",{{"status":"Perhaps"}}]')
    assert json.loads(await charger.hear())[:3] == [5, message_id, "PropertyConstraintViolation"]
    assert (await sending)[0] == "bad_result"
    await charger.send('[5,"1","GenericError","",{}]')
    await is_silent(charger)


@rule("A14", "SEND is stored, never answered, and allowed while a CALL is open", V21)
async def test_send(charger: Charger, backend: MakeBackend, facts: Facts, version: str) -> None:
    asked = await backend(DataTransfer=None)
    await charger.send(call("1", "DataTransfer", {"vendorId": "V"}))
    await until(lambda: asked.withheld)
    await charger.send(json.dumps([6, "2", "NotifyPeriodicEventStream", STREAM]), '[6,"3","Nonsense",{}]')
    await asked.withheld[0].respond(ACCEPTED.encode())
    assert json.loads(await charger.hear())[:2] == [3, "1"]
    await facts.find(".NotifyPeriodicEventStream.")
    await is_silent(charger)


@rule("A16", "a signed SEND passes on unchanged, and is not answered", V21)
async def test_signed_send(charger: Charger, facts: Facts, version: str) -> None:
    await charger.send(json.dumps([6, "1", "NotifyPeriodicEventStream-Signed", JWS]))
    assert (await facts.find(".event.v21.NotifyPeriodicEventStream-Signed.")).json == JWS
    await is_silent(charger)


@rule("A15", "each code in the version's own spelling")
async def test_codes(charger: Charger, version: str) -> None:
    payload = NOTIFICATION[version]
    status = "status" if version == "v16" else "connectorStatus"
    missing = {name: value for name, value in payload.items() if name != status}
    for action, sent, code in (
        ("Nonsense", {}, "NotImplemented"),
        ("Reset", RESET[version], "NotSupported"),
        ("StatusNotification", payload | {"x": 1}, FORMATION[version]),
        ("StatusNotification", missing, OCCURRENCE[version]),
        ("StatusNotification", payload | {status: "Odd"}, "PropertyConstraintViolation"),
        ("StatusNotification", payload | {status: 1}, "TypeConstraintViolation"),
    ):
        assert (await ask(charger, "1", action, sent))[:3] == [4, "1", code]


@rule("A15", "a foreign spelling of a code is understood")
async def test_foreign_code(charger: Charger, client: Client, identity: str, version: str) -> None:
    await commandable(client, identity)
    foreign = FORMATION["v201" if version == "v16" else "v16"]
    sending = asyncio.create_task(send(client, identity, "Reset", RESET[version]))
    message_id = await heard_call(charger)
    await charger.send(json.dumps([4, message_id, foreign, "", {}]))
    outcome, reply = await sending
    assert outcome == "error"
    assert json.loads(reply.data)["code"] == foreign
    await is_silent(charger)


JWS = {"payload": "e30", "protected": "e30", "signature": "c2ln"}


@rule("A16", "a signed action is passed on unchanged", V2)
async def test_signed(charger: Charger, backend: MakeBackend, facts: Facts, version: str) -> None:
    asked = await backend(**{"StatusNotification-Signed": json.dumps(JWS)})
    assert await ask(charger, "1", "StatusNotification-Signed", JWS) == [3, "1", JWS]
    assert asked.questions[0].json == JWS
    assert (await facts.find(".StatusNotification-Signed.")).json == JWS


def sampled(unit: str) -> dict[str, Any]:
    return {"timestamp": "2026-03-01T10:00:00Z", "sampledValue": [{"value": "1", "unit": unit}]}


@rule("A17", "the corrected schemas: units and optional fields of 1.6; closed objects, `customData` in 2.x")
async def test_schemas(charger: Charger, version: str) -> None:
    if version != "v16":
        custom = {"customData": {"vendorId": "V", "anything": [1]}}
        assert (await ask(charger, "1", "Heartbeat", custom))[:2] == [3, "1"]
        assert (await ask(charger, "2", "Heartbeat", {"customData": {}}))[2] == OCCURRENCE[version]
        assert (await ask(charger, "3", "Heartbeat", {"anything": 1}))[2] == FORMATION[version]
        return
    for number, unit in enumerate(("Celcius", "Celsius", "Hertz")):
        payload = {"connectorId": 1, "meterValue": [sampled(unit)]}
        assert await ask(charger, str(number), "MeterValues", payload) == [3, str(number), {}]
    stop = {"transactionId": 1, "meterStop": 1, "timestamp": "2026-03-01T10:00:00Z"}
    assert await ask(charger, "stop", "StopTransaction", stop) == [3, "stop", {}]
    hertz = stop | {"transactionData": [sampled("Hertz")]}
    assert (await ask(charger, "hertz", "StopTransaction", hertz))[2] == "PropertyConstraintViolation"


@rule("A21", "a message of 2 kB, and one of 50 kB, is a message", ALL)
async def test_size(charger: Charger, backend: MakeBackend, version: str) -> None:
    await backend(DataTransfer=ACCEPTED)
    for size in (2000, 50_000):
        answer = await ask(charger, str(size), "DataTransfer", {"vendorId": "V", "data": "x" * size})
        assert answer == [3, str(size), {"status": "Accepted"}]
