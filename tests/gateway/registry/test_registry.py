"""The registry that follows its bucket, on a real server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js.kv import KeyValue
from structlog.testing import capture_logs

from jetstream import NatsServer
from judging import judged
from processes import PATIENCE
from voltgate.config import Nats
from voltgate.ending import ended
from voltgate.gateway.bus import follow
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.subscriptions import Subscription, Take
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.interfaces import NotRead
from voltgate.gateway.registry.credentials import Judgement, Passwords
from voltgate.gateway.registry.hashes import hash_key
from voltgate.gateway.registry.record import Known, Record
from voltgate.gateway.registry.registry import Registry
from voltgate.gateway.telemetry.metrics import Metrics


class House:
    """A bus, its clock turning, and a registry that notes what it is told."""

    def __init__(self, url: str) -> None:
        self.clock = Wheel(time.monotonic, time.time)
        self.bus = Bus(Nats(url=url), self.clock, Metrics())
        self.changes: list[tuple[str, Known | None]] = []
        self.registry = Registry(
            self.bus, self.clock, "OCPP", lambda identity, known: self.changes.append((identity, known))
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.bus.start()
        self._tasks = [asyncio.create_task(self._turn()), asyncio.create_task(self.registry.run())]

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.clock.advance()

    async def stop(self) -> None:
        await ended(self._tasks)
        await self.bus.stop()

    async def find(self, identity: str) -> Known | NotRead:
        found: asyncio.Future[Known | NotRead] = asyncio.get_running_loop().create_future()
        self.registry.find(identity, found.set_result)
        async with asyncio.timeout(PATIENCE):
            return await found

    def find_now(self, identity: str) -> list[Known | NotRead]:
        """What is found without asking NATS."""
        found: list[Known | NotRead] = []
        self.registry.find(identity, found.append)
        return found

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.01)


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    async def quiet(error: Exception) -> None:
        del error  # the server is killed in one test

    client = await nats.connect(nats_server.url, error_cb=quiet)
    yield client
    await client.close()


@pytest.fixture
async def bucket(client: Client) -> KeyValue:
    return await client.jetstream().create_key_value(bucket="ocpp_chargers", direct=True)


@pytest.fixture
async def house(nats_server: NatsServer, bucket: KeyValue) -> AsyncIterator[House]:
    made = House(nats_server.url)
    await made.start()
    await made.until(lambda: made.registry._follow.keeps_up)
    yield made
    await made.stop()


async def test_a_record_is_read_once_and_kept_until_it_changes(house: House, bucket: KeyValue) -> None:
    assert await house.find("CP 1") is NotRead.MISSING
    await bucket.put("CP=201", b'{"enabled":true}')
    await house.until(lambda: house.changes)
    (first,) = house.find_now("CP 1")
    assert isinstance(first, Known)
    assert (first.identity, first.token, first.record) == ("CP 1", "CP=201", Record(enabled=True))
    first.proof = b"of a password"
    assert house.find_now("CP 1") == [first]
    await bucket.put("CP=201", b'{"enabled":false}')
    await house.until(lambda: len(house.changes) == 2)
    (second,) = house.find_now("CP 1")
    assert isinstance(second, Known)
    assert (second.record.enabled, second.proof) == (False, b""), "what was proved is forgotten with it"
    await bucket.delete("CP=201")
    await house.until(lambda: len(house.changes) == 3)
    assert house.changes[2] == ("CP 1", None)
    assert await house.find("CP 1") is NotRead.MISSING


async def test_what_was_written_before_the_start_is_read_on_demand(
    house: House, client: Client, nats_server: NatsServer
) -> None:
    await client.jetstream().publish("$KV.ocpp_chargers.CP2", b'{"enabled":true}')
    other = House(nats_server.url)
    await other.start()
    try:
        assert isinstance(await other.find("CP2"), Known), "also while the bucket is not followed yet"
        await other.until(lambda: other.registry._follow.keeps_up)
        assert other.changes == []
        assert isinstance(await other.find("CP2"), Known)
        assert other.find_now("CP2"), "kept"
    finally:
        await other.stop()


async def test_a_password_hash_of_an_unknown_kind_passes_nothing_and_is_logged_once(
    house: House, bucket: KeyValue, passwords: Passwords
) -> None:
    """The rest of the record, and the hash beside it, count as ever (docs/compatibility.md)."""
    record = {"enabled": True, "password_hashes": ["$scrypt$a-later-release", hash_key(b"k" * 20)]}
    with capture_logs() as logs:
        for number in range(2):
            await bucket.put("CP9", json.dumps(record | {"written": number}).encode())
            await house.until(lambda number=number: len(house.changes) == number + 1)
    assert [(log["event"], log["identity"]) for log in logs] == [("registry.hash_refused", "CP9")]
    (charger,) = house.find_now("CP9")
    assert isinstance(charger, Known)
    assert await judged(passwords, charger, b"k" * 20) is Judgement.PASSED
    assert await judged(passwords, charger, b"$scrypt$a-later-release") is Judgement.WRONG


async def test_a_record_that_says_nothing_clear_lets_nobody_in(house: House, bucket: KeyValue) -> None:
    await bucket.put("CP3", b'{"enabled":"perhaps"}')
    assert await house.find("CP3") is NotRead.MISSING


async def test_a_consumer_that_is_gone_is_replaced_and_nothing_is_missed(
    house: House, bucket: KeyValue, client: Client
) -> None:
    for consumer in await client.jsm().consumers_info("KV_ocpp_chargers"):
        await client.jsm().delete_consumer("KV_ocpp_chargers", consumer.name)
    await bucket.put("CP4", b'{"enabled":false}')
    await house.until(lambda: house.changes)
    assert house.changes[0][0] == "CP4"


async def test_a_recreated_bucket_is_read_again(house: House, bucket: KeyValue, client: Client) -> None:
    """Whoever had a record in the old one has none, however much the new one holds by the time it is seen."""
    await bucket.put("CP6", b'{"enabled":true}')
    await house.until(lambda: house.find_now("CP6"))
    await client.jetstream().delete_key_value("ocpp_chargers")
    await client.jetstream().create_key_value(bucket="ocpp_chargers", direct=True)
    for _ in range(2):
        await bucket.put("CP7", b'{"enabled":true}')
    await house.until(lambda: len(house.changes) == 2)
    assert await house.find("CP6") is NotRead.MISSING


async def test_a_follower_of_a_whole_stream_gets_earlier_messages_also_after_a_failed_attempt(
    house: House, bucket: KeyValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NATS did not take the first one: what stood before is not passed over."""
    await bucket.put("CP6", b'{"enabled":true}')
    await bucket.put("CP7", b'{"enabled":true}')
    tries: list[Take] = []
    told: list[str] = []

    open_inbox = house.bus.open_inbox

    async def fails_once(take: Take) -> Subscription:
        tries.append(take)
        if len(tries) == 1:
            raise TimeoutError
        return await open_inbox(take)

    monkeypatch.setattr(follow, "_AGAIN", 0.0)
    monkeypatch.setattr(house.bus, "open_inbox", fails_once)
    made = follow.Follow(house.bus, house.clock, "KV_ocpp_chargers", whole=True)
    made.listen(lambda subject, _: told.append(subject[-3:]))
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(PATIENCE):
        await made.caught_up.wait()
    await ended([running])
    assert told == ["CP6", "CP7"]


async def test_a_registry_that_cannot_be_read_says_so(house: House, nats_server: NatsServer) -> None:
    nats_server.kill()
    await house.until(lambda: not house.bus.connected)
    assert await house.find("CP5") is NotRead.UNREADABLE
