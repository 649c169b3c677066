"""docs/ocpp.md A18 to A20, and the cases of E about boots: what happens between connect and disconnect."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from conformance.conftest import OPEN, MakeBackend
from conformance.rules import case, rule
from conformance.test_frames import NOTIFICATION, RESET, ask, call
from e2e.commanding import commandable, heard_call, send
from e2e.house import Gateway, config, gateway, own_gateway
from e2e.strangers import PING, SUBPROTOCOL, Charger, close_code, dial, knock, read_frame, request
from jetstream import NatsServer
from world import BOOT, BOOT_2, NOW

BOOTS = {"v16": BOOT, "v201": BOOT_2, "v21": BOOT_2}


def booted(status: str) -> str:
    return f'{{"status":"{status}","currentTime":"{NOW}","interval":9}}'


async def boot(charger: Charger, version: str) -> str:
    """The status in the answer."""
    return str((await ask(charger, str(uuid.uuid4()), "BootNotification", BOOTS[version]))[2]["status"])


async def notified(charger: Charger, version: str) -> list[Any]:
    """The beginning of the answer to a StatusNotification."""
    answer = await ask(charger, str(uuid.uuid4()), "StatusNotification", NOTIFICATION[version])
    return [answer[0], answer[2] if answer[0] == 4 else {}]


@rule("A18", "a connection without a boot is not gated; after Pending or Rejected, CALLs get `SecurityError`")
@pytest.mark.usefixtures("known")
async def test_gating(house: Gateway, backend: MakeBackend, identity: str, version: str) -> None:
    asked = await backend(BootNotification=booted("Pending"))
    async with dial(house.ports[OPEN], identity, version) as charger:
        assert await notified(charger, version) == [3, {}]
        for status in ("Pending", "Rejected"):
            asked.answers["BootNotification"] = booted(status)
            assert await boot(charger, version) == status
            assert await notified(charger, version) == [4, "SecurityError"]
        asked.answers["BootNotification"] = booted("Accepted")
        assert await boot(charger, version) == "Accepted"
        assert await notified(charger, version) == [3, {}]


@pytest.fixture(scope="module")
def lively(nats_server: NatsServer) -> Iterator[Gateway]:
    """Pings soon and often."""
    limits = {"ping_interval": 0.3, "ping_timeout": 0.3}
    with gateway(config(nats_server, limits=limits)) as running:
        yield running


@rule("A19", "a Heartbeat gets the time; pings are sent, and a socket that answers none is reset")
async def test_liveness(lively: Gateway, identity: str, version: str) -> None:
    async with dial(lively.port, identity, version) as charger:
        time = (await ask(charger, "1", "Heartbeat", {}))[2]["currentTime"]
        assert time.endswith("Z")
    async with knock(lively.port, request(f"/silent{version}", SUBPROTOCOL[version])) as silent:
        assert (await read_frame(silent.reader))[0] == 0x80 | PING
        assert await close_code(silent.reader) == 1006


@rule(
    "A20",
    "while NATS is away a CALL is not answered: the socket is closed with 1013, so that the charger queues",
)
async def test_outage(tmp_path: Path, identity: str, version: str) -> None:
    server = NatsServer(tmp_path)
    try:
        async with own_gateway(config(server)) as running, dial(running.port, identity, version) as charger:
            assert await notified(charger, version) == [3, {}]
            server.kill()
            await charger.send(call("2", "StatusNotification", NOTIFICATION[version]))
            assert await charger.closed() == 1013
    finally:
        server.kill()


@rule("A20", "the id of a CALL of the gateway is a UUID")
@pytest.mark.usefixtures("known")
async def test_own_ids(house: Gateway, client: Client, identity: str, version: str) -> None:
    async with dial(house.ports[OPEN], identity, version) as charger:
        await commandable(client, identity)
        sending = asyncio.create_task(send(client, identity, "Reset", RESET[version]))
        message_id = await heard_call(charger)
        assert str(uuid.UUID(message_id)) == message_id
        await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        assert (await sending)[0] == "result"


# -- docs/ocpp.md E ---------------------------------------------------------------------------------------


@case("a boot that is accepted, and what follows it", v201="TC_B_01", v16="TC_001")
@pytest.mark.usefixtures("known")
async def test_case_boot(house: Gateway, backend: MakeBackend, identity: str, version: str) -> None:
    await backend(BootNotification=booted("Accepted"))
    async with dial(house.ports[OPEN], identity, version) as charger:
        assert await boot(charger, version) == "Accepted"
        assert await notified(charger, version) == [3, {}]
        assert "currentTime" in (await ask(charger, "3", "Heartbeat", {}))[2]


@case("a pending charger is asked for a boot, and its boot is accepted", v201="TC_B_02")
@pytest.mark.usefixtures("known")
async def test_case_pending(
    house: Gateway, backend: MakeBackend, client: Client, identity: str, version: str
) -> None:
    asked = await backend(BootNotification=booted("Pending"))
    async with dial(house.ports[OPEN], identity, version) as charger:
        assert await boot(charger, version) == "Pending"
        trigger = {"requestedMessage": "BootNotification"}
        sending = asyncio.create_task(send(client, identity, "TriggerMessage", trigger))
        message_id = await heard_call(charger)
        await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        assert (await sending)[0] == "result"
        asked.answers["BootNotification"] = booted("Accepted")
        assert await boot(charger, version) == "Accepted"
        assert await notified(charger, version) == [3, {}]


@case("a CALL of a charger whose boot is not accepted gets `SecurityError`", v201="TC_B_30")
@pytest.mark.usefixtures("known")
async def test_case_gated(house: Gateway, backend: MakeBackend, identity: str, version: str) -> None:
    await backend(BootNotification=booted("Pending"))
    async with dial(house.ports[OPEN], identity, version) as charger:
        assert await boot(charger, version) == "Pending"
        assert await notified(charger, version) == [4, "SecurityError"]
