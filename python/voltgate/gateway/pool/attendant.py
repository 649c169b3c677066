"""A worker's end of the control line: sends beats, follows orders, drains when the supervisor is gone."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Protocol

import structlog

from voltgate.config import Config
from voltgate.gateway import reload
from voltgate.gateway.listening import Listening
from voltgate.gateway.pool.control import BEAT, Beat, Hello, Line, Word
from voltgate.gateway.pool.merged import portable
from voltgate.gateway.reload import ReloadError
from voltgate.gateway.telemetry.metrics import Metrics

log = structlog.get_logger()

_EAGER = 0.1  # seconds between beats until the listeners are open, which starts the other workers


class Worker(Protocol):
    """The part of ``gateway.worker.Worker`` that is used here."""

    config: Config
    metrics: Metrics
    draining: bool
    listening: Listening
    filled: asyncio.Event

    @property
    def full(self) -> bool:
        """Whether it has as many chargers as it may."""

    async def run(self) -> None:
        """Serve until stopped."""

    def checks(self) -> dict[str, str]:
        """Readiness checks: name -> "" or the fault."""

    def reload(self, config: Config, tickets: bytes) -> None:
        """Apply new settings. Raises ReloadError."""

    def reload_failed(self) -> None:
        """New settings were refused before they came here."""

    def stop(self) -> None:
        """Drain; on the second call, exit immediately."""

    def abandon(self) -> None:
        """Drain without grace."""


class _Asked(Enum):
    """Why a worker has to drain."""

    SIGNAL = "signal"
    ORDER = "order"  # of the supervisor
    ALONE = "alone"  # the supervisor is gone


class Attendant:
    """Runs a worker under a supervisor. See :meth:`run`."""

    def __init__(self, line: Line, worker: Worker) -> None:
        self._line, self._worker = line, worker
        self._asked = dict.fromkeys(_Asked, 0)
        self._serving: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until a signal, an order, or the end of the supervisor. Raises what the worker raises."""
        self._serving = serving = asyncio.create_task(self._worker.run())
        attending = asyncio.create_task(self._attend())
        serving.add_done_callback(lambda _: attending.cancel())
        await asyncio.wait({serving, attending}, return_when=asyncio.FIRST_EXCEPTION)
        for task in (serving, attending):
            task.cancel()
        await asyncio.wait({serving, attending})
        for task in (attending, serving):
            if not task.cancelled():
                task.result()

    def signalled(self) -> None:
        """SIGTERM or SIGINT to this process."""
        self._ask(_Asked.SIGNAL)

    def _ask(self, by: _Asked) -> None:
        # A service manager may signal every process of the group while the supervisor forwards its signal,
        # or because the supervisor died: that is one request, not two.
        before = max(self._asked.values())
        self._asked[by] += 1
        if max(self._asked.values()) > before:
            self._leave(self._worker.stop)

    def _leave(self, leave: Callable[[], None]) -> None:
        if self._worker.listening.is_open or self._worker.draining:
            leave()
        elif self._serving is not None:  # before the listeners are open there is nothing to drain
            self._serving.cancel()

    async def _attend(self) -> None:
        beating = asyncio.create_task(self._beat())
        try:
            async for word, content in self._line.lines():
                match word:
                    case Word.LEAVE:
                        self._ask(_Asked.ORDER)
                    case Word.RELOAD:
                        self._reload(*content)
                    case Word.ACCEPT:
                        self._worker.listening.accept_on(content)
                    case Word.RELOAD_FAILED:
                        self._worker.reload_failed()
                    case Word.METRICS:
                        self._line.send(Word.METRICS, portable(self._worker.metrics))
        finally:
            beating.cancel()
        log.error("supervisor.lost")
        self._asked[_Asked.ALONE] = 1
        self._leave(self._worker.abandon)

    def _reload(self, settings: dict[str, Any], tickets: str) -> None:
        try:
            self._worker.reload(reload.taken(self._worker.config, settings), bytes.fromhex(tickets))
        except ReloadError as error:
            log.error("reload.failed", error=str(error), kept="the configuration in force")

    async def _beat(self) -> None:
        while True:
            open_, filled = self._worker.listening.is_open, self._worker.filled
            filled.clear()
            self._line.send(Word.BEAT, Beat(self._worker.checks(), open_, self._worker.full))
            await self._line.drained()
            with suppress(TimeoutError):
                # A full worker does not wait with it: new chargers can go to another one.
                async with asyncio.timeout(BEAT if open_ else _EAGER):
                    await filled.wait()


def settled(config: Config, hello: Hello) -> Config:
    """The configuration with the ports and settings that the supervisor has settled for all workers."""
    listeners = [
        listener.model_copy(update={"port": port})
        for listener, port in zip(config.listeners, hello.ports, strict=True)
    ]
    return reload.taken(config.model_copy(update={"listeners": listeners}), hello.settings)
