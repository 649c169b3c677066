"""What gateways publish against the AsyncAPI document: each test does it (tap); here, that it can fail.

A gateway in a process of its own is looked at from outside: what one charger causes on NATS, its questions at
their responder, the reply at the sender of the command. Of ``ops`` the document has the history of links; the
rest is the CSMS's own.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from e2e.commanding import commandable, commanded, heard_call, send
from e2e.crews import Crew
from e2e.house import Gateway, config, own_gateway
from e2e.strangers import Backend, Facts, dial, until
from e2e.tap import Checker, Message, messages, tap
from jetstream import NatsServer
from voltgate._core import token
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
REPUBLISHED = ("Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Last-Sequence", "Nats-Time-Stamp")
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


async def test_a_gateway_process_publishes_what_is_in_the_document(
    house: Gateway, nats_server: NatsServer, client: Client, identity: str, backend: Any, tmp_path: Path
) -> None:
    del house  # it has made the streams
    crew = Crew(tmp_path, nats_server)
    checker, faults = Checker(load(crew.file)), list[str]()

    def judge(subject: str, headers: dict[str, str], body: bytes) -> None:
        if fault := checker.fault(Message(subject, headers, body)):
            faults.append(f"{subject}: {fault}")

    async def hear(message: Msg) -> None:
        headers = message.headers or {}
        republished = "Nats-Sequence" in headers  # by the stream, which adds headers of its own
        judge(
            message.subject,
            {name: value for name, value in headers.items() if not (republished and name in REPUBLISHED)},
            message.data,
        )

    for subject in ("ocpp.*.*.*.{}", "ocpp.*.*.{}", "ocpp.*.{}", "ops.link.{}"):
        await client.subscribe(subject.format(token(identity)), cb=hear)
    answers: Backend = await backend(Authorize='{"idTagInfo":{"status":"Accepted"}}')
    try:
        crew.ready()
        async with dial(crew.port, identity) as charger:
            await commandable(client, identity)
            await charger.ask('[2,"1","Authorize",{"idTag":"A"}]')
            await charger.ask('[2,"2","Heartbeat",{}]')
            await charger.ask('[2,"3","Nonsense",{}]')
            sent = asyncio.create_task(send(client, identity, "Reset", {"type": "Soft"}))
            await charger.send(json.dumps([3, await heard_call(charger), {"status": "Accepted"}]))
            _, reply = await sent
        for question in answers.questions:
            judge(question.subject, question.headers, question.data)
        judge(reply.subject, dict(reply.headers or {}), reply.data)
        wanted = {"event", "live", "reject", "ask", "command", "sendReply", "link", "linkHistory"}
        await until(lambda: set(checker.channels) >= wanted)
        await until(lambda: checker.channels["linkHistory"] >= 2)  # its down
    finally:
        crew.end()
    assert faults == []


def _seen(running: Gateway) -> set[str]:
    tap().settle()
    return set(running.published.channels)


async def _command(client: Client, identity: str, charger: Any) -> None:
    sent = asyncio.create_task(send(client, identity, "Reset", {"type": "Soft"}))
    await charger.send(json.dumps([3, await heard_call(charger), {"status": "Accepted"}]))
    assert (await sent)[0] == "result"
