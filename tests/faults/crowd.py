"""Chargers of all versions that charge one vehicle after the other, whatever happens to their connection."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from itertools import cycle
from types import TracebackType

from faults.book import Book
from voltgate.charger import Behaviour, Charger, Queued, Stats
from voltgate.charger.messages import Message, Transaction

VERSIONS = ("v16", "v201", "v21")
WANDERS = 0.1  # of all vehicles are followed by a new connection, so that every gateway has chargers again
BEHAVIOUR = Behaviour(
    second=0.02,
    boot_retry=1.0,
    answer_timeout=6.0,
    # A charger that gives up loses its message itself; nobody promises to keep those (CONTRACT 6).
    attempts=1_000_000,
    retry_interval=0.2,
    back_off_minimum=0.1,
    back_off_random=0.4,
    back_off_repeats=2,
    meter_interval=0.25,
    open_timeout=5.0,
    ping_interval=2.0,
    ping_timeout=4.0,
)


class Booked(Charger):
    """Writes down what it must not lose, before anybody can hear of it."""

    book: Book

    def keep(self, message: Message, transaction: Transaction | None = None) -> Queued:
        queued = super().keep(message, transaction)
        self.book.note(self.identity, queued)
        return queued


class Crowd:
    """``async with``: they live; :meth:`leave` lets the last vehicles go and the outboxes empty."""

    def __init__(
        self, urls: Sequence[str], identities: Sequence[str], book: Book, chance: random.Random
    ) -> None:
        self.stats = Stats()
        self.chargers = [
            Booked(
                urls,
                identity,
                version,
                behaviour=BEHAVIOUR,
                rng=random.Random(chance.getrandbits(64)),
                stats=self.stats,
                on_answer=book.settle,
                on_command=book.obey,
            )
            for identity, version in zip(identities, cycle(VERSIONS), strict=False)
        ]
        for charger in self.chargers:
            charger.book = book
        self._leaving = False
        self._vehicles: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Crowd":
        for charger in self.chargers:
            charger.start()
            self._vehicles.append(asyncio.create_task(self._drive(charger)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._vehicles:
            task.cancel()
        await asyncio.gather(*self._vehicles, return_exceptions=True)
        await asyncio.gather(*(charger.stop() for charger in self.chargers))

    async def _drive(self, charger: Charger) -> None:
        await charger.ready.wait()
        while not self._leaving:
            await charger.connectors.charge(readings=charger.rng.randint(1, 6))
            if charger.rng.random() < WANDERS:
                await charger.reconnect()

    @property
    def ready(self) -> int:
        """How many are connected and accepted."""
        return sum(charger.ready.is_set() for charger in self.chargers)

    @property
    def waiting(self) -> int:
        """Messages in all outboxes, and vehicles that have not left."""
        vehicles = sum(not task.done() for task in self._vehicles)
        return vehicles + sum(len(charger.outbox) for charger in self.chargers)

    @property
    def unsettled(self) -> Iterator[str]:
        """Who has not come to rest, in words."""
        for charger, vehicle in zip(self.chargers, self._vehicles, strict=False):
            if vehicle.done() and not len(charger.outbox):
                continue
            yield (
                f"{charger.identity} {charger.version}: {len(charger.outbox)} messages kept, vehicle "
                f"{'gone' if vehicle.done() else vehicle.get_stack(limit=1)}, {charger.registration}, "
                f"{'ready' if charger.ready.is_set() else 'not ready'}, {charger.state}"
            )

    def leave(self) -> None:
        """No vehicle comes any more."""
        self._leaving = True
