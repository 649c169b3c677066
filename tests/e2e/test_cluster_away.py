"""Three NATS servers, three replicas (docs/contract.md 2.3): elections and a lost server do no harm."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e.house import Gateway, config, gateway
from e2e.outages import meter, readiness, ready
from e2e.strangers import Charger, Facts, connected, dial, token, until
from jetstream import Cluster, NatsServer, free_port
from processes import Voltgate, status
from voltgate import _core

TX = "OCPP_TX"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    own = Cluster(tmp_path_factory.mktemp("cluster"))
    asyncio.run(own.ready())
    yield own
    own.kill()


@pytest.fixture(scope="module")
def threefold(cluster: Cluster) -> Iterator[Gateway]:
    """A gateway that may use each of them."""
    settings = config(
        next(iter(cluster.nodes.values())),
        nats={"url": cluster.urls, "publish_timeout": 14.0, "ping_interval": 1.0},
        streams={"replicas": 3},
    )
    with gateway(settings) as running:
        yield running


async def stored(node: NatsServer, identity: str) -> list[str]:
    """The ids of its transaction messages, in the stream's order."""
    client = await connected(node.url)
    try:
        return [fact.headers["ocpp-message-id"] for fact in await Facts(client, identity).stored("TX")]
    finally:
        await client.close()


def home(running: Gateway, cluster: Cluster) -> NatsServer:
    """The server the gateway is connected to."""
    url = running.nats.connected_url
    assert url is not None
    return next(node for node in cluster.nodes.values() if node.port == url.port)


async def led_elsewhere(running: Gateway, cluster: Cluster) -> NatsServer:
    """Who leads OCPP_TX, once that is another server than the gateway's."""
    while (leader := await cluster.leader(TX)) is home(running, cluster):
        await cluster.step_down(TX)
    return leader


async def test_chargers_do_not_notice_leaders_that_step_down(
    threefold: Gateway, cluster: Cluster, identity: str
) -> None:
    """A charger that never stops talking gets every answer, also to what a leader swallowed."""
    asked, over = 0, asyncio.Event()

    async def talk() -> None:
        nonlocal asked
        async with dial(threefold.port, identity) as charger:
            while not over.is_set() or not asked:
                assert await charger.ask(meter(f"{asked}")) == f'[3,"{asked}",{{}}]'
                asked += 1

    def noticed(before: int) -> bool:
        return asked > before or talking.done()

    talking = asyncio.ensure_future(talk())
    for _ in range(2):
        before = asked
        await cluster.step_down(TX)
        await until(partial(noticed, before))
    over.set()
    await talking
    assert (await readiness(threefold))[0] == 200
    assert len(await stored(home(threefold, cluster), identity)) == asked


async def test_chargers_do_not_notice_the_death_of_a_stream_leader(
    threefold: Gateway, cluster: Cluster, identity: str
) -> None:
    """Until another one is elected NATS says 503, and the gateway tries again inside publish_timeout."""
    leader = await led_elsewhere(threefold, cluster)
    retries = threefold.metric("voltgate_publish_retries_total")
    async with dial(threefold.port, identity) as charger:
        leader.kill()
        try:
            await charger.send(meter("1"))
            await until(lambda: threefold.metric("voltgate_publish_retries_total") > retries)
            assert (await readiness(threefold))[0] == 200
            async with dial(threefold.port, identity + "-new"):
                assert await charger.hear() == '[3,"1",{}]'
            assert (await readiness(threefold))[0] == 200
        finally:
            leader.start()
    assert await stored(home(threefold, cluster), identity) == ["1"]
    await cluster.whole(TX)


async def test_the_server_behind_the_gateway_dies(
    threefold: Gateway, cluster: Cluster, identity: str
) -> None:
    """An outage until the next server has taken over; who stayed goes on, who was cut off resends."""
    await led_elsewhere(threefold, cluster)
    gone = home(threefold, cluster)
    kept = meter("1")
    async with dial(threefold.port, identity + "-idle") as idle:
        async with dial(threefold.port, identity) as charger:
            gone.freeze()  # so that the CALL is open when it dies
            await charger.send(kept)
            await until(lambda: threefold.metric("voltgate_bus_pending") > 0)
            gone.kill()
            began = time.monotonic()
            assert await charger.closed() == 1013
            assert time.monotonic() - began < 14, "before publish_timeout"
        try:
            await ready(threefold)
            assert home(threefold, cluster) is not gone
            assert await idle.ask(meter("2")) == '[3,"2",{}]'
            async with dial(threefold.port, identity) as charger:
                assert await charger.ask(kept) == '[3,"1",{}]'
        finally:
            gone.start()
    assert await stored(home(threefold, cluster), identity) == ["1"]


async def test_a_server_that_announces_its_end_is_left_before_it_ends(
    threefold: Gateway, cluster: Cluster, identity: str
) -> None:
    """Lame duck mode: the gateway is connected elsewhere first; a charger, a command and a follower go on."""
    gone, outages = home(threefold, cluster), threefold.metric("voltgate_outages_total")
    commander = await connected(next(node for node in cluster.nodes.values() if node is not gone).url)
    asked, over = 0, asyncio.Event()

    async def talk(charger: Charger) -> None:
        nonlocal asked
        while not over.is_set():
            assert await charger.ask(meter(f"{asked}")) == f'[3,"{asked}",{{}}]'
            asked += 1

    def goes_on(before: int) -> bool:
        return asked > before + 3 or talking.done()

    async with dial(threefold.port, identity) as charger, dial(threefold.port, identity + "-2") as other:
        talking = asyncio.ensure_future(talk(charger))
        await until(partial(goes_on, asked))
        gone.lame_duck()
        try:
            await until(lambda: home(threefold, cluster) is not gone)
            await until(partial(goes_on, asked))
            calling = asyncio.ensure_future(
                commander.request(f"ocpprpc.send.ClearCache.{token(identity + '-2')}", b"{}", timeout=20)
            )
            message_id = json.loads(await other.hear())[1]
            await other.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
            assert ((await calling).headers or {})["ocpp-outcome"] == "result"
        finally:
            gone.kill()
        await until(partial(goes_on, asked))
        async with dial(threefold.port, identity + "-new"):
            over.set()
            await talking
    gone.start()
    await cluster.whole(TX)
    assert threefold.metric("voltgate_outages_total") == outages
    assert (await readiness(threefold))[0] == 200
    assert len(await stored(home(threefold, cluster), identity)) == asked
    await commander.close()


async def test_a_gateway_that_starts_before_jetstream_has_a_leader_waits_for_it(
    threefold: Gateway, cluster: Cluster, tmp_path: Path
) -> None:
    """Everything is started at once: one server alone answers nothing about streams."""
    assert threefold.worker.addresses, "the streams exist"
    cluster.kill()
    nodes = list(cluster.nodes.values())
    nodes[0].start()
    file, admin = tmp_path / "voltgate.toml", free_port()
    file.write_text(
        f"[nats]\nurl = {json.dumps(cluster.urls)}\n[streams]\nreplicas = 3\n[admin]\nport = {admin}\n"
        f'[[listeners]]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    )
    serve = Voltgate(tmp_path, "serve", "--wait", "60", "--config", str(file))
    try:
        await asyncio.to_thread(serve.until, lambda: "JetStream does not answer" in serve.err, "it waits")
        for node in nodes[1:]:
            node.start()
        await asyncio.to_thread(serve.until, lambda: status(admin, "/readyz")[0] == 200, "it is ready")
        assert await asyncio.to_thread(serve.ends, signal.SIGTERM) == 0
    finally:
        serve.process.kill()
        serve.process.wait()
    await ready(threefold)


async def test_a_duplicate_of_a_message_in_process_waits_for_its_pub_ack(
    threefold: Gateway, cluster: Cluster, identity: str
) -> None:
    """NATS refuses it meanwhile (10158); it is stored once, and everyone is told so."""
    retries = threefold.metric("voltgate_publish_retries_total")
    await cluster.whole(TX)
    bus, acks = threefold.worker.bus, []

    async def store_twins() -> None:
        for _ in range(20):
            ticket = bus.ticket(lambda _, ack: acks.append(ack), None)
            subject, message_id = f"ocpp.tx.v16.X.{token(identity)}", ("Nats-Msg-Id", identity)
            bus.store(ticket, _core.publish(subject, ticket.reply, [message_id], b""), True)

    await asyncio.to_thread(threefold.call, store_twins)
    await until(lambda: len(acks) == 20)
    assert len({ack.seq for ack in acks}) == 1
    assert sorted(ack.duplicate for ack in acks) == [False] + [True] * 19
    assert threefold.metric("voltgate_publish_retries_total") > retries
