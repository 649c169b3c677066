"""Shared by commands: configuration, event loop, signals, connection to NATS."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from voltgate import config as configuration
from voltgate import config_log, logs
from voltgate.cli import hints
from voltgate.cli.faults import INTERRUPTED, Failure
from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.client import Client

Result = TypeVar("Result")


def loaded(file: Path | None, lasting: bool = False, **flags: Any) -> Config:
    """Load the configuration and set up logging. Raises ConfigError."""
    hints.use(file)
    try:
        config = configuration.load(file, **flags)
    except configuration.ConfigError:
        logs.configure(config_log.settings(file), lasting)  # to say so
        raise
    hints.use(file, config)
    logs.configure(config.log, lasting)
    return config


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run on uvloop until done."""
    import uvloop  # noqa: PLC0415 - not every command needs a loop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def connected(config: Config, name: str, **options: Any) -> AsyncIterator["Client"]:
    """A client of NATS for one command. ``options``: more arguments of ``nats.connect``.

    Raises BusError, and Failure for errors of JetStream.
    """
    from nats.errors import Error  # noqa: PLC0415 - not every command needs NATS

    from voltgate.gateway.bus import connect  # noqa: PLC0415
    from voltgate.gateway.preflight import jetstream_fault  # noqa: PLC0415

    client = await connect.connect(config.nats, name=name, **options)
    try:
        yield client
    except (Error, TimeoutError) as error:
        raise Failure(jetstream_fault(error)) from None
    finally:
        await connect.close(client)


def insistent(leave: Callable[[], None], kill: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """A signal handler: ``leave`` on the first two signals, ``kill`` and exit on the third."""
    signals = 0

    def signalled() -> None:
        nonlocal signals
        signals += 1
        if signals > 2:
            kill()
            os._exit(INTERRUPTED)
        leave()

    return signalled


def on_signals(leave: Callable[[], None], reload: Callable[[], None] | None = None) -> None:
    """Call ``leave`` for SIGTERM and SIGINT, even if a shell has set them to be ignored.

    SIGHUP calls ``reload``, or ``leave`` without one: the terminal was closed.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    loop.add_signal_handler(signal.SIGHUP, reload or leave)
