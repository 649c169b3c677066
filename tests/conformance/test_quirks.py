"""What each quirk of a record changes: a row is what a charger sees without it, and with it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from nats.aio.client import Client
from websockets.exceptions import ConnectionClosed

from conformance.conftest import MakeBackend, Register
from e2e.commanding import commandable, send
from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.strangers import (
    PING,
    TEXT,
    Backend,
    close_code,
    dial,
    frame,
    knock,
    read_frame,
    request,
    until,
)
from jetstream import NatsServer
from world import SOFT, STATUS

SEEN: dict[str, tuple[str, str]] = {
    "half_duplex": ("a command while its CALL is open", "a command after its answer"),
    "abort_close": ("a Close frame", "a reset"),
    "no_ping": ("a ping", "no ping"),
    "no_compression": ("compression is agreed", "no compression"),
    "subprotocol_alias": ("ocpp1.6j: 400", "ocpp1.6j: 101"),
    "latin1": ("a text in Latin-1: Close 1007", "a text in Latin-1: answered"),
}


PROBE = 5.0  # seconds; one whose charger was disconnected is tried again


@pytest.fixture(scope="module")
def lively(nats_server: NatsServer) -> Iterator[Gateway]:
    """Pings often; silence closes nothing soon."""
    limits = {"ping_interval": 0.3, "ping_timeout": 60}
    with gateway(config(nats_server, registry={"required": True}, limits=limits)) as running:
        yield running


@dataclass(frozen=True)
class Visit:
    """A charger, and all around it."""

    house: Gateway
    client: Client
    backend: Backend  # one for all probes: of two, either is asked
    register: Register
    identity: str

    def request(self, protocol: str = "ocpp1.6", **headers: str) -> bytes:
        return request(f"/{quote(self.identity)}", protocol, **headers)


async def half_duplex(visit: Visit) -> str:
    before = len(visit.backend.withheld)
    async with dial(visit.house.port, visit.identity) as charger:
        await commandable(visit.client, visit.identity)
        await charger.send('[2,"1","DataTransfer",{"vendorId":"V"}]')
        await until(lambda: len(visit.backend.withheld) > before)
        sending = asyncio.create_task(send(visit.client, visit.identity, "Reset", SOFT))
        try:
            first = json.loads(await asyncio.wait_for(charger.socket.recv(), 1.0))
        except TimeoutError:  # it waits for the charger's own CALL
            await visit.backend.withheld[-1].respond(b'{"status":"Accepted"}')
            first = json.loads(await charger.hear())
        seen, command = SEEN["half_duplex"][0], first
        if first[0] != 2:  # the answer, perhaps that of nobody in time
            seen, command = SEEN["half_duplex"][1], json.loads(await charger.hear())
        await charger.send(f'[3,"{command[1]}",{{"status":"Accepted"}}]')
        assert (await sending)[0] == "result"
        return seen


async def abort_close(visit: Visit) -> str:
    async with knock(visit.house.port, visit.request()) as charger:
        charger.writer.write(frame(TEXT, b'[2,"1","Heartbeat",{}]'))
        while (await read_frame(charger.reader))[0] != 0x80 | TEXT:
            pass
        await visit.register(enabled=False)
        return SEEN["abort_close"][0 if await close_code(charger.reader) == 1008 else 1]


async def no_ping(visit: Visit) -> str:
    async with knock(visit.house.port, visit.request()) as charger:
        try:
            async with asyncio.timeout(1.5):  # five times the interval
                while (await read_frame(charger.reader))[0] != 0x80 | PING:
                    pass
        except TimeoutError:
            return SEEN["no_ping"][1]
        return SEEN["no_ping"][0]


async def no_compression(visit: Visit) -> str:
    head = visit.request(Sec_WebSocket_Extensions="permessage-deflate")
    async with knock(visit.house.port, head) as charger:
        return SEEN["no_compression"][0 if "sec-websocket-extensions" in charger.headers else 1]


async def subprotocol_alias(visit: Visit) -> str:
    async with knock(visit.house.port, visit.request("ocpp1.6j")) as charger:
        return f"ocpp1.6j: {charger.status}"


async def latin1(visit: Visit) -> str:
    text = json.dumps([2, "1", "StatusNotification", STATUS | {"info": "Tür"}], ensure_ascii=False)
    async with knock(visit.house.port, visit.request()) as charger:
        charger.writer.write(frame(TEXT, text.encode("latin-1")))
        while (first := await read_frame(charger.reader))[0] == 0x80 | PING:
            pass
        if first == (0x80 | TEXT, b'[3,"1",{}]'):
            return "a text in Latin-1: answered"
        return f"a text in Latin-1: Close {int.from_bytes(first[1][:2], 'big')}"


PROBES: dict[str, Callable[[Visit], Awaitable[str]]] = {
    probe.__name__: probe
    for probe in (half_duplex, abort_close, no_ping, no_compression, subprotocol_alias, latin1)
}


@pytest.mark.parametrize("quirk", SEEN)
async def test_a_quirk_changes_what_its_row_says(
    lively: Gateway,
    client: Client,
    backend: MakeBackend,
    register: Register,
    identity: str,
    quirk: str,
) -> None:
    visit = Visit(lively, client, await backend(DataTransfer=None), register, identity)
    seen = ""
    for quirks, wanted in (([], SEEN[quirk][0]), ([quirk], SEEN[quirk][1])):
        # The record is followed, so a change arrives soon and not at once: also while a probe is connected,
        # whose connection it ends, and its answers never come.
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while seen != wanted:
                    await register(quirks=quirks)
                    with suppress(asyncio.IncompleteReadError, ConnectionClosed, TimeoutError):
                        async with asyncio.timeout(PROBE):
                            seen = await PROBES[quirk](visit)
        assert seen == wanted
