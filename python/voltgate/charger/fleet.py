"""Chargers with frequent transactions, for ``voltgate dev --chargers N`` and ``voltgate charger``."""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace

from voltgate.charger.charger import Charger
from voltgate.charger.settings import Behaviour, Endpoint, Settings
from voltgate.schemas import SUBPROTOCOLS

VERSIONS = tuple(SUBPROTOCOLS)

# A person who starts a charge sees its power rise within three seconds.
LIVELY = Behaviour(
    heartbeat=10.0,
    idle=(1.0, 8.0),
    charging=(20.0, 60.0),
    meter_interval=2.0,
    retry_interval=10.0,
    back_off_minimum=1.0,
    back_off_random=4.0,
    back_off_repeats=2,
)


async def run_chargers(
    url: str, count: int, behaviour: Behaviour = LIVELY, faults: tuple[str, ...] = (), waiting: int = 0
) -> None:
    """Run ``CP001`` to ``CP<count>``, with alternating versions and these faults, until cancelled.

    At the last ``waiting`` of them no vehicle arrives: they are free until a person starts a charge.
    """
    behaviour = replace(behaviour, faults=faults)
    idle = replace(behaviour, idle=None)
    endpoints = [Endpoint(url=url)]
    await _run(
        Settings(
            identity=f"CP{number + 1:03}",
            version=VERSIONS[number % len(VERSIONS)],
            endpoints=endpoints,
            behaviour=behaviour if number < count - waiting else idle,
        )
        for number in range(count)
    )


async def run_charger(url: str, identity: str, version: str, faults: tuple[str, ...]) -> None:
    """Run one charger until cancelled."""
    behaviour = replace(LIVELY, faults=faults)
    await _run(
        [Settings(identity=identity, version=version, endpoints=[Endpoint(url=url)], behaviour=behaviour)]
    )


async def _run(settings: Iterable[Settings]) -> None:
    rng = random.Random()  # noqa: S311 - a simulation
    chargers = [Charger(one, rng=rng) for one in settings]
    for charger in chargers:
        charger.start()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.gather(*(charger.stop() for charger in chargers))
