"""More sockets than the gateway may have descriptors for."""

import asyncio

from attack.driver import Attacker
from attack.sockets import ENDED, PATIENCE, RefusedError, dial, request, tcp
from attack.target import ACCOUNTS, PASSWORD

DESCRIPTORS = 256  # a hard limit of each process
HELD = 400  # more than both workers have left beside the well-behaved chargers
CONNECTS = 9000
PARALLEL = 50
REDIAL = 0.1  # seconds


async def _hold(attacker: Attacker, number: int) -> None:
    """Keep a websocket or a bare connection; dial again when the gateway ends it."""
    identity = attacker.identity(f"held{number}")
    while True:
        try:
            async with dial(attacker.ports.open, identity) as socket:
                attacker.counts["held"] += 1
                await socket.serve()
        except RefusedError as refused:
            attacker.counts[f"refused {refused.status}" if refused.status else "closed"] += 1
        except ENDED:
            attacker.counts["closed"] += 1
        if not await attacker.pause(REDIAL):
            return


async def _accepted(attacker: Attacker) -> None:
    """Once descriptors are free again, the next charger is accepted."""
    last: Exception | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with dial(attacker.ports.closed, ACCOUNTS[0], PASSWORD, source="127.0.0.3"):
                        return
                except (*ENDED, RefusedError) as error:
                    last = error
                await asyncio.sleep(REDIAL)
    except TimeoutError:
        attacker.expect(False, f"no charger is accepted after the attack: {last!r}")


async def held_sockets(attacker: Attacker) -> None:
    """All descriptors are taken and kept."""
    await attacker.until_stop(*(_hold(attacker, number) for number in range(HELD)))
    await _accepted(attacker)


async def connects(attacker: Attacker) -> None:
    """9,000 connections, one after the other in fifty rows, while all descriptors are taken."""
    holding = [asyncio.create_task(_hold(attacker, number)) for number in range(HELD)]
    left = iter(range(CONNECTS))

    async def row() -> None:
        for number in left:
            try:
                async with asyncio.timeout(PATIENCE), tcp(attacker.ports.open) as socket:
                    if number % 2:  # the others are reset at once
                        await socket.send(request(attacker.identity(f"connect{number % 100}")))
                        await socket.status()
            except TimeoutError:
                attacker.expect(False, "a connection is neither answered nor ended")
            except OSError:
                attacker.counts["closed"] += 1
            attacker.counts["connects"] += 1

    await asyncio.gather(*(row() for _ in range(PARALLEL)))
    for task in holding:
        task.cancel()
    await asyncio.gather(*holding, return_exceptions=True)
    await _accepted(attacker)
