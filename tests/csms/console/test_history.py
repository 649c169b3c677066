"""The streams read backwards: the last ones, however they lie in time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from jetstream import NatsServer
from voltgate.config import load
from voltgate.csms.console.history import NOW, History
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.ledger.facts import Message
from voltgate.csms.ledger.streams import Input

COUNT = 120
ALL, SOME, MISSING = Input("H"), Input("H", ("h.b", "h.c")), Input("NONE")


@pytest.fixture(scope="module")
def filled(server: NatsServer) -> NatsServer:
    """A stream of numbers on three subjects."""

    async def fill() -> None:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(StreamConfig(name="H", subjects=["h.*"]))
        for number in range(COUNT):
            await client.jetstream().publish(
                f"h.{'abc'[number % 3]}", str(number).encode(), headers={"n": "1"}
            )
        await client.close()

    asyncio.run(fill())
    return server


@pytest.fixture
async def client(filled: NatsServer) -> AsyncIterator[Client]:
    connected = await nats.connect(filled.url)
    yield connected
    await connected.close()


@pytest.fixture
def history(client: Client, filled: NatsServer) -> History:
    return History(client, load(nats={"url": filled.url}))


def numbers(found: list[Message]) -> list[int]:
    return [int(one.data) for one in found]


async def test_the_last_ones_are_read_and_not_more_than_allowed(history: History) -> None:
    found = numbers(await history.latest(ALL, 10, 30))
    assert 10 <= len(found) <= 30
    assert found == list(range(COUNT - len(found), COUNT))
    assert numbers(await history.latest(ALL, COUNT, 500)) == list(range(COUNT))
    assert numbers(await history.latest(ALL, 500, 500)) == list(range(COUNT))
    some = numbers(await history.latest(SOME, 500, 500))
    assert some == [number for number in range(COUNT) if number % 3]


async def test_pages_follow_each_other_without_a_gap(history: History) -> None:
    read: list[int] = []
    before = NOW
    while page := await history.newest([SOME, Input("H", ("h.a",)), MISSING], 25, 40, before):
        read += [int(one.data) for one in page]
        before = datetime.fromtimestamp(page[-1].stored_at, UTC)
    assert read == list(range(COUNT))[::-1]


async def test_what_is_older_than_wanted_is_not_read(history: History) -> None:
    assert await history.latest(ALL, 10, 30, back=timedelta(0)) == []
    assert len(await history.latest(ALL, 500, 500, back=timedelta(minutes=5))) == COUNT


async def test_the_tail_has_no_bodies_and_a_bound(history: History) -> None:
    found = await history.tail(ALL, 50, datetime.now(UTC) - timedelta(hours=1))
    assert [one.seq for one in found] == list(range(COUNT - 49, COUNT + 1))
    assert {one.data for one in found} == {b""}
    assert len(await history.tail(ALL, 500, datetime.now(UTC) - timedelta(hours=1))) == COUNT
    assert await history.tail(ALL, 50, datetime.now(UTC)) == []


async def test_a_stream_that_is_not_there_has_nothing(history: History) -> None:
    assert await history.latest(MISSING, 1, 1) == []
    assert await history.tail(MISSING, 1, datetime.now(UTC)) == []


async def test_what_comes_later_is_waited_for(history: History, client: Client) -> None:
    async with history.since(Input("H", ("h.z",)), datetime.now(UTC)) as reading:
        assert reading is not None
        assert await reading.next(0.05) is None
        waiting = asyncio.ensure_future(reading.next(10))
        await client.jetstream().publish("h.z", b"7")
        message = await waiting
        assert message is not None
        assert message.data == b"7"
    await client.jsm().purge_stream("H", subject="h.z")


async def test_without_nats_it_is_unavailable(history: History, client: Client) -> None:
    await client.close()
    with pytest.raises(Problem) as refused:
        await history.latest(ALL, 1, 1)
    assert refused.value.kind is Kind.UNAVAILABLE
