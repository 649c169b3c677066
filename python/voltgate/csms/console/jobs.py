"""One operation for many chargers: each gets its command and has its outcome; a bounded number at a time.

Jobs are in the memory of one console, and so lost with it: what was sent is in the stream of commands. Under
the same id a job is started once, and the command ids of its chargers follow from it, so that a repeat at
another console, or after a restart, sends nothing twice.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog

from voltgate.csms.console.commands import Ended
from voltgate.csms.console.intents import ImpossibleError
from voltgate.csms.console.problems import Kind, Problem
from voltgate.csms.console.roles import Principal
from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import StoreError
from voltgate.ending import ended

log = structlog.get_logger()

AT_ONCE = 20  # commands of all jobs of a console
KEPT = 50  # jobs; those that are done go first
IMPOSSIBLE, FAILED = "impossible", "failed"

Perform = Callable[[str], Awaitable[Ended]]
"""Sends the command of a charger. Raises Problem, ImpossibleError where it cannot be."""


class State(StrEnum):
    """Of one charger of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


@dataclass(slots=True)
class Item:
    """One charger of a job."""

    charger: str
    site: str
    state: State = State.WAITING
    outcome: str | None = None
    status: str | None = None
    meaning: str | None = None

    def ended(self, outcome: str, status: str, meaning: str) -> None:
        """How it ended."""
        self.outcome, self.status, self.meaning = outcome, status or None, meaning
        self.state = State.DONE


@dataclass(slots=True)
class Job:
    """See the module."""

    id: str
    what: str
    by: str
    at: datetime
    items: list[Item] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether every charger has its outcome."""
        return all(one.state is State.DONE for one in self.items)


class Jobs:
    """Those of one console."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks = set[asyncio.Task[None]]()
        self._slots = asyncio.Semaphore(AT_ONCE)

    def __iter__(self) -> Iterator[Job]:
        """The newest first."""
        return reversed(self._jobs.values())

    def get(self, id_: str) -> Job | None:
        """The job, where it is known."""
        return self._jobs.get(id_)

    def start(self, id_: str, what: str, by: str, chargers: Mapping[str, str], perform: Perform) -> Job:
        """Start it, if it was not started under this id. ``chargers``: with their sites. Raises Problem."""
        if (known := self._jobs.get(id_)) is not None:
            return known
        if len(self._jobs) >= KEPT:
            over = next((one.id for one in self._jobs.values() if one.done), None)
            if over is None:
                raise Problem(Kind.CONFLICT, f"{KEPT} bulk operations are running: wait for one to end")
            del self._jobs[over]
        job = Job(id_, what, by, self._now(), [Item(charger, site) for charger, site in chargers.items()])
        self._jobs[id_] = job
        for item in job.items:
            task = asyncio.create_task(self._one(item, perform))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return job

    async def _one(self, item: Item, perform: Perform) -> None:
        async with self._slots:
            item.state = State.RUNNING
            try:
                end = await perform(item.charger)
            except (Problem, ImpossibleError) as error:
                item.ended(IMPOSSIBLE, "", f"Not sent: {error}.")
            except StoreError:
                item.ended(IMPOSSIBLE, "", "Not sent: the database cannot be read.")
            except Exception:
                log.exception("bulk.failed", identity=item.charger)
                item.ended(FAILED, "", "A fault of the server, which is in its log.")
            else:
                item.ended(end.outcome, end.status, end.meaning)

    async def close(self) -> None:
        """Leave what is not sent."""
        await ended(self._tasks)


def documented(job: Job, principal: Principal, *, brief: bool = False) -> dict[str, Any]:
    """The document of a job. ``brief``: without its chargers."""
    items = [one for one in job.items if principal.sees(one.site or None)]
    return {
        "id": job.id,
        "what": job.what,
        "by": job.by,
        "at": times.text(job.at),
        "total": len(items),
        "done": sum(one.state is State.DONE for one in items),
        "items": [
            {
                "charger": one.charger,
                "state": one.state.value,
                "outcome": one.outcome,
                "status": one.status,
                "meaning": one.meaning,
            }
            for one in (() if brief else items)
        ],
    }
