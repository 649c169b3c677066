"""Chargers that charge and are replaced nowhere: what they sent, what was answered, when they were away."""

import asyncio
import random
from itertools import cycle
from time import monotonic

from e2e.logins import KEY
from faults.book import Book
from faults.crowd import VERSIONS, Writer
from voltgate.charger import Behaviour, Charger, Endpoint, Line, Settings, Tally

# The first wait before a redial takes half a second at most; a charger has a message every few seconds.
BEHAVIOUR = Behaviour(
    idle=(0.5, 4.0),
    charging=(10.0, 40.0),
    meter_interval=5.0,
    heartbeat=60.0,
    attempts=1_000_000,
    retry_interval=1.0,
    back_off_minimum=0.1,
    back_off_random=0.4,
    open_timeout=30.0,
)


class Watch(Writer):
    """Writes messages into the book, and when connections end and are ready again."""

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.ends: list[float] = []
        self.away: list[float] = []  # seconds from the end of a connection until the next is ready
        self._since: dict[Line, float] = {}

    def ready(self, line: Line) -> None:
        if line in self._since:
            self.away.append(monotonic() - self._since.pop(line))

    def left(self, line: Line) -> None:
        self._since[line] = monotonic()
        self.ends.append(monotonic())


class Crowd:
    """``count`` chargers at one URL, named ``CP00000`` and so on."""

    def __init__(self, url: str, count: int) -> None:
        self.book, self.tally = Book(), Tally()
        self.watch = Watch(self.book)
        endpoints, versions = [Endpoint(url=url)], cycle(VERSIONS)
        self._chargers = [
            Charger(
                Settings(
                    identity=name,
                    version=next(versions),
                    endpoints=endpoints,
                    password=KEY,
                    behaviour=BEHAVIOUR,
                ),
                self.watch,
                self.tally,
                random.Random(),
            )
            for name in names(count)
        ]

    def start(self) -> None:
        for charger in self._chargers:
            charger.start()

    @property
    def ready(self) -> int:
        """How many are connected and accepted."""
        return sum(charger.ready for charger in self._chargers)

    async def stop(self) -> None:
        await asyncio.gather(*(charger.stop() for charger in self._chargers))


def names(count: int) -> list[str]:
    """The identities of a crowd."""
    return [f"CP{number:05}" for number in range(count)]
