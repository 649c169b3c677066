"""What gateways publish against the AsyncAPI document: each test does it (tap); here, that it can fail."""

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client

from e2e.commanding import commanded, heard_call, send
from e2e.house import Gateway, config, own_gateway
from e2e.strangers import Backend, Facts, until
from e2e.tap import Checker, Message, messages, tap
from jetstream import NatsServer
from voltgate.config import load

CE = {
    "ce-specversion": "1.0",
    "ce-id": "s/1",
    "ce-source": "/chargers/CP",
    "ce-type": "ocpp.v16.Heartbeat",
    "ce-subject": "CP",
    "ce-time": "2026-01-01T00:00:00.000Z",
    "ce-datacontenttype": "application/json",
    "ocpp-message-id": "1",
    "ocpp-session": "s",
    "ocpp-key": "CP/s/1",
}
LIVE = "ocpp.live.v16.Heartbeat.CP"
REPLY = {"ocpp-outcome": "busy", "ocpp-message-id": "1", "ocpp-version": "v16", "ocpp-session": "s"}
FAULTS: list[tuple[str, dict[str, str], bytes, str]] = [
    (LIVE, {}, b"{}", ""),
    (LIVE, {"ocpp-violation": "TypeConstraintViolation /a"}, b'{"a":1}', ""),
    (LIVE, {}, b'{"a":1}', "v16.Heartbeat: /a"),
    (LIVE, {"more": "x"}, b"{}", "has more"),
    (LIVE, {"ce-time": "yesterday"}, b"{}", "ce-time: yesterday"),
    (LIVE, {"ce-type": "ocpp.v16.Authorize"}, b"{}", "ce-type ocpp.v16.Authorize"),
    ("ocpp.tx.v16.Heartbeat.CP", {}, b"{}", "no message v16.Heartbeat in tx"),
    ("ocpp.live.v16.Heartbeat", {}, b"{}", "no reply of the document"),
    ("ocpp.link.CP", {"ce-type": "ocpp.link.up"}, b"{}", "link: "),
]


@pytest.mark.parametrize(("subject", "changed", "body", "fault"), FAULTS)
def test_what_is_not_in_the_document_is_a_fault(
    subject: str, changed: dict[str, str], body: bytes, fault: str
) -> None:
    found = Checker(load()).fault(Message(subject, CE | changed, body))
    assert found == fault if not fault else fault in found


def test_a_failure_needs_its_code() -> None:
    checker = Checker(load())
    assert "lacks ['Nats-Service-Error-Code'" in checker.fault(Message("_INBOX.1", REPLY, b""))
    failed = REPLY | {"Nats-Service-Error-Code": "429", "Nats-Service-Error": "x"}
    assert checker.fault(Message("_INBOX.1", failed, b"")) == ""


def test_publishes_are_found_among_other_lines() -> None:
    block = b"NATS/1.0\r\na: b: c\r\n\r\n"
    lines = b"SUB a 1\r\n" + b"HPUB x.y r.1 %d %d\r\n%s{\r\n}\r\nUNSUB 1\r\n" % (
        len(block),
        len(block) + 4,
        block,
    )
    assert list(messages(lines)) == [Message("x.y", {"a": "b: c"}, b"{\r\n}")]


async def test_a_conversation_uses_the_channels(
    nats_server: NatsServer, client: Client, identity: str, facts: Facts, backend: Any
) -> None:
    answers: Backend = await backend(Authorize='{"idTagInfo":{"status":"Accepted"}}')
    async with own_gateway(config(nats_server)) as running:
        async with commanded(running, client, identity) as charger:
            await charger.ask('[2,"1","Authorize",{"idTag":"A"}]')
            await charger.ask('[2,"2","Heartbeat",{}]')
            await charger.ask('[2,"3","Heartbeat",{"a":1}]')
            await _command(client, identity, charger)
        await facts.link("down")
        assert answers.questions
        await until(
            lambda: _seen(running) >= {"event", "live", "reject", "ask", "command", "sendReply", "link"}
        )


def _seen(running: Gateway) -> set[str]:
    tap().settle()
    return set(running.published.channels)


async def _command(client: Client, identity: str, charger: Any) -> None:
    sent = asyncio.create_task(send(client, identity, "Reset", {"type": "Soft"}))
    await charger.send(json.dumps([3, await heard_call(charger), {"status": "Accepted"}]))
    assert (await sent)[0] == "result"
