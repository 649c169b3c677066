"""Subscriptions against a real nats-server; the private insides of nats-py are guarded by test_pin."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.errors import NoRespondersError

from e2e.strangers import connected, until
from jetstream import NatsServer
from voltgate.gateway.bus.subscriptions import Client, GroupSubscription, Subscription, parse_headers
from voltgate.gateway.bus.uplink import hand_over

Message = tuple[bytes, bytes, bytes, bytes]


class Heard(list[Message]):
    """What a subscription took: subject, reply, headers, body."""

    def take(self, *message: bytes) -> None:
        subject, reply, headers, data = message
        self.append((subject, reply, headers, data))


async def flush(client: Client) -> None:
    """The server has read all that was handed over; nats-py's own PING overtakes what still waits."""
    await client._flush_pending(force_flush=True)
    await client.flush()


async def ours(server: NatsServer) -> Client:
    client = Client()

    async def quiet(error: Exception) -> None:
        del error  # the server is killed in some tests

    options: dict[str, Any] = {"reconnect_time_wait": 0.1, "max_reconnect_attempts": -1}
    await client.connect(server.url, error_cb=quiet, **options)
    return client


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    async with asyncio.timeout(10):
        await (await connected(server.url)).close()  # it is up
    client = await ours(server)
    yield client
    await client.close()


async def test_messages_are_taken_on_the_spot_and_in_order(client: Client) -> None:
    """Also more than a queue of nats-py would hold; with their headers and reply subjects."""
    heard = Heard()
    await hand_over(client, Subscription(client, "on.*", heard.take).sub)
    command = b"HPUB on.x to.me 22 24\r\nNATS/1.0\r\nname: v1\r\n\r\n%02d\r\n"
    await hand_over(client, b"".join(command % (n % 100) for n in range(70_000)))
    await until(lambda: len(heard) == 70_000)
    assert [int(data) for *_, data in heard[:100]] == list(range(100))
    assert heard[0][:3] == (b"on.x", b"to.me", b"NATS/1.0\r\nname: v1\r\n\r\n")


async def test_nobody_responds_before_it_begins_and_after_it_ends(server: NatsServer, client: Client) -> None:
    """NATS answers at once; a request that came before the end is taken."""
    asker = await connected(server.url)
    try:
        heard = Heard()
        subscription = GroupSubscription(client, "one", heard.take)
        with pytest.raises(NoRespondersError):
            await asker.request("one", b"", timeout=5)
        await hand_over(client, subscription.sub)
        await flush(client)
        await asker.publish("one", b"last")
        await asker.flush()
        # A server writes to each connection at its own time: "last" may come after the answer to a flush.
        await until(lambda: [data for *_, data in heard] == [b"last"])
        await hand_over(client, subscription.unsub)
        await flush(client)
        with pytest.raises(NoRespondersError):
            await asker.request("one", b"", timeout=5)
    finally:
        await asker.close()


async def test_one_of_the_group_gets_a_request(server: NatsServer, client: Client) -> None:
    """Two gateways hold the same subject for a moment: the charger is commanded once."""
    other = await ours(server)
    try:
        heard = Heard()
        for member in (client, other):
            await hand_over(member, GroupSubscription(member, "one", heard.take).sub)
            await flush(member)
        for _ in range(20):
            await client.publish("one")
        await flush(client)
        await other.flush()
        await until(lambda: len(heard) >= 20)
        assert len(heard) == 20
    finally:
        await other.close()


async def test_a_subscription_survives_a_reconnect_unless_it_was_dropped(
    server: NatsServer, client: Client
) -> None:
    """The client subscribes again by itself; twice begun is begun."""
    heard = Heard()
    kept, dropped = (Subscription(client, subject, heard.take) for subject in ("kept", "dropped"))
    await hand_over(client, kept.sub + dropped.sub + kept.sub)
    dropped.drop()
    server.kill()
    await until(lambda: not client.is_connected)
    server.start()
    await until(lambda: client.is_connected)
    await hand_over(client, kept.sub + b"PUB dropped 0\r\n\r\nPUB kept 0\r\n\r\n")
    await until(lambda: heard)
    await client.flush()
    assert [subject for subject, *_ in heard] == [b"kept"]


async def test_an_answer_that_comes_after_its_wait_ended_is_dropped(client: Client) -> None:
    """Of a server that was frozen for longer than a flush waits, and of a flush that was cancelled."""
    heard = Heard()
    await hand_over(client, Subscription(client, "on.*", heard.take).sub)
    flushing = asyncio.create_task(client.flush())
    await asyncio.sleep(0)  # the PING is written, and its answer not read yet
    flushing.cancel()
    await flush(client)
    await client.publish("on.x", b"still read")
    await until(lambda: [data for *_, data in heard] == [b"still read"])


async def test_a_client_that_closes_is_not_held_up(client: Client) -> None:
    """It asks every subscription for its task and iterator."""
    await hand_over(client, Subscription(client, "x", lambda *message: None).sub)
    await asyncio.wait_for(client.close(), 5)
    assert client.is_closed


HEADERS: list[tuple[bytes, dict[str, str], str]] = [
    (b"", {}, "none"),
    (b"NATS/1.0\r\na: b\r\nC:d\r\n\r\n", {"a": "b", "C": "d"}, "with and without a space"),
    (b"NATS/1.0 503\r\n\r\n", {"Status": "503", "Description": ""}, "a status"),
    (b"NATS/1.0 404 No Messages\r\n\r\n", {"Status": "404", "Description": "No Messages"}, "and its words"),
    (
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n",
        {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Consumer": "7"},
        "a status with headers",
    ),
    (
        b"NATS/1.0\r\nx: a:b\r\nnothing\r\ny:\r\n\r\n",
        {"x": "a:b", "y": ""},
        "colons in the value, none",
    ),
    (b"NATS/1.0\r\nx: \xff\r\n\r\n", {"x": "\ufffd"}, "no UTF-8"),
    (b"NATS/1.0\r\nStatus: 404\r\nx: y\r\n\r\n", {"x": "y"}, "a publisher's word, not the server's"),
]


@pytest.mark.parametrize(("block", "headers", "why"), HEADERS, ids=[why for *_, why in HEADERS])
def test_headers_are_read(block: bytes, headers: dict[str, str], why: str) -> None:
    """As nats-py reads them, whatever their sender made of them; a status is the server's alone."""
    assert parse_headers(block) == headers, why
