"""Slow consumers of a swarm's facts (``--slow-consumers``): processes of ``voltgate tail`` that are stopped.

A stopped process does not read its socket, so nats-server has to buffer for it and finally to cut it off. The
gateway and its chargers must not notice.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from voltgate.cli.faults import Failure

FIRST_SECONDS = 30.0


class Consumers:
    """Subscribed and stopped during the block; the swarm sends something before, or nothing arrives."""

    def __init__(self, count: int, config: Path | None) -> None:
        self._count = count
        self._options = ["--config", str(config)] if config is not None else []
        self._running: list[Process] = []

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            command = [sys.executable, "-m", "voltgate", "tail", "--json", *self._options]
            self._running.append(
                await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
            )
        return self

    async def stop_reading(self) -> None:
        """Stop each after its first fact: it is subscribed by then. Raises Failure."""
        for process in self._running:
            assert process.stdout is not None
            try:
                async with asyncio.timeout(FIRST_SECONDS):
                    line = await process.stdout.readline()
            except TimeoutError:
                line = b""
            if not line:
                raise Failure(
                    "--slow-consumers: `voltgate tail` receives no facts; does --config name this NATS?"
                )
            process.send_signal(signal.SIGSTOP)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
