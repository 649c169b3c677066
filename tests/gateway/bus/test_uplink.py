"""A NATS that no longer reads: the bus finds out, holds no more than it may, and goes to where one reads."""

import asyncio
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from certificates import Authority
from desk import EVENT, TX, Desk, desk
from e2e.strangers import until
from jetstream import NatsServer
from voltgate import _core
from voltgate._core import Inbox, PubAcks
from voltgate.config import load
from voltgate.gateway.bus import uplink
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.subscriptions import Client, Subscription
from voltgate.gateway.bus.uplink import Uplink
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, NotStored, Reply
from voltgate.gateway.telemetry.metrics import Metrics

LIMIT = 1 << 20  # the smallest nats.max_pending_bytes
LARGE = bytes(200_000)


async def fill(at: Desk) -> tuple[int, list[Any]]:
    """Store until the bus takes no more: how many it took, and where the results of all come."""
    results: list[Any] = []
    taken = 0
    while not results:
        ticket = at.bus.ticket(lambda _, result: results.append(result), None)
        at.bus.store(ticket, _core.publish(EVENT, ticket.reply, [], LARGE))
        await asyncio.sleep(0)
        taken += not results
        assert taken < 1000, "it takes everything"
    return taken, results


async def test_servers_of_the_cluster_are_dialled_with_the_login_that_is_configured(
    nats_server: NatsServer,
) -> None:
    async with desk(nats_server) as at:
        assert uplink.server(at.client) == f"127.0.0.1:{nats_server.port}"
        await at.client._process_info({"connect_urls": ["192.0.2.2:4222"]})
        for url, dialled in [
            ("nats://a:4222", "nats://192.0.2.2:4222"),
            ("tls://user:p@ss@a:4222", "tls://user:p@ss@192.0.2.2:4222"),
            ("a", "nats://192.0.2.2:4222"),
        ]:
            assert uplink.discovered(at.client, [url]) == [dialled]


async def test_a_server_that_does_not_read_bounds_what_waits_until_it_reads_again(
    server: NatsServer,
) -> None:
    """Also where nothing was sent meanwhile: a bus that was full does not stay so."""
    async with desk(server, nats={"max_pending_bytes": LIMIT, "publish_timeout": 30}) as at:
        server.freeze()
        taken, results = await fill(at)
        assert results == [NotStored.UNKNOWN]
        assert LIMIT < uplink.waiting(at.client) < LIMIT + 2 * len(LARGE)
        server.thaw()
        await until(lambda: len(results) == taken + 1)
        assert all(isinstance(result, Ack) for result in results[1:]), "what it had taken is stored"
        assert await at.store(TX) == Ack("OCPP_TX", 1, False)
        assert uplink.waiting(at.client) == 0


async def test_a_server_that_does_not_read_is_given_up_and_what_was_refused_is_not_sent_later(
    server: NatsServer,
) -> None:
    """nats-py alone would wait for ever for its last bytes to be taken, and keep the rest for later."""
    nats = {"max_pending_bytes": LIMIT, "publish_timeout": 30, "ping_interval": 0.2}
    async with desk(server, nats=nats) as at:
        server.freeze()
        began = time.monotonic()
        taken, results = await fill(at)
        await until(lambda: len(results) == taken + 1)
        assert results == [NotStored.UNKNOWN] * (taken + 1)
        assert time.monotonic() - began < 5
        server.thaw()
        await until(lambda: at.changes[-1][0])
        assert [up for up, _ in at.changes] == [False, True]
        assert uplink.waiting(at.client) == 0
        assert await at.store(TX) == Ack("OCPP_TX", 1, False)
        assert at.client.stats["reconnects"] == 1


async def test_the_next_server_is_dialled(server: NatsServer, tmp_path: Path) -> None:
    """One that is frozen takes a connection and says nothing: it is left, with its socket."""
    other = NatsServer(tmp_path / "other")
    try:
        servers = [server.url, other.url]
        nats = {"url": servers, "max_pending_bytes": LIMIT, "ping_interval": 0.2}
        async with desk(server, make_streams=False, nats=nats) as at:
            first, second = (server, other) if _is_at(at, server) else (other, server)
            first.freeze()
            await fill(at)
            await until(lambda: at.bus.connected and _is_at(at, second))
            first.thaw()
    finally:
        other.kill()


def _is_at(at: Desk, server: NatsServer) -> bool:
    url = at.client.connected_url
    return url is not None and url.port == server.port


async def test_stopping_waits_for_no_server_that_does_not_read(server: NatsServer) -> None:
    async with desk(server, nats={"max_pending_bytes": LIMIT}) as at:
        server.freeze()
        await fill(at)
        began = time.monotonic()
        await at.bus.stop()
        assert time.monotonic() - began < 6
        server.thaw()


def test_stopping_while_nats_is_away_leaves_what_waits(server: NatsServer) -> None:
    """On the gateway's own loop: uvloop does not take a write to a connection that is gone."""

    async def stop() -> None:
        async with desk(server) as at:
            server.kill()
            await until(lambda: not at.bus.connected)
            await at.client.publish("waits", b"for the next connection")

    uvloop.run(stop())


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_nats_behind_websockets_keeps_nats_pys_own_transport(scheme: str) -> None:
    bus = Bus(load(nats={"url": f"{scheme}://127.0.0.1:9"}).nats, Wheel(time.monotonic, time.time), Metrics())
    uplink.attach(bus._connection.client, [f"{scheme}://127.0.0.1:9"])
    assert uplink.waiting(bus._connection.client) == 0
    uplink.cut(bus._connection.client)
    assert not isinstance(bus._connection.client._transport, Uplink)


def _reconnected(client: Client, before: int) -> bool:
    return client.is_connected and client.stats["reconnects"] > before


async def _quiet(error: Exception) -> None:
    del error  # of the connection that is ended


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_pubacks_are_handed_over_among_the_other_messages_and_after_a_reconnect(
    start_nats: Callable[..., NatsServer], tmp_path: Path, tls: bool
) -> None:
    """In the order in which the server sent them, also where the connection ended inside one."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server").pair
    server = start_nats(*(["--tls", "--tlscert", certificate, "--tlskey", key] if tls else []))
    inbox, seen, client = Inbox("mine", bytes(16)), list[int | bytes](), Client()
    subscription = Subscription(client, "mine.>", lambda _s, _r, _h, data: seen.append(data))
    uplink.attach(
        client, [server.url], PubAcks(inbox, subscription.id), lambda counter, *_: seen.append(counter)
    )
    context = ssl.create_default_context(cafile=authority.file) if tls else None
    await client.connect(server.url, error_cb=_quiet, reconnect_time_wait=0.05, tls=context)
    try:
        await uplink.hand_over(client, subscription.sub)
        ack = b'{"stream":"OCPP_TX", "seq":1}'

        def burst(first: int) -> tuple[bytes, list[int | bytes]]:
            """Commands, and what is seen of them."""
            numbers = range(first, first + 3000)
            wanted = [b"no ack %d" % n if n % 3 == 0 else n for n in numbers]
            bodies = [one if isinstance(one, bytes) else ack for one in wanted]
            return b"".join(
                b"PUB %s %d\r\n%s\r\n" % (inbox.subject(n).encode(), len(body), body)
                for n, body in zip(numbers, bodies, strict=True)
            ), wanted

        for connection in range(3):
            if connection:
                # nats-server may read the rest of these when the client has its next connection.
                await uplink.hand_over(client, burst(connection * 10_000)[0])
                await until(lambda: seen)
                before = client.stats["reconnects"]
                await client.force_reconnect()
                await until(partial(_reconnected, client, before))
                await client.flush()
            commands, wanted = burst(connection * 10_000 + 5_000)
            await uplink.hand_over(client, commands)
            await until(partial(seen.__contains__, wanted[-1]))
            ours = set(wanted)
            assert [one for one in seen if one in ours] == wanted
            seen.clear()
    finally:
        await client.close()


async def test_jetstream_spells_its_pubacks_so_that_they_are_taken(server: NatsServer) -> None:
    """Also of a duplicate; what is not one reaches the subscription."""
    async with desk(server):
        inbox, taken, heard, client = Inbox("mine", bytes(16)), list[Any](), list[bytes](), Client()
        subscription = Subscription(client, "mine.>", lambda _s, _r, headers, _d: heard.append(headers))
        uplink.attach(client, [server.url], PubAcks(inbox, subscription.id), lambda *ack: taken.append(ack))
        await client.connect(server.url, error_cb=_quiet)
        try:
            await uplink.hand_over(client, subscription.sub)
            for n, subject in enumerate((TX, TX, EVENT, "ocpp.nowhere")):
                key = [("Nats-Msg-Id", "a")] if subject == TX else []
                await uplink.hand_over(client, _core.publish(subject, inbox.subject(n), key, b"x"))
            await until(lambda: len(taken) == 3 and heard)
        finally:
            await client.close()
        assert [ack[:5] for ack in sorted(taken)] == [
            (0, "OCPP_TX", "", 1, False),
            (1, "OCPP_TX", "", 1, True),
            (2, "OCPP_EVENTS", "", 1, False),
        ]
        assert len(heard) == 1
        assert heard[0].startswith(b"NATS/1.0 503\r\n")


async def test_the_bus_judges_what_is_handed_over_like_any_other_message(server: NatsServer) -> None:
    """A PubAck of another stream, one of a question, one that no message waits for, and an empty message."""
    async with desk(server, make_streams=False) as at:
        results: list[Any] = []
        store, question, late = (
            at.bus.ticket(lambda _, result: results.append(result), None) for _ in range(3)
        )
        at.bus.store(store, _core.publish("ocpp.tx.v16.X.CP", "", [], b""), tx=True)
        at.bus.await_reply(question, 5)
        body = b'{"stream":"OCPP_EVENTS","seq":4}'
        for reply in (store.reply, question.reply, late.reply):
            await at.client.publish(reply, body)
        await at.client.publish(store.reply, b"")
        await at.client.publish(store.reply, body.replace(b"EVENTS", b"TX"))
        await until(lambda: len(results) == 2)
        assert results == [Reply("reply", {}, body), Ack("OCPP_TX", 4, False)]
        assert at.metrics.bus_garbage.cell("ack")[0] == 2


async def test_where_a_domain_is_named_a_puback_of_another_one_does_not_count(server: NatsServer) -> None:
    async with desk(server, make_streams=False, nats={"domain": "hub"}) as at:
        results: list[Any] = []
        ticket = at.bus.ticket(lambda _, result: results.append(result), None)
        at.bus.store(ticket, _core.publish(TX, "", [], b""), tx=True)
        for seq, domain in enumerate(("", ',"domain":"leaf"', ',"domain":"hub"'), 1):
            await at.client.publish(ticket.reply, f'{{"stream":"OCPP_TX"{domain},"seq":{seq}}}'.encode())
        await until(lambda: results)
        assert results == [Ack("OCPP_TX", 3, False)]
        assert at.metrics.bus_garbage.cell("ack")[0] == 2
