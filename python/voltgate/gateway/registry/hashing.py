"""The process that computes slow hashes, as its worker sees it: started when it is needed, and again.

none --a question--> starting --> answering --it ends--> none, after AGAIN
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import orjson
import structlog

log = structlog.get_logger()

AGAIN = 1.0  # seconds after the end of the process before another is started


class Hashed(NamedTuple):
    """The answer: a hash, or None where no hash was passed, and the seconds it took."""

    hash: str | None
    seconds: float


Answered = Callable[[Hashed | None], None]
"""None: it cannot be known now."""


class Hasher(Protocol):
    """Answers questions about slow hashes; ``threads`` of them at the same time."""

    threads: int

    def check(self, hashes: Sequence[str], password: bytes, answered: Answered) -> None:
        """Which of ``hashes`` the password passes."""

    def keep(self, password: bytes, random: bool, hashes: Sequence[str], answered: Answered) -> None:
        """The hash to keep of a password: the one of ``hashes`` that it passes, else a new one."""

    async def stop(self) -> None:
        """Answer nothing more."""


class Hashing:
    """See the module, and Hasher."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._asked: dict[int, Answered] = {}
        self._count = 0
        self._unsent: list[bytes] = []
        self._stdin: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = self._resting = False

    def check(self, hashes: Sequence[str], password: bytes, answered: Answered) -> None:
        """See Hasher."""
        self._ask({"hashes": hashes, "password": password.hex()}, answered)

    def keep(self, password: bytes, random: bool, hashes: Sequence[str], answered: Answered) -> None:
        """See Hasher."""
        self._ask({"hashes": hashes, "password": password.hex(), "random": random}, answered)

    async def stop(self) -> None:
        """See Hasher."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()  # once: the next one would reach it while it waits for the end of the process
            await asyncio.wait([self._task])

    def _ask(self, question: dict[str, object], answered: Answered) -> None:
        if self._resting or self._stopped:
            answered(None)
            return
        self._count += 1
        self._asked[self._count] = answered
        line = orjson.dumps({"id": self._count, **question}) + b"\n"
        if self._stdin is not None:
            self._stdin.write(line)
            return
        self._unsent.append(line)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._answer()
            log.warning("hasher.ended")
        except OSError as error:
            log.error("hasher.failed", error=str(error))
        finally:
            self._stdin, self._resting = None, True
            self._unsent.clear()
            asked, self._asked = self._asked, {}
            for answered in asked.values() if not self._stopped else ():
                answered(None)
        await asyncio.sleep(AGAIN)
        self._resting, self._task = False, None

    async def _answer(self) -> None:
        """Until the process ends."""
        command = [sys.executable, "-P", "-m", "voltgate.gateway.registry.hasher", str(self.threads)]
        # A session of its own: there the processes of one share what CPU they get (sched(7), autogroup).
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            self._stdin = process.stdin
            self._stdin.writelines(self._unsent)
            self._unsent.clear()
            while line := await process.stdout.readline():
                found = orjson.loads(line)
                answered = self._asked.pop(found["id"])
                if error := found.get("error"):
                    log.error("hasher.failed", error=error)
                    answered(None)
                else:
                    answered(Hashed(found["hash"], found["seconds"]))
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()  # to the end of its pipes, else the loop may be closed before them
