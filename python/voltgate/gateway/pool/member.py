"""One worker as the supervisor sees it: a place, and the process that has it for a while.

waiting --spawn--> starting --doors open--> serving --process ends--> waiting (back-off)
                      |                        |
                      +--- no beat: SIGKILL ---+
"""

import asyncio
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from voltgate.gateway.pool import control
from voltgate.gateway.pool.control import Hello

# In beats. A loop that did not turn for so long has lost its chargers' patience already (OCPP stacks give a
# call 30 s); a start has schemas to compile, maybe on a machine that starts everything at once.
SILENCE, START = 10, 60
SCRAPE = 1.0  # seconds a worker may take to tell its numbers: scrapers give the whole page about ten


@dataclass(frozen=True, slots=True)
class Command:
    """How a worker is started; ``--control FD`` is added. It inherits ``descriptors`` and nothing else."""

    words: list[str]
    descriptors: tuple[int, ...] = ()


class Member:
    """One worker's place, and who has it now."""

    def __init__(self, number: int, opened: Callable[[], None]) -> None:
        self.number = number
        self.silenced = False  # this life was ended by us
        self._opened = opened
        self._process: asyncio.subprocess.Process | None = None
        self._line: control.Line | None = None
        self._checks: dict[str, str] | None = None  # of the last beat
        self._quiet = 0
        self._told_to_leave = 0
        self._numbers: asyncio.Future[list[Any] | None] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    async def live(self, command: Command, hello: Callable[[int], Hello]) -> int:
        """One life, from start to end: the exit code, or minus the signal. Raises OSError."""
        self._checks, self._quiet, self.silenced = None, 0, False
        ours, theirs = socket.socketpair()
        with theirs:
            line = await control.line(ours)
            hearing = asyncio.create_task(self._hear(line))
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command.words,
                    f"--control={theirs.fileno()}",
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *command.descriptors),
                    start_new_session=True,  # Ctrl-C is for us: they leave when told
                )
                theirs.close()  # else its end would never be seen
                line.say("hello", asdict(hello(self.number)))
                for _ in range(self._told_to_leave):
                    line.say("leave")
                self._line = line  # orders come behind the greeting
                return await self._process.wait()
            finally:
                self._process = None
                line.close()
                self._line = None
                hearing.cancel()
                if self._numbers is not None and not self._numbers.done():
                    self._numbers.set_result(None)

    async def _hear(self, line: control.Line) -> None:
        async for what, content in line.hear():
            if what == "beat":
                self._quiet, self._checks = 0, content["checks"]
                if content["open"]:
                    self._opened()
            elif what == "metrics" and self._numbers is not None and not self._numbers.done():
                self._numbers.set_result(content)

    def tick(self) -> None:
        """One beat later. Our own ticks are counted, not seconds: who was frozen may have been us."""
        self._quiet += 1
        if self.running and self._quiet > (START if self._checks is None else SILENCE):
            self.silenced = True
            self.kill()

    def say(self, what: str, content: Any = None) -> None:
        """An order, to whom it may concern."""
        if self._line is not None:
            self._line.say(what, content)

    def leave(self) -> None:
        """Tell the worker to drain; again: to leave at once. One that is just being started is told too."""
        self._told_to_leave += 1
        self.say("leave")

    def kill(self) -> None:
        """SIGKILL."""
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.kill()

    async def numbers(self) -> list[Any] | None:
        """The worker's metrics (``merged.portable``), None where it does not tell them in time."""
        if self._line is None:
            return None
        if self._numbers is None or self._numbers.done():
            # At most one question is open: what a frozen worker does not read must not pile up.
            self._numbers = asyncio.get_running_loop().create_future()
            self._line.say("metrics")
        asked = self._numbers
        await asyncio.wait({asked}, timeout=SCRAPE)
        return asked.result() if asked.done() else None

    def checks(self) -> dict[str, str]:
        """Its readiness checks, and whether it is there to make them."""
        there = "" if self.running else "not running"
        if self.running and self._checks is None:
            there = "starting"
        elif self.running and self._quiet > SILENCE // 3:
            there = f"silent for {self._quiet} s"
        return {"process": there, **(self._checks or {})} if self.running else {"process": there}
