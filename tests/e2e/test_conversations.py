"""Whole conversations of a charger made of mobilityhouse's ``ocpp`` package: facts, order, exact answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

import ocpp.v16.call as call16
import ocpp.v21.call as call21
import ocpp.v201.call as call201
import pytest
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v201 import ChargePoint as ChargePoint201

from e2e.house import Gateway
from e2e.strangers import Backend, Charger, Expected, Facts, dial

NOW = "2026-03-01T10:00:00Z"


class Recorder:
    """The websocket as mobilityhouse sees it, with every text kept."""

    def __init__(self, charger: Charger) -> None:
        self._charger = charger
        self.sent: list[str] = []
        self.heard: list[str] = []

    async def send(self, text: str) -> None:
        self.sent.append(text)
        await self._charger.send(text)

    async def recv(self) -> str:
        text = await self._charger.hear()
        self.heard.append(text)
        return text


class Step(NamedTuple):
    """A CALL, its class, and its answer; ``answer`` None: by the gateway with ``{}``."""

    request: Any
    class_: str
    answer: str | None = None


ACCEPTED = '{"currentTime":"2026-03-01T10:00:00Z","interval":300,"status":"Accepted"}'
TOKEN = {"idToken": "04A2B3", "type": "ISO14443"}
TOKEN_OK = '{"idTokenInfo": {"status": "Accepted"}}'
TAG_OK = '{ "idTagInfo":{"status":"Accepted"} }'


def event(call: Any, kind: str, number: int, reason: str, **more: Any) -> Any:
    return call.TransactionEvent(
        event_type=kind,
        timestamp=NOW,
        trigger_reason=reason,
        seq_no=number,
        transaction_info={"transactionId": "tx 1/ö"},
        **more,
    )


def conversation_2(call: Any) -> list[Step]:
    sample = [
        {"timestamp": NOW, "sampledValue": [{"value": 1.5, "measurand": "Energy.Active.Import.Register"}]}
    ]
    boot = {"model": "M", "vendor_name": "Müller"}
    return [
        Step(call.BootNotification(charging_station=boot, reason="PowerUp"), "event", ACCEPTED),
        Step(
            call.StatusNotification(timestamp=NOW, connector_status="Available", evse_id=1, connector_id=1),
            "event",
        ),
        Step(call.Authorize(id_token=TOKEN), "event", TOKEN_OK),
        Step(event(call, "Started", 0, "Authorized", id_token=TOKEN, evse={"id": 1}), "tx", TOKEN_OK),
        Step(event(call, "Updated", 1, "MeterValuePeriodic", meter_value=sample), "tx"),
        Step(call.MeterValues(evse_id=1, meter_value=sample), "tx"),
        Step(event(call, "Ended", 2, "StopAuthorized", meter_value=sample), "tx", TOKEN_OK),
        Step(call.Heartbeat(), "live", "clock"),
        Step(call.DataTransfer(vendor_id="us", data={"any": [1, None]}), "event", '{"status":"Accepted"}'),
        Step(call.SecurityEventNotification(type="StartupOfTheDevice", timestamp=NOW), "event"),
    ]


SAMPLE_16 = [{"timestamp": NOW, "sampledValue": [{"value": "1500", "unit": "Wh"}]}]
CONVERSATIONS = {
    "v16": (
        ChargePoint16,
        [
            Step(call16.BootNotification("M", "Müller"), "event", ACCEPTED),
            Step(call16.StatusNotification(1, "NoError", "Available"), "event"),
            Step(call16.Authorize("04A2"), "event", TAG_OK),
            Step(
                call16.StartTransaction(1, "04A2", 0, NOW),
                "tx",
                '{"transactionId": 7, "idTagInfo": {"status": "Accepted"}}',
            ),
            Step(call16.MeterValues(1, SAMPLE_16, transaction_id=7), "tx"),
            Step(call16.StopTransaction(10, NOW, 7), "tx"),
            Step(call16.Heartbeat(), "live", "clock"),
            Step(call16.DataTransfer("us", data="ø"), "event", '{"status":"Accepted"}'),
            Step(call16.SecurityEventNotification("StartupOfTheDevice", NOW, "ready"), "event"),
        ],
    ),
    "v201": (ChargePoint201, conversation_2(call201)),
    "v21": (ChargePoint21, conversation_2(call21)),
}


@pytest.mark.parametrize("version", CONVERSATIONS)
async def test_a_whole_conversation(
    version: str,
    house: Gateway,
    identity: str,
    facts: Facts,
    backend: Callable[..., Awaitable[Backend]],
) -> None:
    """Every CALL is a fact with the charger's own bytes, every answer with content is one, all in order."""
    charge_point, steps = CONVERSATIONS[version]
    answers: dict[str, str] = {
        type(step.request).__name__: step.answer for step in steps if step.answer not in (None, "clock")
    }
    asked = await backend(**answers)
    async with dial(house.port, identity, version) as charger:
        wire = Recorder(charger)
        point = charge_point(identity, wire)
        listening = asyncio.ensure_future(point.start())
        try:
            for step in steps:
                assert await point.call(step.request) is not None
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    up = await facts.link("up")
    calls = [json.loads(text) for text in wire.sent]
    expected: list[Expected] = []
    for step, text, (_, message_id, action, _), heard in zip(
        steps, wire.sent, calls, wire.heard, strict=True
    ):
        payload = text[text.index(f'"{action}",') + len(action) + 3 : -1]
        about = Expected(step.class_, version, action, identity, up["session"], message_id, payload)
        expected.append(about)
        if step.answer == "clock":
            (_, _, body) = json.loads(heard)
            assert heard == f'[3,"{message_id}",{{"currentTime":"{body["currentTime"]}"}}]'
            continue
        assert heard == f'[3,"{message_id}",{step.answer or "{}"}]', action
        if step.answer is not None:
            by = {"ocpp-answered-by": "backend"}
            expected.append(replace(about, answer=step.answer, more=by))
    seen = [await facts.next() for _ in expected]
    for one, fact in zip(expected, seen, strict=True):
        one.check(fact)
    assert len({fact.headers["ce-id"] for fact in seen}) == len(seen)
    for stream, class_ in (("TX", "tx"), ("EVENTS", "event")):
        kept = [(fact.subject, fact.data) for fact in await facts.stored(stream)]
        assert kept == [(fact.subject, fact.data) for fact in seen if f".{class_}." in fact.subject]
    assert [question.subject.split(".")[3] for question in asked.questions] == [
        type(step.request).__name__ for step in steps if step.answer not in (None, "clock")
    ]
    for question in asked.questions:
        fact = next(f for f in seen if f.headers["ocpp-key"] == question.headers["ocpp-key"])
        assert question.data == fact.data
        assert question.headers.pop("ocpp-deadline")
        assert {**fact.headers, "ce-id": "", "ce-time": "", "Nats-Msg-Id": ""} == {
            **question.headers, "ce-id": "", "ce-time": "", "Nats-Msg-Id": "",
        }  # fmt: skip
    assert (await facts.link("down"))["reason"] == "client"
