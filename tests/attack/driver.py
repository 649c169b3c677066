"""The process of an attacker.

``python -m attack.driver`` reads one JSON line (an :class:`Order`), attacks from the next line until the one
behind it or the end of its input, and writes one JSON line (an :class:`Outcome`).
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from attack.target import Ports

TESTS = Path(__file__).parent.parent
SOURCE = "127.0.0.2"
"""The address attackers dial from; the well-behaved chargers have 127.0.0.1."""


class AttackerError(Exception):
    """The process of the attacker failed; stderr has its traceback."""


def computed_elsewhere() -> None:
    """Run only while nobody else wants a core.

    For attackers whose handshakes cost as much as the gateway's: in the field other machines compute them.
    With a low priority alone, whoever wakes still waits until the attacker's slice of 3 ms ends.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # That counts among the processes of one session, where Linux groups them by sessions (sched(7)).
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


@dataclass(frozen=True)
class Order:
    """What to do. ``round`` makes identities new for each round, so each starts with full budgets."""

    attack: str
    round: int
    ports: Ports
    workers: list[int]
    """Process ids of the gateway, whose CPU an attack may want to know."""


@dataclass
class Attacker:
    """What an attack has at hand."""

    order: Order
    stop: asyncio.Event
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def ports(self) -> Ports:
        """Of the target."""
        return self.order.ports

    def identity(self, name: str) -> str:
        """``name``, new in each round."""
        return f"{name}-{self.order.round}"

    async def pause(self, seconds: float) -> bool:
        """Wait, or until the attack is to stop; whether it goes on."""
        try:
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        except TimeoutError:
            return True
        return False

    async def until_stop(self, *works: Coroutine[Any, Any, None]) -> None:
        """Run all of them until the attack is to stop; an exception in one of them is raised."""
        tasks = [asyncio.create_task(work) for work in works]
        stopping = asyncio.create_task(self.stop.wait())
        try:
            while not stopping.done():
                waiting = {stopping, *(task for task in tasks if not task.done())}
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)

    def expect(self, holds: bool, what: str) -> None:
        """Note ``what`` as wrong unless ``holds``; the first ten are kept."""
        if not holds and what not in self.wrong and len(self.wrong) < 10:
            self.wrong.append(what)


@dataclass(frozen=True)
class Outcome:
    """The report of an attacker: what is wrong with the gateway, and counts of what it did."""

    wrong: list[str]
    counts: dict[str, int]


class Driver:
    """The parent's side of the process, for one round."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, order: Order) -> "Driver":
        """A process that waits for :meth:`attack`."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "attack.driver"),
            stdin=pipe,
            stdout=pipe,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(TESTS)},  # pytest has it on its own path only
        )
        driver = cls(process)
        driver._write(json.dumps(asdict(order)))
        assert process.stdout is not None
        await process.stdout.readline()
        return driver

    def attack(self) -> None:
        """Attack from now on."""
        self._write("attack")

    async def finish(self, patience: float) -> Outcome:
        """Stop the attack; what came of it. Raises TimeoutError, AttackerError."""
        self._write("stop")
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(patience):
                line = await self._process.stdout.readline()
                code = await self._process.wait()
        finally:
            self.kill()
        if not line:
            raise AttackerError(f"the attacker ended with {code}")
        return Outcome(**json.loads(line))

    def kill(self) -> None:
        """End the process, whatever it does."""
        if self._process.returncode is None:
            self._process.kill()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")


async def _main() -> None:
    from attack.catalogue import ATTACKS  # the attacks import this module

    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    given = json.loads(await orders.readline())
    order = Order(**given | {"ports": Ports(**given["ports"])})
    attacker = Attacker(order, asyncio.Event())

    async def listen() -> None:
        await orders.readline()
        attacker.stop.set()

    print("ready", flush=True)
    await orders.readline()
    listening = asyncio.create_task(listen())
    await ATTACKS[order.attack].drive(attacker)
    await attacker.stop.wait()
    await listening
    print(json.dumps(asdict(Outcome(attacker.wrong, dict(attacker.counts)))), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
