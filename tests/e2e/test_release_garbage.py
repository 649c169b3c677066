"""Another release gone mad: whatever it writes where gateways read each other harms nobody.

No charger is closed, no fault of ours is logged, and what is said clearly afterwards is still heard.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from websockets.protocol import State

from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.releases import OTHER, Release
from e2e.strangers import START, Backend, Charger, Facts, connected, dial, settle, started, token, until
from e2e.test_commands import commandable, send
from e2e.test_releases import SOFT, answering
from jetstream import NatsServer

STATUS = '[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
BODIES: list[bytes] = [
    b"", b"null", b"7", b'"up"', b"[]", b"{", b"\xff\xfe", b"{}", b"[" * 5000, b'{"state":{}}',
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {}, {"Status": "404"}, {"Nats-Sequence": "x"}, {"KV-Operation": "?"}, {"ce-type": "ocpp.link.up.up"},
]  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    server = NatsServer(tmp_path_factory.mktemp("garbage"))
    with gateway(config(server)) as running:
        yield running
    server.kill()


@pytest.fixture
async def wire(here: Gateway) -> AsyncIterator[Client]:
    client = await connected(here.config.nats.urls[0])
    yield client
    await client.close()


@asynccontextmanager
async def unharmed(here: Gateway, identity: str, wire: Client) -> AsyncIterator[Charger]:
    """A charger that is served afterwards too, unless it was closed, by a gateway without a complaint."""
    with structlog.testing.capture_logs() as lines:
        async with dial(here.port, identity) as held:
            await commandable(wire, identity)
            yield held
            if held.socket.state is State.OPEN:
                assert await held.ask(STATUS) == '[3,"s",{}]'
    assert [line for line in lines if line["log_level"] in ("error", "critical")] == []
    assert here.faults == []


def links(session: str) -> list[bytes]:
    """About a charger of ours, of a higher epoch than its own."""
    made: list[dict[str, Any]] = [
        {"state": "up", "session": 1, "gateway": OTHER},
        {"state": "up", "session": None, "gateway": OTHER},
        {"state": "up", "session": "s", "gateway": [OTHER]},
        {"state": "up", "session": "s"},
        {"state": "down", "session": session, "gateway": {}},
        {"state": "asleep", "session": session, "gateway": OTHER},
        {"state": None, "session": session, "gateway": OTHER},
    ]
    return [*BODIES, *(json.dumps(body).encode() for body in made)]


async def test_links_that_say_nothing_clear(here: Gateway, wire: Client) -> None:
    """Nor under names that no charger can have; the clear one after them is believed."""
    facts = Facts(wire, "CP 2")
    async with unharmed(here, "CP 2", wire) as held:
        session = (await facts.kept_link(state="up")).json["session"]
        follow = here.worker._peers._feed
        for subject in (f"ocpp.link.{facts.token}", "ocpp.link.=ZZ", "ocpp.link.*"):
            for number, body in enumerate(links(session)):
                headers = HEADERS[number % len(HEADERS)]
                seq = (await wire.jetstream().publish(subject, body, headers=headers or None)).seq
                await until(lambda seq=seq: (follow._at or 0) >= seq, "it is followed")
        await Release().store(wire, "link_up", "CP clear")
        await until(lambda: here.worker._peers.find(token("CP clear")))
        assert here.worker._peers.keeps_up
        assert here.worker._peers.find(facts.token) is None
        assert (await held.ask(STATUS)).startswith("[3")
        moved = asyncio.create_task(held.closed())
        await Release().store(wire, "link_up_replacing")
        assert await moved == 1008


async def test_gateways_with_names_that_are_none(
    here: Gateway, wire: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their links are set down as those of any dead one; nobody else's sign of life goes with them."""
    names = ["*", ">", "a b", "", "a.b", "..", "=", "x" * 300]
    whose = {f"CP of {number}": name for number, name in enumerate(names)}
    async with unharmed(here, "CP 10", wire):
        for key in ("a.b", "a.*", "=", "x" * 300):
            await wire.publish(f"$KV.ocpp_gateways.{key}", b"\xff")
        for identity, name in whose.items():
            await Release().store(wire, "link_up", identity, gateway=name)
        monkeypatch.setattr("voltgate.gateway.cluster.liveness.DEAD_AFTER", 0.5)
        for identity in whose:
            await Facts(wire, identity).kept_link(state="down", reason="gateway_lost")
        seen = here.worker._liveness._seen
        await until(lambda: not (set(names) & seen.keys()), "and forgotten")
        await settle(wire)
        mine = f"$KV.ocpp_gateways.{here.worker.name}"
        assert await wire.jetstream().get_msg("KV_ocpp_gateways", subject=mine)


FACTS: list[dict[str, str]] = [
    {},
    {"ce-type": "Reset"},
    {"ce-type": "ocpp.v16.Reset.more", "ocpp-message-id": ""},
    {"ce-type": "ocpp.*.Reset", "ocpp-key": ""},
    {"ce-type": "ocpp.v16.Reset", "ocpp-key": "k"},
]


@pytest.mark.parametrize("number", range(len(FACTS)))
async def test_a_command_whose_record_nobody_can_read_is_lost(
    here: Gateway, wire: Client, number: int
) -> None:
    """Something was stored under its id: it is not sent again, and its backend is told so."""
    identity, headers = f"CP 3{number}", FACTS[number]
    where, job = f"CP=203{number}", {"Nats-Msg-Id": f"CP=203{number}/job"}
    async with unharmed(here, identity, wire):
        publish = wire.jetstream().publish
        body = json.dumps(SOFT).encode()
        await publish(f"ocpp.command.v16.Reset.{where}", body, headers=headers | job)
        for outcome in ("", "of a later release"):
            said = {"ocpp-key": "k", "ocpp-outcome": outcome}
            await publish(f"ocpp.command.v16.ResetResponse.{where}", b"\xff", headers=said)
        assert (await send(wire, identity, "Reset", SOFT, ocpp_command_id="job"))[0] == "lost"


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"transactionId":', b"null"])
async def test_an_answer_that_is_no_payload_reaches_no_charger(
    here: Gateway, wire: Client, body: bytes
) -> None:
    """It gets what its own gateway's backend says, also where that can no longer be stored."""
    identity = f"CP {body.hex() or 'none'}"
    asked: list[Msg] = []

    async def withhold(message: Msg) -> None:
        asked.append(message)

    await Backend(wire, identity, {"StartTransaction": withhold}).listen()
    async with unharmed(here, identity, wire) as held:
        await held.send(f'[2,"1","StartTransaction",{START}]')
        await until(lambda: asked)
        fact = (await Facts(wire, identity).stored("TX"))[0]
        ids = {"ocpp-key": fact.headers["ocpp-key"], "Nats-Msg-Id": fact.headers["Nats-Msg-Id"] + "/response"}
        subject = f"ocpp.tx.v16.StartTransactionResponse.{token(identity)}"
        await wire.jetstream().publish(subject, body, headers=ids)
        await asked[0].respond(started(1).encode())
        assert await held.hear() == f'[3,"1",{started(1)}]'
        await held.send(f'[2,"2","StartTransaction",{START}]')
        await until(lambda: len(asked) == 2, "a resend finds no answer, and asks")
        await asked[1].respond(started(1).encode())
        assert await held.hear() == f'[3,"2",{started(1)}]'


async def test_records_and_requests_that_say_nothing_clear(here: Gateway, wire: Client) -> None:
    """A record that says nothing clear is none; a verb nobody knows gets no reply."""
    async with unharmed(here, "CP 5", wire) as held:
        for subject in ("$KV.ocpp_chargers.CP=205", "$KV.ocpp_chargers.=ZZ", "$KV.ocpp_chargers.a.b"):
            for headers in HEADERS:
                for body in [*BODIES, b'{"enabled":1,"password_change":[],"quirks":{}}']:
                    await wire.publish(subject, body, headers=headers or None)
        for verb in ("dance", "PROBE", "="):
            for body in BODIES:
                await wire.publish(f"ocpprpc.link.{verb}.CP=205", body, reply=wire.new_inbox())
        await settle(wire)
        assert here.worker._registry._follow.keeps_up
        assert await held.ask(STATUS) == '[3,"s",{}]'
        clear = Release()("record").data
        await wire.publish("$KV.ocpp_chargers.CP=205", clear.replace(b'"enabled":true', b'"enabled":false'))
        assert await held.closed() == 1008, "the clear one after them takes effect"


@pytest.mark.parametrize("number", range(len(BODIES)))
async def test_a_reply_to_a_probe_that_says_nothing_clear(here: Gateway, wire: Client, number: int) -> None:
    """It does not say that the charger lives: the newcomer wins."""
    identity = f"CP 6{number}"
    other = Release()
    await other.store(wire, "sign_of_life")
    await other.store(wire, "link_up", identity)
    await until(lambda: here.worker._peers.find(token(identity)))
    reply = other("probe_reply")._replace(data=BODIES[number], headers=HEADERS[number % len(HEADERS)])
    async with answering(wire, f"ocpprpc.link.*.{token(identity)}", reply) as heard:
        async with asyncio.timeout(PATIENCE), dial(here.port, identity) as new:
            assert await new.ask(STATUS) == '[3,"s",{}]'
        assert heard
