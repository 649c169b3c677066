"""Guards of the pin: nats-py's inside is what ``client`` believes, against a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from e2e.house import NatsServer
from e2e.strangers import connected, until
from voltgate.gateway.client import GroupSubscription, Subscription, hand_over


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of this test's own: some of them kill it."""
    server = NatsServer(tmp_path / "store")
    yield server
    server.kill()


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    client = await connected(server.url)
    yield client
    await client.close()


async def test_a_ready_made_command_goes_out_whole(client: Client) -> None:
    """And is counted while it waits for the flusher."""
    plain = await client.subscribe("plain")
    await client.flush()
    before = client.pending_data_size
    await client._send_command(b"PUB plain 2\r\nhi\r\n")
    assert client.pending_data_size == before + 17
    await hand_over(client, b"PUB plain 3\r\nyou\r\n")
    assert [(await plain.next_msg()).data for _ in range(2)] == [b"hi", b"you"]


async def test_messages_are_taken_on_the_spot_and_in_order(client: Client) -> None:
    """Also more than a queue of nats-py would hold; with their headers and reply subjects."""
    heard: list[Msg] = []
    await hand_over(client, Subscription(client, "on.*", heard.append).command)
    command = b"HPUB on.x to.me 22 24\r\nNATS/1.0\r\nname: v1\r\n\r\n%02d\r\n"
    await hand_over(client, b"".join(command % (n % 100) for n in range(70_000)))
    await until(lambda: len(heard) == 70_000)
    assert [int(message.data) for message in heard[:100]] == list(range(100))
    assert (heard[0].subject, heard[0].reply, heard[0].headers) == ("on.x", "to.me", {"name": "v1"})


async def test_nobody_responds_before_it_begins_and_after_it_ends(server: NatsServer, client: Client) -> None:
    """NATS says so at once; what was on its way when it ended is still taken."""
    asker = await connected(server.url)
    try:
        heard: list[Msg] = []
        subscription = GroupSubscription(client, "one", heard.append)
        with pytest.raises(NoRespondersError):
            await asker.request("one", b"", timeout=5)
        await hand_over(client, subscription.command)
        await client.flush()
        await asker.publish("one", b"last")
        await asker.flush()
        await hand_over(client, subscription.end)
        await client.flush()
        assert [message.data for message in heard] == [b"last"]
        with pytest.raises(NoRespondersError):
            await asker.request("one", b"", timeout=5)
    finally:
        await asker.close()


async def test_one_of_the_group_gets_a_request(server: NatsServer, client: Client) -> None:
    """Two gateways hold the same subject for a moment: the charger is commanded once."""
    other = await connected(server.url)
    try:
        heard: list[Msg] = []
        for member in (client, other):
            await hand_over(member, GroupSubscription(member, "one", heard.append).command)
            await member.flush()
        for _ in range(20):
            await client.publish("one")
        await client.flush()
        await other.flush()
        await until(lambda: len(heard) >= 20)
        assert len(heard) == 20
    finally:
        await other.close()


async def test_it_stays_over_a_reconnect_unless_it_was_dropped(server: NatsServer, client: Client) -> None:
    """The client subscribes again by itself; twice begun is begun."""
    heard: list[Msg] = []
    kept, dropped = (Subscription(client, subject, heard.append) for subject in ("kept", "dropped"))
    await hand_over(client, kept.command + dropped.command + kept.command)
    dropped.drop()
    server.kill()
    await until(lambda: not client.is_connected)
    server.start()
    await until(lambda: client.is_connected)
    await hand_over(client, kept.command + b"PUB dropped 0\r\n\r\nPUB kept 0\r\n\r\n")
    await until(lambda: heard)
    await client.flush()
    assert [message.subject for message in heard] == ["kept"]


async def test_a_client_that_closes_is_not_held_up(client: Client) -> None:
    """It asks every subscription for its task and iterator."""
    await hand_over(client, Subscription(client, "x", lambda message: None).command)
    await asyncio.wait_for(client.close(), 5)
    assert client.is_closed
