"""What happens to a set-up. Each fault does its damage, waits until it is felt, and takes it away again.

Aimed ones strike where certain bytes pass a proxy. Nothing here judges: that is the verdict's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ledger.setups import Gateway, Setup
from proxy import Proxy, Way

if TYPE_CHECKING:
    from ledger.run import Run

Fault = Callable[["Run"], Awaitable[None]]

PUBLISH = b"HPUB ocpp.tx."
PUB_ACK = b'"stream":"OCPP_TX"'
ANSWERS = (b'"transactionId":', b'"idTokenInfo":', b",{}]")
FELT = (5, 60, 250)  # messages that chargers make while the damage lasts


async def _gateway(run: "Run") -> Gateway:
    """One that has chargers: what happens to an idle one says nothing."""
    gateways = run.house.gateways
    await run.until(lambda: any(gateway.door.links for gateway in gateways), "a gateway has chargers")
    return run.chance.choices(gateways, [gateway.door.links for gateway in gateways])[0]


async def _felt(run: "Run") -> None:
    await run.generated(run.chance.choice(FELT))


# -- processes ------------------------------------------------------------------------------------------


async def gateway_killed(run: "Run") -> None:
    """SIGKILL; the others go on, and what it had is dialled elsewhere."""
    gateway = await _gateway(run)
    gateway.kill()
    await _felt(run)
    gateway.start()


async def gateways_killed(run: "Run") -> None:
    """SIGKILL to all: nobody is left who remembers anything."""
    for gateway in run.house.gateways:
        gateway.kill()
    await _felt(run)
    for gateway in run.house.gateways:
        gateway.start()


async def gateway_frozen(run: "Run") -> None:
    """SIGSTOP: its sockets stay open, and its past catches up with it at SIGCONT."""
    gateway = await _gateway(run)
    gateway.freeze()
    await _felt(run)
    gateway.thaw()


async def gateway_drained(run: "Run") -> None:
    """SIGTERM, and a new one: a rolling restart (CONTRACT 4.5)."""
    gateway = await _gateway(run)
    gateway.terminate()
    await run.until(lambda: not gateway.runs, f"{gateway.name} has left")
    code = gateway.kill()
    assert code == 0, f"{gateway.name} left with {code}\n{gateway.tail()}"
    gateway.start()


async def nats_killed(run: "Run") -> None:
    """SIGKILL to a nats-server, started again on its store."""
    node = run.chance.choice(run.house.nodes)
    await asyncio.to_thread(node.kill)
    await _felt(run)
    await asyncio.to_thread(node.start)


async def nats_frozen(run: "Run") -> None:
    """SIGSTOP: publishes pile up in its sockets."""
    node = run.chance.choice(run.house.nodes)
    await asyncio.to_thread(node.freeze)
    await _felt(run)
    node.thaw()


async def nats_frozen_and_killed(run: "Run") -> None:
    """What piled up in its sockets is gone with it: nothing of that may have been answered."""
    node = run.chance.choice(run.house.nodes)
    await asyncio.to_thread(node.freeze)
    await _felt(run)
    await asyncio.to_thread(node.kill)
    await asyncio.to_thread(node.start)


async def worker_killed(run: "Run") -> None:
    """SIGKILL to one worker: its supervisor starts another (CONTRACT 4.1, --workers)."""
    gateway = await _gateway(run)
    await run.until(lambda: bool(gateway.workers), "there is a worker")
    run.chance.choice(gateway.workers).kill()
    await _felt(run)


async def worker_frozen(run: "Run") -> None:
    """SIGSTOP to one worker, until its supervisor has put another in its place."""
    gateway = await _gateway(run)
    await run.until(lambda: bool(gateway.workers), "there is a worker")
    worker = run.chance.choice(gateway.workers)
    worker.suspend()
    await run.until(lambda: not worker.is_running(), "the frozen worker was killed")


async def supervisor_killed(run: "Run") -> None:
    """SIGKILL to the supervisor: its workers end by themselves, and lose nothing."""
    gateway = await _gateway(run)
    workers = gateway.kill_supervisor()
    await run.until(lambda: not any(worker.is_running() for worker in workers), "the workers have ended")
    gateway.start()


async def supervisor_frozen(run: "Run") -> None:
    """SIGSTOP to the supervisor: its workers need it for nothing."""
    gateway = await _gateway(run)
    gateway.process.suspend()
    await run.answered(run.chance.choice(FELT))
    gateway.process.resume()


async def leader_killed(run: "Run") -> None:
    """SIGKILL to whoever leads OCPP_TX: the others elect (CONTRACT 2.3)."""
    assert run.house.cluster is not None
    node = await run.house.cluster.leader("OCPP_TX")
    await asyncio.to_thread(node.kill)
    await run.answered(run.chance.choice(FELT))
    await asyncio.to_thread(node.start)


async def leader_frozen(run: "Run") -> None:
    """SIGSTOP to it: it is still the leader when it wakes up, or thinks so."""
    assert run.house.cluster is not None
    node = await run.house.cluster.leader("OCPP_TX")
    await asyncio.to_thread(node.freeze)
    await run.answered(run.chance.choice(FELT))
    node.thaw()


async def leader_steps_down(run: "Run") -> None:
    """An election while all live."""
    assert run.house.cluster is not None
    await run.house.cluster.step_down("OCPP_TX")


# -- lines ----------------------------------------------------------------------------------------------


def cut(side: str) -> Fault:
    """RST to both ends."""

    async def fault(run: "Run") -> None:
        for proxy in await _side(run, side):
            proxy.reset()
        await _felt(run)

    return fault


def half_open(side: str) -> Fault:
    """One end is gone and the other is not told."""

    async def fault(run: "Run") -> None:
        for proxy in await _side(run, side):
            proxy.half_open()
        await _felt(run)

    return fault


def held(side: str) -> Fault:
    """Nothing passes for a while, then everything does."""

    async def fault(run: "Run") -> None:
        proxies = await _side(run, side)
        for proxy in proxies:
            proxy.hold()
        await _felt(run)
        for proxy in proxies:
            proxy.heal()

    return fault


def swallowed(side: str) -> Fault:
    """Both ends believe that what they said arrived."""

    async def fault(run: "Run") -> None:
        proxies = await _side(run, side)
        for proxy in proxies:
            proxy.lose()
        await _felt(run)
        for proxy in proxies:  # TCP's order is gone with the bytes
            proxy.heal()
            proxy.reset()

    return fault


async def _side(run: "Run", side: str) -> list[Proxy]:
    gateway = await _gateway(run)
    return [gateway.door] if side == "chargers" else gateway.wires


# -- aimed ----------------------------------------------------------------------------------------------


async def publish_lost_gateway_killed(run: "Run") -> None:
    """The publish does not arrive, and its gateway dies."""
    gateway = await _gateway(run)
    await _struck(run, gateway.wires, "up", PUBLISH, gateway.kill)
    gateway.start()


async def ack_lost_gateway_killed(run: "Run") -> None:
    """Stored, and the gateway dies before it knows."""
    gateway = await _gateway(run)
    await _struck(run, gateway.wires, "down", PUB_ACK, gateway.kill)
    gateway.start()


async def ack_lost_line_cut(run: "Run") -> None:
    """Stored, and the gateway loses NATS before it knows."""
    await _struck(run, (await _gateway(run)).wires, "down", PUB_ACK)


async def answer_lost_line_cut(run: "Run") -> None:
    """Stored, and the charger does not hear of it."""
    await _struck(run, [(await _gateway(run)).door], "down", run.chance.choice(ANSWERS))


async def answer_lost_gateway_killed(run: "Run") -> None:
    """Stored, and the gateway dies with the answer in its hands."""
    gateway = await _gateway(run)
    await _struck(run, [gateway.door], "down", run.chance.choice(ANSWERS), gateway.kill)
    gateway.start()


async def publish_lost_nats_killed(run: "Run") -> None:
    """The server dies where the publish would have arrived."""
    await _nats_struck(run, "up", PUBLISH)


async def ack_lost_nats_killed(run: "Run") -> None:
    """Stored, and the server that says so dies before anybody hears it."""
    await _nats_struck(run, "down", PUB_ACK)


async def _nats_struck(run: "Run", way: str, needle: bytes) -> None:
    """The node dies that the gateway speaks to."""
    wires = (await _gateway(run)).wires
    hit = await _struck(run, wires, way, needle, *(node.kill for node in run.house.nodes))
    await asyncio.to_thread(run.house.nodes[hit].start)


async def _struck(
    run: "Run", proxies: list[Proxy], way: str, needle: bytes, *damage: Callable[[], object]
) -> int:
    """From where ``needle`` passes one of ``proxies`` nothing passes it any more, and its ``damage`` is done.

    Gives the number of the one that was hit, once that has been felt; the lines are whole again by then.
    """
    strikes = [
        _losing(proxy, damage[min(n, len(damage) - 1)] if damage else proxy.reset)
        for n, proxy in enumerate(proxies)
    ]
    aims: list[Way] = [getattr(proxy, way) for proxy in proxies]
    struck = [aim.aim(needle, strike) for aim, strike in zip(aims, strikes, strict=True)]
    await run.until(lambda: any(one.is_set() for one in struck), f"{needle!r} passes")
    for proxy in proxies:  # TCP's order is gone with the bytes
        proxy.heal()
        proxy.reset()
    await _felt(run)
    return [one.is_set() for one in struck].index(True)


def _losing(proxy: Proxy, damage: Callable[[], object]) -> Callable[[], None]:
    def strike() -> None:
        proxy.lose()
        damage()

    return strike


ANYWHERE: dict[str, Fault] = {
    "a gateway killed": gateway_killed,
    "all gateways killed": gateways_killed,
    "a gateway frozen": gateway_frozen,
    "a gateway drained": gateway_drained,
    "a nats-server killed": nats_killed,
    "a nats-server frozen": nats_frozen,
    "a nats-server frozen, then killed": nats_frozen_and_killed,
    "chargers cut off": cut("chargers"),
    "chargers half-open": half_open("chargers"),
    "chargers held up": held("chargers"),
    "chargers swallowed": swallowed("chargers"),
    "NATS cut off": cut("NATS"),
    "NATS half-open": half_open("NATS"),
    "NATS held up": held("NATS"),
    "NATS swallowed": swallowed("NATS"),
}
AIMED: dict[str, Fault] = {
    "aimed: publish lost, gateway killed": publish_lost_gateway_killed,
    "aimed: PubAck lost, gateway killed": ack_lost_gateway_killed,
    "aimed: PubAck lost, line cut": ack_lost_line_cut,
    "aimed: publish lost, nats-server killed": publish_lost_nats_killed,
    "aimed: PubAck lost, nats-server killed": ack_lost_nats_killed,
    "aimed: answer lost, line cut": answer_lost_line_cut,
    "aimed: answer lost, gateway killed": answer_lost_gateway_killed,
}


OF_WORKERS: dict[str, Fault] = {
    "a worker killed": worker_killed,
    "a worker frozen": worker_frozen,
    "the supervisor killed": supervisor_killed,
    "the supervisor frozen": supervisor_frozen,
}
OF_CLUSTERS: dict[str, Fault] = {
    "the leader killed": leader_killed,
    "the leader frozen": leader_frozen,
    "the leader steps down": leader_steps_down,
}


def faults(setup: Setup) -> dict[str, Fault]:
    """Those that a set-up can suffer."""
    found = ANYWHERE | AIMED
    if setup.workers > 1:
        found |= OF_WORKERS
    if setup.nodes > 1:
        found |= OF_CLUSTERS
    return found
