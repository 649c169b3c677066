"""Notices from a real NATS to real HTTP servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import nats
import orjson
import pytest
from nats.aio.client import Client

from csms.alerts.receiver import Receiver, receiver
from csms.keeping import until
from csms.story import moment
from jetstream import PATIENCE, NatsServer
from voltgate.config import Config
from voltgate.csms.alerts.courier import Courier
from voltgate.csms.alerts.notices import Entry, Notice
from voltgate.csms.ledger import streams
from voltgate.ending import ended

NOTICE = Notice("1", "offline", "offline", "Offline", moment(0), raised=(Entry("A", "A", 0, "", 1),))


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    made = await nats.connect(nats_server.url)
    for stream in streams.wanted(Config()):
        if stream.name in ("OPS_ALERT", "OPS_PEOPLE"):
            await made.jsm().add_stream(stream)
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@asynccontextmanager
async def courier(client: Client) -> AsyncIterator[None]:
    task = asyncio.create_task(Courier(client, "ops", None, lambda: moment(1), reread=0.2).run())
    yield
    await ended([task])


async def channel(client: Client, name: str, body: dict[str, Any] | None) -> None:
    data = b"" if body is None else orjson.dumps(body)
    await client.jetstream().publish(f"ops.person.channel.{name}", data)


async def publish(client: Client, notice: Notice) -> None:
    await client.jetstream().publish(f"ops.alert.notice.{notice.rule}.{notice.id}", notice.json())


async def consumers(client: Client, count: int) -> None:
    """Wait until as many channels are served."""
    async with asyncio.timeout(PATIENCE):
        while (await client.jsm().stream_info("OPS_ALERT")).state.consumer_count != count:
            await asyncio.sleep(0.02)


def ids(server: Receiver) -> list[str]:
    return [orjson.loads(body)["id"] for _, body in server.taken]


async def test_each_channel_gets_what_is_for_it(client: Client, server: Receiver) -> None:
    async with receiver() as other, courier(client):
        await channel(client, "ops", {"kind": "webhook", "url": server.url})
        await channel(client, "boss", {"kind": "webhook", "url": other.url})
        await channel(client, "wrong", {"kind": "pigeon"})
        await consumers(client, 2)
        await publish(client, NOTICE)
        await publish(client, replace(NOTICE, id="2", channels=("boss",)))
        await client.jetstream().publish("ops.alert.notice.x.y", b"no notice")
        await client.jetstream().publish("ops.alert.offline.A", b"{}")
        await publish(client, replace(NOTICE, id="3"))
        await until(lambda: len(server.taken) == 2 and len(other.taken) == 3)
    assert (ids(server), ids(other)) == (["1", "3"], ["1", "2", "3"])


async def test_what_a_channel_does_not_take_comes_again_also_after_a_restart(
    client: Client, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voltgate.csms.alerts.delivery.FIRST", (moment(1) - moment(0)) / 300)
    server.status = 503
    await channel(client, "ops", {"kind": "webhook", "url": server.url})
    async with courier(client):
        await consumers(client, 1)
        await publish(client, NOTICE)
        await until(lambda: server.refused >= 2)
    server.status = 204
    async with courier(client):
        await until(lambda: len(server.taken) == 1)
        await publish(client, replace(NOTICE, id="2"))
        await until(lambda: len(server.taken) == 2)
    assert ids(server) == ["1", "2"]


async def test_a_channel_that_is_removed_gets_nothing_more(client: Client, server: Receiver) -> None:
    await channel(client, "ops", {"kind": "webhook", "url": server.url})
    async with courier(client):
        await consumers(client, 1)
        await channel(client, "ops", None)
        await consumers(client, 0)
        await publish(client, NOTICE)
        await channel(client, "ops", {"kind": "webhook", "url": server.url})
        await consumers(client, 1)
        await publish(client, replace(NOTICE, id="2"))
        await until(lambda: bool(server.taken))
    assert ids(server) == ["2"]


async def test_a_channel_that_moves_is_followed(client: Client, server: Receiver) -> None:
    async with receiver() as other, courier(client):
        await channel(client, "ops", {"kind": "webhook", "url": server.url})
        await consumers(client, 1)
        await channel(client, "ops", {"kind": "webhook", "url": other.url, "format": "text"})
        sent = 0
        while not other.taken:
            await publish(client, NOTICE)
            sent += 1
            await until(partial(lambda count: len(server.taken) + len(other.taken) >= count, sent))
    assert other.taken[0][1].decode() == NOTICE.text
