"""Chargers of mixed versions that live a busy life, for ``voltgate dev --chargers N``."""

import asyncio
import random
from collections.abc import Mapping
from itertools import cycle

from voltgate.charger.behaviour import Behaviour, Stats
from voltgate.charger.charger import Charger

VERSIONS = ("v16", "v201", "v21")

# Something to see every few seconds with five of them.
LIVELY = Behaviour(
    connectors=1,
    heartbeat=10.0,
    idle=(1.0, 8.0),
    charging=(20.0, 60.0),
    meter_interval=6.0,
    retry_interval=10.0,
    back_off_minimum=1.0,
    back_off_random=4.0,
    back_off_repeats=4,
)


async def run_chargers(  # noqa: PLR0913 - keywords with defaults
    url: str,
    count: int,
    *,
    behaviour: Behaviour = LIVELY,
    versions: tuple[str, ...] = VERSIONS,
    passwords: Mapping[str, bytes | str] | None = None,
    stats: Stats | None = None,
    rng: random.Random | None = None,
) -> None:
    """``CP001`` to ``CP<count>`` at ``url``, versions in turn, until cancelled; then sockets are closed."""
    chance = rng or random.Random()  # noqa: S311 - a simulation
    stats = stats or Stats()
    async with asyncio.TaskGroup() as lives:
        for number, version in zip(range(1, count + 1), cycle(versions), strict=False):
            identity = f"CP{number:03}"
            charger = Charger(
                url,
                identity,
                version,
                behaviour=behaviour,
                password=(passwords or {}).get(identity),
                rng=random.Random(chance.getrandbits(64)),  # noqa: S311
                stats=stats,
            )
            lives.create_task(charger.run())
