"""Chargers of all versions that start one transaction after the other, across all connections."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from itertools import cycle
from types import TracebackType
from typing import Any

from faults.book import Book
from voltgate.charger import Answer, Behaviour, Charger, Endpoint, Line, Observer, Queued, Settings
from voltgate.charger.messages import Payload

VERSIONS = ("v16", "v201", "v21")
WANDERS = 0.1  # share of transactions followed by a reconnect, so that every gateway has chargers again
BEHAVIOUR = Behaviour(
    second=0.02,
    boot_retry=1.0,
    answer_timeout=6.0,
    # A charger that gives up loses its message itself; docs/contract.md 6 promises nothing for those.
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


class Writer(Observer):
    """Writes everything into the book."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def kept(self, line: Line, message: Queued) -> None:
        self._book.note(line.settings.identity, message)

    def answered(self, line: Line, call: Queued, answer: Answer) -> None:
        if call.kept:
            self._book.settle(call, answer, call.sends)

    def commanded(self, line: Line, action: str, payload: Payload) -> None:
        self._book.obey(action, payload)


class Crowd:
    """``async with``: the chargers run; :meth:`leave` ends the transactions and lets the outboxes empty.

    An exception in a callback of the loop, such as an answer that the book does not expect, fails the block.
    """

    def __init__(
        self, urls: Sequence[str], identities: Sequence[str], book: Book, chance: random.Random
    ) -> None:
        endpoints = [Endpoint(url=url) for url in urls]
        writer = Writer(book)
        self.chargers = [
            Charger(
                Settings(identity=identity, version=version, endpoints=endpoints, behaviour=BEHAVIOUR),
                writer,
                rng=random.Random(chance.getrandbits(64)),
            )
            for identity, version in zip(identities, cycle(VERSIONS), strict=False)
        ]
        self._leaving = False
        self._vehicles: list[asyncio.Task[None]] = []
        self._errors: list[Exception] = []

    async def __aenter__(self) -> "Crowd":
        asyncio.get_running_loop().set_exception_handler(self._failed)
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
        asyncio.get_running_loop().set_exception_handler(None)
        if self._errors:
            raise ExceptionGroup("chargers", self._errors)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self._errors.append(error)
        loop.default_exception_handler(context)

    async def _drive(self, charger: Charger) -> None:
        while not self._leaving:
            await charger.connectors.charge(readings=charger.rng.randint(1, 6))
            if charger.rng.random() < WANDERS:
                charger.hang_up()

    @property
    def ready(self) -> int:
        """How many are connected and accepted."""
        return sum(charger.ready for charger in self.chargers)

    @property
    def waiting(self) -> int:
        """Messages in all outboxes, and transactions that have not ended."""
        vehicles = sum(not task.done() for task in self._vehicles)
        return vehicles + sum(len(charger.outbox) for charger in self.chargers)

    @property
    def unsettled(self) -> Iterator[str]:
        """The chargers that are not done, in words."""
        for charger, vehicle in zip(self.chargers, self._vehicles, strict=False):
            if vehicle.done() and not len(charger.outbox):
                continue
            settings, at = charger.settings, "gone" if vehicle.done() else vehicle.get_stack(limit=1)
            yield (
                f"{settings.identity} {settings.version}: {len(charger.outbox)} messages kept, "
                f"vehicle {at}, {charger.registration}, {charger}"
            )

    def leave(self) -> None:
        """Start no transaction any more."""
        self._leaving = True
