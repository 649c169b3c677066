"""Many strangers at once, polite and rude ones: everyone is served, nothing is left of those who went."""

import asyncio
import gc
import json
import socket
import struct
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from e2e.house import Gateway, config, gateway
from e2e.strangers import (
    CLOSE,
    PING,
    TEXT,
    Facts,
    Upgrade,
    answer_of,
    dial,
    frame,
    knock,
    request,
    settle,
    until,
)
from jetstream import NatsServer
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.session.session import Session

STATUS = '[2,"%d","StatusNotification",{"connectorId":%d,"errorCode":"NoError","status":"Available"}]'
METER = (
    '[2,"%d","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":'
    '[{"timestamp":"2026-03-01T10:00:00Z","sampledValue":[{"value":"1"}]}]}]'
)


@pytest.fixture(scope="module")
def square(nats_server: NatsServer) -> Iterator[Gateway]:
    """A gateway nobody else uses: what is left in it is ours."""
    with gateway(config(nats_server, limits={"calls_per_second": 1e5, "calls_burst": 100_000})) as running:
        yield running


def in_memory() -> int:
    """Connections and sessions of all gateways of this process, also of those that have stopped."""
    gc.collect()
    return sum(isinstance(one, Connection | Session) for one in gc.get_objects())


Emptied = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def emptied(square: Gateway) -> Emptied:
    """Waits until nothing is left of the chargers of this test."""
    before = in_memory()

    async def wait() -> None:
        await square.counts(0, "voltgate_connections")
        await until(lambda: in_memory() <= before)

    return wait


async def test_a_crowd_is_served_each_in_order(
    square: Gateway, client: Client, identity: str, emptied: Emptied
) -> None:
    """150 chargers at once, a small transaction each: every answer right, every fact once and in order."""

    async def respond(message: Msg) -> None:
        tag = json.loads(message.data)["idTag"]
        await message.respond(b'{"transactionId":%d,"idTagInfo":{"status":"Accepted"}}' % int(tag))

    asked = await client.subscribe("ocpprpc.ask.v16.StartTransaction.*", queue="crowd", cb=respond)
    await settle(client)

    async def live(number: int) -> None:
        name = f"{identity}-{number}"
        async with dial(square.port, name) as charger:
            for connector in range(2):
                assert await charger.ask(STATUS % (connector, connector)) == f'[3,"{connector}",{{}}]'
            start = (
                f'[2,"2","StartTransaction",{{"connectorId":1,"idTag":"{number}","meterStart":0,'
                '"timestamp":"2026-03-01T10:00:00Z"}]'
            )
            assert json.loads(await charger.ask(start))[2]["transactionId"] == number
            for sample in range(3, 8):
                assert await charger.ask(METER % (sample, sample)) == f'[3,"{sample}",{{}}]'
        facts = Facts(client, name)
        kept = [fact.headers["ocpp-message-id"] for fact in await facts.stored("TX")]
        assert kept == ["2", "2", "3", "4", "5", "6", "7"]

    await asyncio.gather(*(live(number) for number in range(150)))
    await asked.unsubscribe()
    await emptied()


RUDE = {
    "before the head": [],
    "in the middle of the head": [request("/rude")[:50]],
    "after the 101": [request("/%s")],
    "with a CALL on its way": [request("/%s"), frame(TEXT, (STATUS % (1, 1)).encode())],
    "with thirty CALLs on their way": [
        request("/%s"),
        *(frame(TEXT, (STATUS % (number, 1)).encode()) for number in range(30)),
    ],
    "in the middle of a message": [request("/%s"), frame(TEXT, b"[2," * 1000)[:500]],
    "between fragments": [request("/%s"), frame(TEXT, b"[2,", fin=False)],
    "behind its own close": [request("/%s"), frame(CLOSE, (1000).to_bytes(2, "big"))],
    "behind a thousand pings": [request("/%s"), frame(PING, b"x" * 100) * 1000],
    "behind garbage": [request("/%s"), b"\xff" * 100],
    "with a question open": [request("/%s"), frame(TEXT, b'[2,"1","Authorize",{"idTag":"a"}]')],
    "with a bad frame open": [request("/%s"), frame(TEXT, b'[2,"1","Bogus",{}]') * 3],
}


@pytest.mark.parametrize("words", RUDE.values(), ids=RUDE)
async def test_a_reset_at_any_moment_leaves_nothing(
    square: Gateway, identity: str, words: list[bytes], emptied: Emptied
) -> None:
    """Forty sockets torn down with RST, with and without waiting for the 101."""

    async def intrude(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", square.port)
        plug = writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by RST
        for word in words:
            writer.write(word.replace(b"%s", quote(f"{identity}-{number}").encode()))
            if number % 2:
                await writer.drain()
        if number % 4 < 2 and len(words) > 1:
            await reader.read(1)
        writer.transport.abort()

    await asyncio.gather(*(intrude(number) for number in range(40)))
    async with dial(square.port, identity) as charger:
        assert (await charger.ask('[2,"1","Heartbeat",{}]')).startswith("[3")
    await emptied()
    assert not square.faults


async def test_coming_and_going_costs_no_memory(square: Gateway, identity: str, emptied: Emptied) -> None:
    """1,500 connections one after the other: the process is as big as before."""

    async def visit(number: int) -> None:
        async with dial(square.port, f"{identity}-{number}", compression="deflate") as charger:
            assert await charger.ask(STATUS % (1, 1)) == '[3,"1",{}]'

    async def crowd(start: int, size: int) -> None:
        for first in range(start, start + size, 50):
            await asyncio.gather(*(visit(number) for number in range(first, first + 50)))

    await crowd(0, 500)
    gc.collect()
    before = psutil.Process().memory_info().rss
    await crowd(500, 1000)
    await emptied()
    assert psutil.Process().memory_info().rss - before < 8_000_000


async def test_an_upgrade_refused_leaves_nothing(square: Gateway, emptied: Emptied) -> None:
    async def refused(number: int) -> Upgrade:
        async with knock(square.port, request(f"/a:{number}")) as answer:
            assert answer.status == 400
            return answer

    await asyncio.gather(*(refused(number) for number in range(100)))
    await emptied()


async def test_upgrade_calls_and_close_in_one_packet(square: Gateway, identity: str) -> None:
    """Head, CALLs and close in one packet: everything before the close is answered or at least harmless."""
    words = request(f"/{quote(identity)}") + frame(TEXT, b'[2,"1","Heartbeat",{}]')
    words += frame(CLOSE, (1000).to_bytes(2, "big")) + frame(TEXT, b'[2,"2","Heartbeat",{}]')
    reader, writer = await asyncio.open_connection("127.0.0.1", square.port)
    try:
        writer.write(words)
        assert (await answer_of(reader, writer)).status == 101
        rest = await reader.read()
        assert rest.startswith(b"\x81")
        assert rest.endswith(b"\x88\x02\x03\xe8")
        assert rest.count(b"currentTime") == 1
    finally:
        writer.transport.abort()
