"""What this release writes for other gateways has all that release 0.1.0 wrote, in the same form.

A message that says more from now on changes nothing here; where this test fails, gateways of two releases no
longer behave as one (docs/compatibility.md).
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from e2e.house import PATIENCE, Gateway, config, own_gateway
from e2e.releases import MESSAGES, OTHER, Release, departures, is_ours
from e2e.strangers import START, Backend, Charger, Fact, connected, dial, settle, started, token, until
from e2e.test_commands import commandable, heard_call, send
from e2e.test_credentials import KEY, charger, fast
from jetstream import NatsServer
from voltgate.gateway.registry.record import Record

EVENT = (
    '{"eventType":"Started","timestamp":"2026-03-01T10:00:00Z","triggerReason":"Authorized","seqNo":0,'
    '"transactionInfo":{"transactionId":"t/1"},"idToken":{"idToken":"04A2","type":"ISO14443"}}'
)
ACCEPTED = '{"idTokenInfo":{"status":"Accepted"}}'
NEW_KEY = {"key": "AuthorizationKey", "value": "fedcba9876543210fedcba9876543210"}


class Ear:
    """Everything that is stored, and the replies that came to us."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.heard: list[Fact] = []

    async def listen(self) -> None:
        for subject in ("ocpp.>", "$KV.>"):
            await self.client.subscribe(subject, cb=self._hear)
        await settle(self.client)

    async def _hear(self, message: Msg) -> None:
        self.heard.append(Fact(message.subject, dict(message.headers or {}), message.data))

    async def find(self, part: str, text: str = "", **headers: str) -> Fact:
        """The first whose subject holds ``part``, whose body holds ``text``, with these headers."""
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}

        def found() -> list[Fact]:
            return [
                fact
                for fact in self.heard
                if part in fact.subject
                and text in fact.data.decode()
                and wanted.items() <= fact.headers.items()
            ]

        await until(found, f"{part} {text} {headers}")
        return found()[0]

    async def ask(self, verb: str, identity: str) -> Fact:
        """What the gateway replies to ``probe`` or ``kick``."""
        reply = await self.client.request(f"ocpprpc.link.{verb}.{token(identity)}", b"", timeout=PATIENCE)
        return Fact(f"_INBOX.{verb}", dict(reply.headers or {}), reply.data)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "store")
    yield server
    server.kill()


async def transactions(ears: Ear, door: Gateway, said: dict[str, Fact]) -> None:
    async def refuse(message: Msg) -> None:
        await ears.client.publish(message.reply, b"not now", headers={"ocpp-error": "InternalError"})

    backend = Backend(ears.client, "CP 1", {"StartTransaction": started(7)})
    await backend.listen()
    await Backend(ears.client, "CP 3", {"TransactionEvent": ACCEPTED}).listen()
    async with dial(door.port, "CP 1") as one, dial(door.port, "CP 3", "v201") as three:
        await one.ask(f'[2,"1","StartTransaction",{START}]')
        backend.answers["StartTransaction"] = refuse
        await one.ask(f'[2,"2","StartTransaction",{START.replace("A1", "B2")}]')
        await three.ask(f'[2,"3","TransactionEvent",{EVENT}]')
        said["probe_reply"] = await answering(one, ears.ask("probe", "CP 1"))
    said["link_up"] = await ears.find("link.CP=201", '"up"')
    said["link_down"] = await ears.find("link.CP=201", '"down"')
    response = "tx.v16.StartTransactionResponse"
    said["transaction"] = await ears.find("tx.v16.StartTransaction.", "A1")
    said["transaction_response"] = await ears.find(response, started(7))
    said["transaction_refused"] = await ears.find(response, ocpp_error_code="InternalError")
    said["event"] = await ears.find("tx.v201.TransactionEvent.")
    said["event_response"] = await ears.find("tx.v201.TransactionEventResponse.")


async def answering(charger: Charger, asked: Any) -> Any:
    """The reply, while the charger reads: it is a websocket client's reading that answers pings."""
    reading = asyncio.create_task(charger.closed())
    reply = await asked
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return reply


async def commands(ears: Ear, door: Gateway, said: dict[str, Fact]) -> None:
    client = ears.client

    async def ordered(charger: Charger, action: str, answer: str, payload: Any = None, **headers: str) -> str:
        asking = asyncio.create_task(send(client, "CP 2", action, payload, **headers))
        message_id = await heard_call(charger)
        if answer:
            await charger.send(f'[3,"{message_id}",{answer}]')
        await asking
        return message_id

    record = json.dumps({"enabled": True, "password_hashes": [fast(KEY)]}).encode()
    await client.jetstream().publish("$KV.ocpp_chargers.CP=202", record)
    async with charger(door.ports[1], "CP 2"), charger(door.ports[1], "CP 2") as two:
        await commandable(client, "CP 2")
        await ordered(two, "Reset", '{"status":"Accepted"}', {"type": "Soft"}, ocpp_command_id="job 7")
        late = await ordered(two, "ClearCache", "", ocpp_timeout="0.3", ocpp_command_id="job 8")
        await two.send(f'[3,"{late}",{{"status":"Accepted"}}]')
        said["command_late"] = await ears.find("command.v16.ClearCacheResponse", ocpp_late="true")
        new = NEW_KEY | {"value": NEW_KEY["value"][::-1]}
        # A result that says nothing clear: which password is in force is not known.
        await ordered(two, "ChangeConfiguration", '{"status":"?"}', new, ocpp_command_id="job 9")
        await send(client, "CP 2", "ChangeConfiguration", NEW_KEY, ocpp_command_id="job 10")
        said["kick_reply"] = await answering(two, ears.ask("kick", "CP 2"))
    said["link_up_replacing"] = await ears.find("link.CP=202", '"replaces":"')
    said["command"] = await ears.find("command.v16.Reset.")
    said["command_response"] = await ears.find("command.v16.ResetResponse.")
    said["command_timeout"] = await ears.find("command.v16.ClearCacheResponse", ocpp_outcome="timeout")
    said["command_masked"] = await ears.find("command.v16.ChangeConfiguration.", ocpp_command_id="job 9")
    said["command_slow"] = await ears.find("command.v16.ClearCache.")
    said["command_unsent"] = await ears.find("command.v16.ChangeConfiguration.", ocpp_command_id="job 10")
    response = "command.v16.ChangeConfigurationResponse."
    said["command_unsent_response"] = await ears.find(response, ocpp_outcome="unavailable")
    said["record_changing"] = await ears.find("ocpp_chargers.CP=202", '"sent"')


async def elsewhere(ears: Ear, door: Gateway, said: dict[str, Fact]) -> None:
    """Without authentication the gateway that holds the charger is asked to probe it."""
    questions: list[Fact] = []

    async def asked(message: Msg) -> None:
        questions.append(Fact(message.subject, dict(message.headers or {}), message.data))
        await message.respond(b'{"alive":false}')

    await ears.client.subscribe("ocpprpc.link.*.CP=205", queue="voltgate", cb=asked)
    other = Release()
    await other.store(ears.client, "sign_of_life")
    await other.store(ears.client, "link_up", identity="CP 5")
    await until(lambda: door.worker._peers.find("CP=205"))
    async with dial(door.port, "CP 5"):
        said["probe"] = questions[0]


async def test_this_release_writes_all_that_release_0_1_0_wrote(server: NatsServer) -> None:
    """A field or header that is dropped, renamed or of another form is named here."""
    said: dict[str, Fact] = {}
    async with own_gateway(config(server, {}, {"allow_unauthenticated": False})) as door:
        client = await connected(server.url)
        ears = Ear(client)
        await ears.listen()
        for part in (transactions, commands, elsewhere):
            await part(ears, door, said)
        mine = f"ocpp_gateways.{door.worker.name}"
        kept = await client.jetstream().get_msg("KV_ocpp_gateways", subject=f"$KV.{mine}")
        said["sign_of_life"] = Fact(str(kept.subject), dict(kept.headers or {}), kept.data or b"")
        await asyncio.to_thread(door.stop)
        said["good_bye"] = await ears.find(mine, KV_Operation="PURGE")
        await client.close()
    record = {"password_hashes": (fast(KEY),), "security_profile": 1, "certificate_cn": "CP 4"}
    record |= {"versions": ("v16",), "validation": "lenient", "quirks": frozenset({"half_duplex"})}
    said["record"] = Fact("$KV.ocpp_chargers.CP=204", {}, Record(enabled=True, **record).body)
    assert said.keys() == MESSAGES.keys()
    faults = [departures(name, fact, door.worker.name) for name, fact in said.items()]
    assert [line for lines in faults for line in lines] == []


@pytest.mark.parametrize("name", MESSAGES)
def test_the_comparison_sees_every_loss(name: str) -> None:
    """Each header and field of each golden message, left out or renamed, would be missed; more would not."""
    golden = Release()(name)
    assert departures(name, golden, OTHER) == []
    assert departures(name, Release("later")(name), OTHER) == []
    for header in golden.headers:
        less = {key: value for key, value in golden.headers.items() if key != header}
        assert departures(name, golden._replace(headers=less), OTHER), header
    for field in json.loads(golden.data) if golden.data and is_ours(golden.subject) else ():
        body = golden.data.replace(f'"{field}":'.encode(), f'"{field}_":'.encode())
        assert departures(name, golden._replace(data=body), OTHER), field
        body = json.dumps(golden.json | {field: {"another": "type"}}).encode()
        assert departures(name, golden._replace(data=body), OTHER), field
