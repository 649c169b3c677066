"""Several workers share the listeners' ports; this process starts, watches and replaces them.

It has no charger's socket, no NATS connection and no state of value: all its information about a worker comes
over that worker's ``control`` line.
"""

import asyncio
import random
import secrets
import signal
from contextlib import suppress
from typing import Literal, get_args

import structlog

from voltgate.config import Config
from voltgate.gateway import reload
from voltgate.gateway.admin import Readiness
from voltgate.gateway.pool.assignment import assignment
from voltgate.gateway.pool.control import BEAT, Hello, Word
from voltgate.gateway.pool.member import Argv, Member
from voltgate.gateway.pool.merged import Merged, Supervision
from voltgate.gateway.pool.sockets import Kept

log = structlog.get_logger()

RestartReason = Literal[
    "ended", "killed", "silent"
]  # exited; killed by a signal; killed by the supervisor for missing beats
TICKETS = 32  # bytes of the secret that workers make the keys of session tickets with
FIRST_PAUSE, LAST_PAUSE, SETTLED = 0.5, 30.0, 60.0  # seconds


class Backoff:
    """The pause before a restart: doubled each time, reset after a run of a minute."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def after(self, ran: float) -> float:
        """Seconds to wait after a run of ``ran`` seconds, jittered: workers may die together."""
        if ran >= SETTLED:
            self._next = FIRST_PAUSE
        pause, self._next = self._next, min(self._next * 2, LAST_PAUSE)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 - jitter


class Supervisor:
    """Keeps ``count`` workers running until :meth:`leave`. See :meth:`run`."""

    def __init__(self, argv: Argv, kept: Kept, config: Config) -> None:
        """A worker for each set of sockets in ``kept``."""
        self.metrics = Supervision()
        for reason in get_args(RestartReason):
            self.metrics.restarts.cell(reason)
        self.metrics.running.read = lambda: [((), float(sum(m.running for m in self._members)))]
        self._kept, self._descriptors, self._settings = kept, kept.descriptors, reload.settings(config)
        inherited = [fd for one in self._descriptors for listener in one for fd in listener]
        self._argv = Argv(argv.words, (*argv.descriptors, *inherited))
        self._reload_failed, self._tickets = False, secrets.token_hex(TICKETS)
        self.opened = asyncio.Event()
        """The listeners of a worker are open, or were."""
        self.started = asyncio.Event()
        """So are those of every worker whose first process has not ended."""
        self._leaving = asyncio.Event()
        self._members = [Member(number, self._changed) for number in range(len(kept.sets))]

    async def run(self) -> int:
        """Serve until :meth:`leave`; the exit code. The first worker listens before the others start."""
        watching = asyncio.create_task(self._watch())
        opening = asyncio.create_task(self.opened.wait())
        first, *others = self._members
        keeping = [asyncio.create_task(self._keep(first))]
        try:
            await asyncio.wait({keeping[0], opening}, return_when=asyncio.FIRST_COMPLETED)
            if not (keeping[0].done() or self._leaving.is_set()):
                keeping += [asyncio.create_task(self._keep(member)) for member in others]
            codes = await asyncio.gather(*keeping)
        finally:
            for task in (watching, opening, *keeping):
                task.cancel()
        # Minus a signal is not an exit code.
        return next((code if code > 0 else 1 for code in codes if code), 0)

    def leave(self) -> None:
        """Drain all workers; on the second call, exit immediately (docs/contract.md 4.5)."""
        self._leaving.set()
        self._kept.close()  # the workers accept on theirs until their grace is over
        for member in self._members:
            member.leave()

    def kill(self) -> None:
        """Kill every worker."""
        for member in self._members:
            member.kill()

    def reload(self, config: Config) -> None:
        """Apply the settings to every worker, also to those started later (docs/contract.md 4.2)."""
        self._settings, self._reload_failed = reload.settings(config), False
        self._tickets = secrets.token_hex(TICKETS)
        for member in self._members:
            member.send(Word.RELOAD, [self._settings, self._tickets])

    def reload_failed(self) -> None:
        """The configuration was refused: every worker shows it."""
        self._reload_failed = True
        for member in self._members:
            member.send(Word.RELOAD_FAILED)

    def readiness(self) -> Readiness:
        """Ready while at least one worker is ready and the supervisor is not leaving.

        Not before the others have started: one worker would get the chargers of all.
        """
        leaving = "leaving" if self._leaving.is_set() else ""
        starting = "" if self.started.is_set() else "workers are starting"
        results, ready, closed = {"draining": leaving}, False, "no worker's listeners are open"
        for member in self._members:
            checks = member.checks()
            ready = ready or not any(checks.values())
            if member.accepts:
                closed = ""
            results |= {f"worker {member.number} {name}": fault for name, fault in checks.items()}
        pids = {f"worker {member.number}": member.pid for member in self._members if member.pid is not None}
        return Readiness(ready and not (leaving or starting), results, pids, leaving or starting or closed)

    async def scrape(self) -> Merged:
        """The metrics of the supervisor and of all workers that answer in time."""
        answers = await asyncio.gather(*(member.metrics() for member in self._members))
        self.metrics.scraped.read = lambda: [
            ((str(number),), float(answer is not None)) for number, answer in enumerate(answers)
        ]
        return Merged(self.metrics, [answer for answer in answers if answer is not None])

    def _hello(self, number: int) -> Hello:
        return Hello(
            number,
            self._kept.ports,
            self._descriptors,
            self._settings,
            self._tickets,
            self._reload_failed,
        )

    def _changed(self, member: Member) -> None:
        """A worker has beaten, or ended: chargers go to those that have room."""
        if member.was_open:
            self.opened.set()
        if self.opened.is_set() and all(one.has_started for one in self._members):
            self.started.set()
        if not self._leaving.is_set():
            for one, sets in zip(
                self._members, assignment([one.state for one in self._members]), strict=True
            ):
                one.accept_on(sets)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            for member in self._members:
                member.tick()

    async def _keep(self, member: Member) -> int:
        """Run one process after another until :meth:`leave`; the exit code of the last one."""
        loop, backoff = asyncio.get_running_loop(), Backoff()
        while True:
            began = loop.time()
            try:
                code = await member.live(self._argv, self._hello)
            except OSError as error:  # the process could not be started
                if self._leaving.is_set():
                    return 0  # its sockets are closed
                if not self.opened.is_set():
                    raise
                code = 1
                log.error("worker.start_failed", worker=member.number, error=str(error))
            if self._leaving.is_set() or not self.opened.is_set():
                if self._leaving.is_set() and code == -signal.SIGTERM:
                    return 0  # the whole process group was signalled while this process started
                if code < 0:  # else the worker has logged the reason
                    log.error("worker.exited", worker=member.number, signal=_name(-code))
                return code
            reason: RestartReason = "silent" if member.silenced else "killed" if code < 0 else "ended"
            self.metrics.restarts.add(reason)
            pause = backoff.after(loop.time() - began)
            how = {"signal": _name(-code)} if code < 0 else {"code": code}
            log.warning(
                "worker.exited", worker=member.number, reason=reason, **how, restart_in=round(pause, 2)
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), pause)
                return 0


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)
