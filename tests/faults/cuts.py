"""Lines that are cut, held up or half-open, by their proxies; aimed ones fail where certain bytes pass."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from proxy import Proxy, Way

if TYPE_CHECKING:
    from faults.run import Run

Fault = Callable[["Run"], Awaitable[None]]

PUBLISH = b"HPUB ocpp.tx."
PUB_ACK = b'"stream":"OCPP_TX"'
ANSWERS = (b'"transactionId":', b'"idTokenInfo":', b",{}]")


def cut(side: str) -> Fault:
    """RST to both ends."""

    async def fault(run: "Run") -> None:
        for proxy in await _side(run, side):
            proxy.reset()
        await run.felt()

    return fault


def half_open(side: str) -> Fault:
    """One end is gone and the other end stays open."""

    async def fault(run: "Run") -> None:
        for proxy in await _side(run, side):
            proxy.half_open()
        await run.felt()

    return fault


def held(side: str) -> Fault:
    """Nothing passes for a while, then everything does."""

    async def fault(run: "Run") -> None:
        proxies = await _side(run, side)
        for proxy in proxies:
            proxy.hold()
        await run.felt()
        for proxy in proxies:
            proxy.heal()

    return fault


def swallowed(side: str) -> Fault:
    """Bytes vanish in both directions, unnoticed by the ends."""

    async def fault(run: "Run") -> None:
        proxies = await _side(run, side)
        for proxy in proxies:
            proxy.lose()
        await run.felt()
        for proxy in proxies:  # TCP's order is gone with the bytes
            proxy.heal()
            proxy.reset()

    return fault


async def _side(run: "Run", side: str) -> list[Proxy]:
    gateway = await run.gateway()
    return [gateway.door] if side == "chargers" else gateway.wires


# -- aimed ----------------------------------------------------------------------------------------------


async def publish_lost_gateway_killed(run: "Run") -> None:
    """The publish does not arrive, and its gateway dies."""
    gateway = await run.gateway()
    await _struck(run, gateway.wires, "up", PUBLISH, gateway.kill)
    gateway.start()


async def ack_lost_gateway_killed(run: "Run") -> None:
    """Stored, and the gateway dies before the PubAck arrives."""
    gateway = await run.gateway()
    await _struck(run, gateway.wires, "down", PUB_ACK, gateway.kill)
    gateway.start()


async def ack_lost_line_cut(run: "Run") -> None:
    """Stored, and the gateway loses NATS before the PubAck arrives."""
    await _struck(run, (await run.gateway()).wires, "down", PUB_ACK)


async def answer_lost_line_cut(run: "Run") -> None:
    """Stored, and the answer does not reach the charger."""
    await _struck(run, [(await run.gateway()).door], "down", run.chance.choice(ANSWERS))


async def answer_lost_gateway_killed(run: "Run") -> None:
    """Stored, and the gateway dies with the answer in its hands."""
    gateway = await run.gateway()
    await _struck(run, [gateway.door], "down", run.chance.choice(ANSWERS), gateway.kill)
    gateway.start()


async def publish_lost_nats_killed(run: "Run") -> None:
    """The server dies where the publish would have arrived."""
    await _nats_struck(run, "up", PUBLISH)


async def ack_lost_nats_killed(run: "Run") -> None:
    """Stored, and the server dies before its PubAck arrives."""
    await _nats_struck(run, "down", PUB_ACK)


async def _nats_struck(run: "Run", way: str, needle: bytes) -> None:
    """The NATS node of the gateway dies."""
    wires = (await run.gateway()).wires
    hit = await _struck(run, wires, way, needle, *(node.kill for node in run.house.nodes))
    await asyncio.to_thread(run.house.nodes[hit].start)


async def _struck(
    run: "Run", proxies: list[Proxy], way: str, needle: bytes, *damage: Callable[[], object]
) -> int:
    """Where ``needle`` first passes one of ``proxies``, nothing passes that one any more, and damage is done.

    That of its own number, or the only one there is, or none but a cut. Gives its number once that was felt;
    the lines are whole again by then.
    """
    hit: list[int] = []
    once = threading.Lock()  # each proxy has its own thread

    def strike(number: int) -> None:
        if once.acquire(blocking=False):
            proxies[number].lose()
            (damage[number % len(damage)] if damage else proxies[number].reset)()
            hit.append(number)

    for number, proxy in enumerate(proxies):
        aim: Way = getattr(proxy, way)
        aim.aim(needle, partial(strike, number))
    await run.until(lambda: bool(hit), f"{needle!r} passes")
    for proxy in proxies:  # TCP's order is gone with the bytes
        proxy.heal()
        proxy.reset()
    await run.felt()
    return hit[0]
