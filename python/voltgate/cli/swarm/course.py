"""The phases of a run: connect, load, faults, end."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from voltgate.charger.plan import Plan, Report, tls
from voltgate.charger.processes import Processes, SwarmError, processes
from voltgate.charger.tally import Tally
from voltgate.charger.wire import why
from voltgate.cli.faults import Failure
from voltgate.cli.service import on_signals
from voltgate.cli.swarm.commander import Commander
from voltgate.cli.swarm.consumer import Consumers
from voltgate.cli.swarm.figures import Course, Wish
from voltgate.cli.swarm.progress import LINE_SECONDS, Progress
from voltgate.cli.swarm.search import Search
from voltgate.ending import ended

CONNECT_SECONDS = 5.0
ADMIT_SECONDS = 60.0  # at least one more charger must be admitted within this time
GRACE = 35.0  # seconds after the plan's end; a call times out after 30
HURRY = 2.0  # after Ctrl-C


@dataclass(slots=True, kw_only=True)
class Run:
    """One swarm. :meth:`follow` runs all phases; ``stop`` is set by the first signal."""

    wish: Wish
    plans: list[Plan]
    commander: Commander | None = None
    consumers: Consumers | None = None
    search: Search | None = None

    async def follow(self, show: Progress) -> tuple[Course, Report, Tally]:
        """Run all phases. Raises Failure."""
        stop = asyncio.Event()
        on_signals(stop.set)
        try:
            async with AsyncExitStack() as stack:
                if self.commander is not None:
                    await stack.enter_async_context(self.commander)
                await _reachable(self.plans[0])
                if self.consumers is not None:
                    await stack.enter_async_context(self.consumers)
                fleet = await stack.enter_async_context(processes(self.plans))
                course = await Phases(self, fleet, show, stop).run()
                course.windows = [] if self.search else show.series.windows
                return course, *fleet.report()
        except SwarmError as error:
            raise Failure(str(error)) from None


class Phases:
    """The phases of a run whose processes have been started."""

    def __init__(self, run: Run, fleet: Processes, show: Progress, stop: asyncio.Event) -> None:
        self._run, self._wish, self._fleet, self._show, self._stop = run, run.wish, fleet, show, stop

    async def run(self) -> Course:
        """All of them, until ``stop`` is set."""
        course = await self._connect()
        if not self._stop.is_set():
            await (self._search(course) if self._run.search else self._load(course))
        await self._end()
        return course

    async def _connect(self) -> Course:
        await self._all_in()
        report, tally = self._fleet.report()
        if report.joined == 0 and not self._stop.is_set():
            raise Failure(f"no charger was admitted: {obstacle(tally)}")
        return Course(connecting=report.joined_at - report.began_at if report.joined else 0.0)

    async def _load(self, course: Course) -> None:
        wish, commander = self._wish, self._run.commander
        self._fleet.order("load")
        course.began = monotonic()
        if self._run.consumers is not None:
            await self._run.consumers.stop_reading()
        commanding = asyncio.create_task(commander.load(wish.duration)) if commander else None
        if wish.half_open:
            await self._until(course.began + wish.duration / 4, course)
            if not self._stop.is_set():
                self._fleet.order("silence", share=wish.half_open)
        if wish.storm:
            await self._until(course.began + wish.duration / 2, course)
            if not self._stop.is_set():
                await self._storm(course)
        await self._until(course.began + wish.duration, course)
        course.loaded = monotonic() - course.began
        self._fleet.order("pause")
        if commander is not None and commanding is not None:
            while not commanding.done() and not self._stop.is_set():
                await self._news()
                self._show("commands", 1.0, *self._fleet.report())
            await ended([commanding])
            course.commands = commander.figures()

    async def _storm(self, course: Course) -> None:
        struck = monotonic()
        order = self._fleet.order("storm")
        course.returned = await self._all_in("storm", order)
        back = self._fleet.report()[0].joined_at
        course.storm = (back if course.returned else monotonic()) - struck

    async def _search(self, course: Course) -> None:
        assert self._run.search is not None
        course.began = monotonic()
        steps = self._run.search
        rate: float | None = steps.first
        while rate is not None and not self._stop.is_set():
            before = self._fleet.report()[1]
            self._fleet.order("load", rate=rate)
            began = monotonic()
            await self._until(began + self._wish.duration, course, began)
            order = self._fleet.order("pause")
            drained = await self._drained(order)
            report, tally = self._fleet.report()
            rate = steps.next(
                rate, max(self._wish.duration, report.answered_at - began), before, report, tally
            )
            if not drained:
                break  # calls of this step would be counted in the next one
        course.loaded = monotonic() - course.began
        course.found = steps.figures()

    async def _drained(self, order: int) -> bool:
        """Wait for the answers to the calls of a step."""
        end = monotonic() + GRACE
        while not self._stop.is_set() and monotonic() < end:
            report, tally = self._fleet.report()
            if report.orders >= order and tally.open == 0:
                return True
            await self._news()
        return False

    async def _end(self) -> None:
        """Wait for the answers to open calls, for ``HURRY`` seconds once ``stop`` is set."""
        hurried = False
        self._fleet.order("finish", grace=GRACE)
        while not self._fleet.final:
            if self._stop.is_set() and not hurried:
                hurried = True
                self._fleet.order("finish", grace=HURRY)
            await self._news(heed=not hurried)
            self._show("ending", 1.0, *self._fleet.report())

    async def _all_in(self, phase: str = "connecting", order: int = 0) -> bool:
        """Wait until every charger has joined or been rejected; whether all have joined."""
        best, deadline = -1, monotonic() + ADMIT_SECONDS
        while not self._stop.is_set() and monotonic() < deadline:
            await self._news()
            report, tally = self._fleet.report()
            if report.orders < order:
                continue  # the order has not reached every process
            self._show(phase, report.joined / self._wish.chargers, report, tally)
            if report.joined + report.gave_up >= self._wish.chargers:
                return report.gave_up == 0
            if report.joined > best:
                best, deadline = report.joined, monotonic() + ADMIT_SECONDS
        return False

    async def _until(self, moment: float, course: Course, began: float = 0.0) -> None:
        while not self._stop.is_set() and (left := moment - monotonic()) > 0:
            await self._news(left)
            share = (monotonic() - (began or course.began)) / max(self._wish.duration, 1e-9)
            self._show("load", share, *self._fleet.report())

    async def _news(self, longest: float = LINE_SECONDS, heed: bool = True) -> None:
        """Wait for a report, ``stop`` (if ``heed``), or the timeout."""
        tasks: set[asyncio.Task[Any]] = {asyncio.create_task(self._fleet.news())}
        if heed:
            tasks.add(asyncio.create_task(self._stop.wait()))
        done, waiting = await asyncio.wait(tasks, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()


async def _reachable(plan: Plan) -> None:
    parts = urlsplit(plan.url)
    secure = parts.scheme == "wss"
    context = tls(plan, plan.chargers[0][0])
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if secure else 80), ssl=context
            )
    except (OSError, TimeoutError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else why(error)
        hint = (
            "; does this port speak TLS?" if secure and not isinstance(error, ConnectionRefusedError) else ""
        )
        raise Failure(
            f"cannot connect to {plan.url} ({reason}{hint}): start a gateway, for example `voltgate dev`, "
            "or set --url"
        ) from None
    writer.transport.abort()


def obstacle(tally: Tally) -> str:
    """Why chargers that could dial were not admitted."""
    if tally.boots:
        statuses = ", ".join(f"{status} ({count} times)" for status, count in tally.boots.most_common(3))
        return (
            f"BootNotification was answered {statuses}; without a backend it is Pending: "
            "start one, for example `voltgate backend`"
        )
    if tally.timeout or tally.sent > tally.answered + tally.errors:
        return "connected, but no answer to BootNotification"
    return ", ".join(reason for reason, _ in tally.refused.most_common(3)) or "no answer"
