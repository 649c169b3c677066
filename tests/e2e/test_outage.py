"""A NATS that is stopped, cut off, half-open or silent; PubAcks late or lost (docs/contract.md 2.3).

`test_bus_away` has NATS killed, frozen and full; `test_cluster_away` has three of them.
"""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nats.aio.client import Client
from websockets import ConnectionClosed, InvalidStatus

from e2e.guarded import Guarded
from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.outages import BEAT, check_outage, meter, readiness, ready
from e2e.strangers import Facts, connected, dial, until
from proxy import Proxy
from voltgate.gateway.bus import streams, uplink

PUB_ACK = b'"stream":"OCPP_TX"'
LIMIT = 1 << 20  # the smallest nats.max_pending_bytes


@pytest.fixture(scope="module")
def wire(server: Guarded) -> Iterator[Proxy]:
    """Between the gateway and NATS."""
    made = Proxy(server.port)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def far_off(server: Guarded, wire: Proxy) -> Iterator[Gateway]:
    """A gateway at the end of the wire."""
    nats = {"url": wire.nats, "publish_timeout": 0.6, "ping_interval": 0.8, "max_pending_bytes": LIMIT}
    with gateway(config(server, nats=nats, streams={"tx_max_bytes": 64 << 20})) as running:
        yield running


@pytest.fixture
async def client(server: Guarded) -> AsyncIterator[Client]:
    """One that is not behind the wire."""
    client = await connected(server.url)
    yield client
    await client.close()


def _stop(server: Guarded, wire: Proxy) -> Callable[[], None]:
    del wire
    server.stop()
    return server.start


def _cut(server: Guarded, wire: Proxy) -> Callable[[], None]:
    wire.refuse()
    wire.reset()
    return wire.accept


def _half_open(server: Guarded, wire: Proxy) -> Callable[[], None]:
    wire.refuse()
    wire.half_open()
    return wire.accept


def _lose(server: Guarded, wire: Proxy) -> Callable[[], None]:
    wire.lose()

    def heal() -> None:
        wire.heal()
        wire.reset()

    return heal


def _hold(server: Guarded, wire: Proxy) -> Callable[[], None]:
    wire.hold()
    return wire.heal


@pytest.mark.parametrize("hurt", [_stop, _cut, _half_open, _lose, _hold])
async def test_chargers_queue_during_an_outage_of_any_kind(
    server: Guarded,
    wire: Proxy,
    far_off: Gateway,
    identity: str,
    hurt: Callable[[Guarded, Proxy], Callable[[], None]],
) -> None:
    """Who needs it gets 1013 and no answer, the idle stay, newcomers wait; then all is stored, once."""
    async with dial(far_off.port, identity) as charger, dial(far_off.port, identity + "-idle") as idle:
        assert await charger.ask(meter("0")) == '[3,"0",{}]'
        kept = meter("1")
        mend = await asyncio.to_thread(hurt, server, wire)
        await charger.send(kept)
        assert await charger.closed() == 1013
        await until(lambda: far_off.worker.outage.reason)
        await check_outage(far_off, "nats")
        assert (await idle.ask(BEAT)).startswith('[3,"h"')
        await asyncio.to_thread(mend)
        await ready(far_off)
        assert await idle.ask(meter("2")) == '[3,"2",{}]'
    async with dial(far_off.port, identity) as charger:
        assert await charger.ask(kept.replace('"1"', '"9"', 1)) == '[3,"9",{}]'
    direct = await connected(server.url)
    stored = [fact.headers["ocpp-message-id"] for fact in await Facts(direct, identity).stored("TX")]
    await direct.close()
    assert stored in (["0", "1"], ["0", "9"]), "the resend is the same message"


async def test_a_late_pub_ack_has_no_effect(
    wire: Proxy, far_off: Gateway, identity: str, client: Client
) -> None:
    """The socket was closed in time; the resend is a duplicate and is answered; NATS was never away."""
    async with dial(far_off.port, identity) as charger:
        await charger.ask(BEAT)
        kept = meter("1")
        held = wire.down.aim(PUB_ACK, wire.down.hold)
        await charger.send(kept)
        assert await asyncio.to_thread(held.wait, PATIENCE)
        assert await charger.closed() == 1013
        reconnects = far_off.nats.stats["reconnects"]
        wire.heal()
    async with dial(far_off.port, identity) as charger:
        assert await charger.ask(kept) == '[3,"1",{}]'
    assert len(await Facts(client, identity).stored("TX")) == 1
    assert (await readiness(far_off))[0] == 200
    assert far_off.nats.stats["reconnects"] == reconnects


async def test_a_pub_ack_that_is_lost_is_asked_for_again(
    wire: Proxy, far_off: Gateway, identity: str, client: Client
) -> None:
    """At half-time, and the charger notices nothing: NATS knows the message by its id."""
    async with dial(far_off.port, identity) as charger:
        await charger.ask(BEAT)
        lost = wire.down.aim(PUB_ACK, wire.down.lose)
        await charger.send(meter("1"))
        assert await asyncio.to_thread(lost.wait, PATIENCE)
        wire.heal()
        assert await charger.hear() == '[3,"1",{}]'
    assert len(await Facts(client, identity).stored("TX")) == 1


async def test_a_pub_ack_for_a_charger_that_left_changes_nothing(
    wire: Proxy, far_off: Gateway, identity: str, client: Client
) -> None:
    """It is stored; when the charger is back and sends it again it is answered."""
    kept = meter("1")
    async with dial(far_off.port, identity) as charger:
        await charger.ask(BEAT)
        held = wire.down.aim(PUB_ACK, wire.down.hold)
        await charger.send(kept)
        assert await asyncio.to_thread(held.wait, PATIENCE)
    wire.heal()
    await until(lambda: far_off.metric("voltgate_bus_pending") == 0)
    async with dial(far_off.port, identity) as charger:
        assert await charger.ask(kept) == '[3,"1",{}]'
    assert len(await Facts(client, identity).stored("TX")) == 1


async def test_a_connection_cut_between_store_and_pub_ack_loses_and_doubles_nothing(
    wire: Proxy, far_off: Gateway, identity: str, client: Client
) -> None:
    """NATS has it, the gateway cannot know: no answer. The wire is whole again at once."""
    kept = meter("1")
    async with dial(far_off.port, identity) as charger:
        await charger.ask(BEAT)
        wire.down.aim(PUB_ACK, wire.reset)
        await charger.send(kept)
        assert await charger.closed() == 1013
    await ready(far_off)
    async with dial(far_off.port, identity) as charger:
        assert await charger.ask(kept) == '[3,"1",{}]'
    assert len(await Facts(client, identity).stored("TX")) == 1


async def test_a_refusal_that_comes_late_is_no_outage(
    wire: Proxy, far_off: Gateway, identity: str, client: Client
) -> None:
    """Error PubAck 10077 after publish_timeout: the charger has gone, and there may be room again."""
    jetstream = client.jetstream()
    async with dial(far_off.port, identity) as charger:
        await charger.ask(BEAT)
        settings = (await jetstream.stream_info("OCPP_TX")).config
        state = (await jetstream.stream_info("OCPP_TX")).state
        await jetstream.update_stream(settings.evolve(max_bytes=max(state.bytes, 1)))
        held = wire.down.aim(b"10077", wire.down.hold)
        await charger.send(meter("1"))
        assert await asyncio.to_thread(held.wait, PATIENCE)
        assert await charger.closed() == 1013
        await jetstream.update_stream(settings)
        wire.heal()
    async with dial(far_off.port, identity) as charger:
        assert await charger.ask(meter("2")) == '[3,"2",{}]'
        assert (await readiness(far_off))[0] == 200


async def test_small_slices_and_latency_between_gateway_and_nats_lose_nothing(
    wire: Proxy, far_off: Gateway, identity: str, client: Client
) -> None:
    """Slices of three bytes and some latency: everything is answered, in order."""
    wire.up.slice = wire.down.slice = 3
    wire.up.latency = wire.down.latency = 0.005
    try:
        async with dial(far_off.port, identity) as charger:
            for number in range(3):
                assert await charger.ask(meter(f"{number}")) == f'[3,"{number}",{{}}]'
    finally:
        wire.heal()
    assert len(await Facts(client, identity).stored("TX")) == 3


SPREAD = 4.0  # seconds within which chargers of the test dial again
CROWD = 100


@pytest.fixture(scope="module")
def patient(server: Guarded) -> Iterator[Gateway]:
    """One that gives up a silent NATS late: a crowd has filled what may wait by then."""
    nats = {"url": server.url, "publish_timeout": 2.0, "ping_interval": 2.0, "max_pending_bytes": LIMIT}
    with gateway(config(server, nats=nats, streams={"tx_max_bytes": 64 << 20})) as running:
        yield running


async def test_a_crowd_and_a_nats_that_does_not_read(
    server: Guarded, patient: Gateway, identity: str, client: Client
) -> None:
    """What waits for it is bounded, and everything is stored once when the chargers have dialled again."""

    def waiting() -> int:
        return uplink.waiting(patient.nats)

    async def persist(name: str, kept: str) -> None:
        """Send it until it is answered, as a charger does (docs/ocpp.md C)."""
        while True:
            with suppress(ConnectionClosed, InvalidStatus):
                async with dial(patient.port, name) as charger:
                    here.release()
                    await frozen.wait()
                    await charger.send(kept)
                    assert await charger.hear() == '[3,"k",{}]', "no CALLERROR is spent on it"
                    return
            await asyncio.sleep(random.uniform(0, SPREAD))

    here, frozen = asyncio.Semaphore(0), asyncio.Event()
    crowd = {f"{identity}-{number}": meter("k", 200_000) for number in range(CROWD)}
    sending = [asyncio.ensure_future(persist(*one)) for one in crowd.items()]
    for _ in crowd:
        await here.acquire()
    server.freeze()
    frozen.set()
    most = 0
    try:
        await until(lambda: waiting() > LIMIT / 2, "nothing is read any more")
        while patient.worker.bus.connected:
            most = max(most, waiting())
            await asyncio.sleep(0.01)
        await check_outage(patient, "nats")
    finally:
        server.thaw()
    async with asyncio.timeout(2 * PATIENCE):
        await asyncio.gather(*sending)
    assert most < 2 * LIMIT
    await ready(patient)
    await until(lambda: waiting() == 0)
    await until(lambda: patient.metric("voltgate_bus_pending") <= 1, "our own sign of life at most")
    for name in crowd:
        assert len(await Facts(client, name).stored("TX")) == 1


async def test_nats_that_comes_back_empty_is_not_called_away(tmp_path: Path, identity: str) -> None:
    """Readiness says what is missing; who was idle stays, and is served once the streams are there."""
    server = Guarded(tmp_path / "store")
    settings = config(server)
    try:
        with gateway(settings) as running:
            async with dial(running.port, identity) as charger:
                server.kill()
                shutil.rmtree(tmp_path / "store" / "jetstream")
                server.start()
                async with asyncio.timeout(PATIENCE):
                    while "voltgate streams plan" not in (await readiness(running))[1]:
                        await asyncio.sleep(0.1)
                client = await connected(server.url)
                await streams.apply(client, settings)
                await ready(running)
                assert (await charger.ask(BEAT)).startswith("[3")
                await Facts(client, identity).kept_link(state="up")
                await client.close()
    finally:
        server.kill()
