"""The well-behaved chargers: a process of `voltgate.charger.swarm` with an open loop of CALLs.

Latencies count from when a CALL was due, so a gateway that stands still is seen at its full length.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from attack.target import PASSWORD, Ports
from voltgate.charger.plan import Plan
from voltgate.charger.processes import Processes, processes
from voltgate.charger.tally import Latencies, Tally

VERSIONS = ("v16", "v201", "v21")
PATIENCE = 60.0  # seconds until chargers that should be connected, or answered, count as not
GRACE = 15.0  # seconds for what is open at the end


@dataclass(frozen=True)
class Window:
    """What the chargers saw between two moments."""

    latencies: Latencies
    errors: int
    """CALLs without a valid answer."""
    disconnects: int

    @property
    def p99(self) -> float:
        """Seconds."""
        return self.latencies.percentile(0.99)


class Crowd:
    """Made by :func:`running`."""

    def __init__(self, fleet: Processes, count: int) -> None:
        self._fleet, self._count = fleet, count

    async def news(self) -> Tally:
        """What all chargers have measured so far, as of the next report."""
        await self._fleet.news()
        return self.tally

    @property
    def tally(self) -> Tally:
        """As of the latest report."""
        return self._fleet.report()[1]

    @property
    def joined(self) -> bool:
        """Whether every charger is connected."""
        return self._fleet.report()[0].joined == self._count

    def since(self, before: Tally) -> Window:
        """From ``before`` to now."""
        now = self.tally
        return Window(
            now.load.since(before.load),
            now.errors - before.errors,
            now.disconnects - before.disconnects,
        )

    async def all_joined(self) -> None:
        """Wait until every charger is connected. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not self.joined:
                await self.news()

    async def finish(self) -> Tally:
        """No more CALLs; the final numbers, after those that are open are answered or overdue."""
        self._fleet.order("finish", grace=GRACE)
        while not self._fleet.final:
            await self._fleet.news()
        return self.tally


def backlog(tally: Tally) -> int:
    """CALLs that are due and open."""
    return tally.open


def identities(count: int) -> list[str]:
    """Of the well-behaved chargers."""
    return [f"GOOD-{number:03}" for number in range(count)]


@asynccontextmanager
async def running(ports: Ports, good: list[str], rate: float) -> AsyncIterator[Crowd]:
    """The chargers, logged in with their passwords, with ``rate`` CALLs per second together."""
    plan = Plan(
        url=f"ws://127.0.0.1:{ports.closed}/ocpp",
        chargers=[
            (identity, VERSIONS[number % 3], PASSWORD, "127.0.0.1") for number, identity in enumerate(good)
        ],
        rate=rate,
        connect_rate=500,
        storm_spread=0,
    )
    async with processes([plan]) as fleet:
        crowd = Crowd(fleet, len(good))
        await crowd.all_joined()
        fleet.order("load")
        yield crowd
