"""The processes of a swarm: starts them with their plans, sends orders, merges their reports."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson

from voltgate.charger.plan import Plan, Report
from voltgate.charger.tally import Tally
from voltgate.charger.worker import MAX_LINE

END_SECONDS = 5.0


class SwarmError(Exception):
    """A process of the swarm ended too early."""


class Processes:
    """Made by :func:`processes`."""

    def __init__(self, running: list[asyncio.subprocess.Process]) -> None:
        self._running = running
        self._orders = 0
        self._reports: list[Report | None] = [None] * len(running)
        self._news = asyncio.Event()
        self._listeners = [asyncio.create_task(self._listen(number)) for number in range(len(running))]

    async def news(self) -> None:
        """Wait for the next report of any process. Raises SwarmError."""
        waiting = asyncio.create_task(self._news.wait())
        ended = {listener for listener in self._listeners if not listener.done()}
        await asyncio.wait({waiting, *ended}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self._news.clear()
        for listener in self._listeners:
            if listener.done():
                listener.result()

    @property
    def final(self) -> bool:
        """Whether every process has sent its last report."""
        return all(report is not None and report.final for report in self._reports)

    def report(self) -> tuple[Report, Tally]:
        """The merged reports of all processes."""
        known = [report for report in self._reports if report is not None]
        tally = Tally()
        for report in known:
            tally.merge(report.tally)
        together = Report(
            orders=min((report.orders for report in known), default=0),
            joined=sum(report.joined for report in known),
            gave_up=sum(report.gave_up for report in known),
            behind=max((report.behind for report in known), default=0.0),
            began_at=min((report.began_at for report in known), default=0.0),
            joined_at=max((report.joined_at for report in known), default=0.0),
            answered_at=max((report.answered_at for report in known), default=0.0),
            memory=sum(report.memory for report in known),
            final=self.final,
        )
        return together, tally

    def order(self, do: str, **details: Any) -> int:
        """Send an order to every process; its number in ``Report.orders``."""
        self._orders += 1
        for process in self._running:
            assert process.stdin is not None
            process.stdin.write(orjson.dumps({"do": do, **details}) + b"\n")
        return self._orders

    async def _listen(self, number: int) -> None:
        process = self._running[number]
        assert process.stdout is not None
        while line := await process.stdout.readline():
            report = self._reports[number] = Report(**orjson.loads(line))
            self._news.set()
            if report.final:
                return
        code = await process.wait()
        raise SwarmError(f"a process of the swarm ended early with exit code {code}")


@asynccontextmanager
async def processes(plans: list[Plan]) -> AsyncIterator[Processes]:
    """Run one process per plan during the block. They also end if this process dies."""
    running: list[asyncio.subprocess.Process] = []
    fleet: Processes | None = None
    try:
        for plan in plans:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "voltgate.charger.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
                start_new_session=True,  # Ctrl-C is for this process, which ends the others in order
            )
            running.append(process)
            assert process.stdin is not None
            process.stdin.write(orjson.dumps(plan) + b"\n")
        fleet = Processes(running)
        yield fleet
    finally:
        if fleet is not None:
            for listener in fleet._listeners:
                listener.cancel()
        for process in running:
            await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
