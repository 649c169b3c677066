"""One process of ``voltgate swarm``: ``python -m voltgate.charger.worker``.

It reads JSON lines from the process that started it: first the :class:`Plan`, then orders such as
``{"do": "load"}``: ``load`` (``rate`` replaces the plan's), ``pause``, ``storm``, ``silence`` (``share``)
and ``finish`` (``grace``). It writes a :class:`Report` every half second; the last one is ``final``. It also
ends if its parent dies.
"""

import asyncio
import ctypes
import gc
import signal
import sys
from contextlib import suppress

import orjson
import uvloop

from voltgate.charger.plan import Plan, Report
from voltgate.charger.swarm import Swarm

REPORT_SECONDS = 0.5
MAX_LINE = 1 << 26
_PR_SET_PDEATHSIG = 1


def _write(report: Report) -> None:
    sys.stdout.buffer.write(orjson.dumps(report) + b"\n")
    sys.stdout.buffer.flush()


class Worker:
    """Carries out the orders of the parent until it ends the swarm or dies."""

    def __init__(self, plan: Plan) -> None:
        self._swarm = Swarm(plan)
        self._orders = 0
        self._ending: asyncio.Task[None] | None = None
        self._tasks = [asyncio.create_task(self._swarm.connect()), asyncio.create_task(self._report())]

    async def obey(self, orders: asyncio.StreamReader) -> None:
        """Until the end of ``orders``."""
        swarm = self._swarm
        try:
            while line := await orders.readline():
                order = orjson.loads(line)
                match order["do"]:
                    case "load":
                        swarm.load(order.get("rate"))
                    case "pause":
                        swarm.pause()
                    case "storm":
                        swarm.storm()
                    case "silence":
                        swarm.silence(order["share"])
                    case _:  # a second finish shortens the grace
                        swarm.hurry(order["grace"])
                        if self._ending is None:
                            self._ending = asyncio.create_task(self._end())
                            self._ending.add_done_callback(lambda _: orders.feed_eof())
                self._orders += 1
            if self._ending is not None and self._ending.done():
                self._ending.result()
        finally:
            self._cancel()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            _write(self._reported())

    def _reported(self) -> Report:
        report = self._swarm.report()
        report.orders = self._orders
        return report

    async def _end(self) -> None:
        self._tasks[0].cancel()
        await self._swarm.finish()
        self._cancel()
        last = self._reported()
        last.final = True
        await self._swarm.leave()
        _write(last)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _work() -> None:
    orders = asyncio.StreamReader(limit=MAX_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    with suppress(BrokenPipeError):  # the parent has died
        plan = Plan(**orjson.loads(await orders.readline()))
        await Worker(plan).obey(orders)


def main() -> None:
    """Run one process of a swarm."""
    if sys.platform == "linux":
        # The end of stdin has the same effect, but only when the loop reads it (prctl(2)).
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    gc.set_threshold(50_000, 20, 100)  # thousands of long-lived small objects are created
    uvloop.run(_work())


if __name__ == "__main__":
    main()
