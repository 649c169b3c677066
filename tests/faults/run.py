"""One set-up from its start to its verdict: chargers and commands, fault after fault, then the verdict."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from time import monotonic

from faults.book import Book
from faults.commander import Commander
from faults.crowd import Crowd
from faults.cuts import Fault
from faults.process import tail
from faults.setups import Gateway, House, Setup, running
from faults.verdict import Closing, Verdict, ends, judge, read

FELT = (5, 60, 250)  # messages
PATIENCE = 90.0  # seconds until what should happen counts as not happening


class StuckError(AssertionError):
    """An expected event did not happen. The text has the state and the last output of every process."""


@dataclass(frozen=True)
class Plan:
    """The same seed gives the same faults in the same order."""

    seed: int
    faults: int
    chargers: int = 15
    between: int = 100
    """Messages that are answered after each fault before the next."""


class Run:
    """What faults see of it."""

    def __init__(self, house: House, book: Book, plan: Plan) -> None:
        self.house = house
        self.chance = random.Random(plan.seed)
        self.now = "start"
        self.unsettled: Callable[[], Iterable[str]] = tuple
        self._book, self._plan = book, plan

    async def until(self, holds: Callable[[], bool | Awaitable[bool]], what: str) -> None:
        """Poll a condition. StuckError, also when a process ends by itself."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while True:
            # Before the condition, which may be that one of them has ended.
            died = [process for process in self.house.processes if process.died]
            try:
                held = holds()
                if await held if isawaitable(held) else held:
                    return
            except TimeoutError:
                pass
            if loop.time() > deadline:
                raise self.stuck(f"not in time: {what}")
            for process in died:
                raise self.stuck(f"{process.name} ended by itself with {process.kill()}")
            await asyncio.sleep(0.02)

    async def answered(self, count: int) -> None:
        """Until so many further transaction messages are answered."""
        wanted = self._book.answered + count
        await self.until(lambda: self._book.answered >= wanted, f"{count} further answers")

    async def generated(self, count: int) -> None:
        """Until chargers have made so many more, answered or not."""
        wanted = self._book.generated + count
        await self.until(lambda: self._book.generated >= wanted, f"{count} further messages")

    async def felt(self) -> None:
        """Until chargers noticed, or would have: the damage lasts for so many messages that they make."""
        await self.generated(self.chance.choice(FELT))

    async def felt_nowhere(self) -> None:
        """The same for damage that must not keep chargers from being answered."""
        await self.answered(self.chance.choice(FELT))

    async def gateway(self) -> Gateway:
        """A gateway with chargers: faults of an idle one test nothing."""
        gateways = self.house.gateways
        await self.until(lambda: any(gateway.door.links for gateway in gateways), "a gateway has chargers")
        return self.chance.choices(gateways, [gateway.door.links for gateway in gateways])[0]

    def stuck(self, what: str) -> StuckError:
        """What there is to know, to be raised."""
        words = "\n".join([*self.unsettled(), *(tail(name, log) for name, log in self.house.logs.items())])
        return StuckError(f"{what}\n{self.house.setup.name}, seed {self._plan.seed}, {self.now}\n{words}")


async def run(
    setup: Setup,
    plan: Plan,
    folder: Path,
    faults: Mapping[str, Fault],
    tell: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Everything; ``tell`` gets a line for each fault. StuckError."""
    book = Book()
    async with running(setup, folder) as house:
        run = Run(house, book, plan)
        await run.until(house.whole, "the set-up is ready")
        names = [charger_name(number) for number in range(plan.chargers)]
        async with (
            Crowd(house.doors, names, book, random.Random(f"{plan.seed} crowd")) as crowd,
            Commander(house.urls, names, random.Random(f"{plan.seed} commander")) as commander,
        ):
            run.unsettled = lambda: crowd.unsettled
            await run.until(lambda: crowd.ready == plan.chargers, "all chargers are accepted")
            await run.answered(plan.between)
            for number, name in enumerate(schedule(list(faults), plan), 1):
                run.now = f"fault {number} of {plan.faults}: {name}"
                before, began = book.answered, monotonic()
                await faults[name](run)
                await run.until(house.whole, "the set-up is whole again")
                await run.answered(plan.between)
                tell(f"{run.now}; {book.answered - before} answered in {monotonic() - began:.0f} s")
            run.now = "the end"
            crowd.leave()
            commander.leave()
            await run.until(lambda: not crowd.waiting, "every outbox is empty")
            await run.until(lambda: not commander.waiting, "every command has ended")
        if setup.books:
            run.now = "the books"
            closing = Closing(house.urls, len(ends(book)))
            run.unsettled = lambda: [closing.seen]
            await run.until(closing.closed, "the ledger has settled everything")
        return judge(book, commander, await read(house.urls))


def charger_name(number: int) -> str:
    """An identity that needs escaping wherever it goes."""
    return f"CP {number:02}.*"


def schedule(names: list[str], plan: Plan) -> Iterator[str]:
    """Every kind once, in an order of chance, before any comes again."""
    chance = random.Random(plan.seed)
    deck: list[str] = []
    for _ in range(plan.faults):
        if not deck:
            deck = chance.sample(names, len(names))
        yield deck.pop()
