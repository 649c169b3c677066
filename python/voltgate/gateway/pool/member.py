"""One worker as the supervisor sees it: a slot, and the process that currently runs in it.

waiting --spawn--> starting --listeners open--> serving --process ends--> waiting (back-off)
                      |                            |
                      +------ no beat: SIGKILL ----+
"""

import asyncio
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from voltgate.gateway.admin import turned_away
from voltgate.gateway.pool import control
from voltgate.gateway.pool.assignment import State
from voltgate.gateway.pool.control import Beat, Hello, Word

# In beats. A loop blocked for longer makes chargers' CALLs time out (OCPP stacks wait 30 s). A start takes
# longer: schemas are compiled, possibly while the whole machine boots.
SILENCE, START = 10, 60
PATIENCE = 5  # beats that a worker that ended may need until it accepts again
SCRAPE = 1.0  # seconds a worker may take to send its metrics; scrapers time out after about ten


@dataclass(frozen=True, slots=True)
class Argv:
    """How a worker is started; ``--control FD`` is added. It inherits ``descriptors`` and nothing else."""

    words: list[str]
    descriptors: tuple[int, ...] = ()


class Member:
    """One worker's slot, and the process in it."""

    def __init__(self, number: int, changed: Callable[["Member"], None]) -> None:
        """``changed(member)`` is called with each beat, and when its process ends."""
        self.number = number
        self.silenced = False  # this process was killed because it did not beat
        self._changed = changed
        self._absent = 0  # ticks without open listeners
        self._was_open = False
        self._has_ended = False  # one of its processes
        self._sets: list[int] = [number]  # what it accepts on
        self._process: asyncio.subprocess.Process | None = None
        self._line: control.Line | None = None
        self._last: Beat | None = None
        self._quiet = 0
        self._leaves = 0  # how many times LEAVE was sent
        self._metrics: asyncio.Future[list[Any] | None] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def state(self) -> State:
        """See assignment.State."""
        if self._last is not None and self._last.open and self.running:
            if self._quiet > SILENCE // 3 or not self.accepts:
                return State.ABSENT
            return State.FULL if self._last.full else State.ROOM
        return State.ABSENT if self._was_open and self._absent > PATIENCE else State.STARTING

    @property
    def was_open(self) -> bool:
        """Whether its listeners are open, or were."""
        return self._was_open

    @property
    def has_started(self) -> bool:
        """Whether it has opened its listeners, or has ended without: its first start is not awaited."""
        return self._was_open or self._has_ended

    def accept_on(self, sets: list[int]) -> None:
        """Let it accept on these sets of sockets."""
        if sets != self._sets:
            self._sets = sets
            self.send(Word.ACCEPT, sets)

    @property
    def accepts(self) -> bool:
        """Whether it takes connections of chargers."""
        return self.running and self._last is not None and not turned_away(self._last.checks)

    async def live(self, argv: Argv, hello: Callable[[int], Hello]) -> int:
        """Run one process from start to end: its exit code, or minus the signal. Raises OSError."""
        self._last, self._quiet, self.silenced = None, 0, False
        self._sets = [self.number]
        ours, theirs = socket.socketpair()
        with theirs:
            line = await control.line(ours)
            listening = asyncio.create_task(self._listen(line))
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *argv.words,
                    f"--control={theirs.fileno()}",
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *argv.descriptors),
                    start_new_session=True,  # Ctrl-C is for the supervisor, which sends LEAVE
                )
                theirs.close()  # else the end of the worker's stream would not be noticed
                line.send(Word.HELLO, hello(self.number))
                for _ in range(self._leaves):
                    line.send(Word.LEAVE)
                self._line = line  # other lines follow the hello
                return await self._process.wait()
            finally:
                self._process, self._has_ended = None, True
                self._changed(self)
                line.close()
                self._line = None
                listening.cancel()
                if self._metrics is not None and not self._metrics.done():
                    self._metrics.set_result(None)

    async def _listen(self, line: control.Line) -> None:
        async for word, content in line.lines():
            if word is Word.BEAT:
                self._quiet, self._last = 0, Beat(**content)
                if self._last.open:
                    self._was_open, self._absent = True, 0
                self._changed(self)
            elif word is Word.METRICS and self._metrics is not None and not self._metrics.done():
                self._metrics.set_result(content)

    def tick(self) -> None:
        """One beat later. Ticks are counted, not seconds: the supervisor itself may have been frozen."""
        self._quiet += 1
        self._absent += 1
        if self.running and self._quiet > (START if self._last is None else SILENCE):
            self.silenced = True
            self.kill()

    def send(self, word: Word, content: object = None) -> None:
        """Send a line, if the worker is connected."""
        if self._line is not None:
            self._line.send(word, content)

    def leave(self) -> None:
        """Make the worker drain; on the second call, exit immediately. Also reaches a starting worker."""
        self._leaves += 1
        self.send(Word.LEAVE)

    def kill(self) -> None:
        """SIGKILL."""
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.kill()

    async def metrics(self) -> list[Any] | None:
        """The worker's metrics (``merged.portable``); None if they do not arrive in time."""
        if self._line is None:
            return None
        if self._metrics is None or self._metrics.done():
            # At most one open request: requests to a frozen worker must not pile up.
            self._metrics = asyncio.get_running_loop().create_future()
            self._line.send(Word.METRICS)
        asked = self._metrics
        await asyncio.wait({asked}, timeout=SCRAPE)
        return asked.result() if asked.done() else None

    def checks(self) -> dict[str, str]:
        """The worker's readiness checks, ``process`` first."""
        if not self.running:
            return {"process": "not running"}
        if self._last is None:
            return {"process": "starting"}
        process = f"silent for {self._quiet} s" if self._quiet > SILENCE // 3 else ""
        return {"process": process, **self._last.checks}
