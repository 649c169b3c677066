"""A feed on a real NATS: when everything from before its start was delivered."""

import asyncio
from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from jetstream import NatsServer
from voltgate.csms.ledger.feed import Feed
from voltgate.csms.ledger.streams import Input

STREAM, SUBJECT = "FEED_TEST", "feedtest.a"
COUNT, BODY = 5_000, bytes(16_000)  # more than the server sends before its flow control is answered


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    made = await nats.connect(nats_server.url)
    await made.jetstream().add_stream(StreamConfig(STREAM, subjects=[SUBJECT]))
    yield made
    await made.jetstream().delete_stream(STREAM)
    await made.close()


async def test_a_feed_whose_last_messages_were_removed_has_caught_up(client: Client) -> None:
    """Their deletion is not announced: the next idle heartbeat says that nothing follows."""
    for _ in range(COUNT):
        await client.publish(SUBJECT, BODY)
    await client.flush()
    arrived = asyncio.Event()
    feed = Feed(client, client.jetstream(), Input(STREAM), arrived.set)
    feed.start(0)
    try:
        async with asyncio.timeout(30):
            while not feed.stalled:
                arrived.clear()
                await arrived.wait()
            await client.jetstream().purge_stream(STREAM)
            while not feed.caught_up:
                arrived.clear()
                while feed.waiting:
                    feed.take()
                await arrived.wait()
        assert 0 < feed.seq < COUNT
    finally:
        await feed.close()
