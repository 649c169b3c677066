"""What the commands that stay share: an event loop, logs, signals, a configuration that can be served."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from voltgate import config as configuration
from voltgate import logs
from voltgate.config import Config

Result = TypeVar("Result")


def loaded(file: Path | None, lasting: bool = False, **flags: Any) -> Config:
    """The configuration, with logs set up as it says. Raises ConfigError."""
    config = configuration.load(file, **flags)
    logs.configure(config.log, lasting)
    return config


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run on uvloop until done."""
    import uvloop  # noqa: PLC0415 - not every command needs a loop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def on_signals(leave: Callable[[], None], reload: Callable[[], None] | None = None) -> None:
    """Call ``leave`` for each signal that asks us to end, also where a shell had them ignored.

    SIGHUP calls ``reload``; without one it ends the process, as when its terminal is closed.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    loop.add_signal_handler(signal.SIGHUP, reload or leave)


def checks(known: dict[str, str], addresses: list[str]) -> dict[str, str]:
    """Readiness of a worker: what it says itself, and that its doors are open."""
    return known | {"listeners": "" if addresses else "not open yet"}


def jetstream_fault(error: Exception) -> str:
    """What an error of the JetStream API means for the operator."""
    description = getattr(error, "description", None)
    if description:
        return f"JetStream refuses: {description} (voltgate streams plan shows what is left to do)"
    return (
        f"JetStream does not answer ({type(error).__name__}): enable it in the NATS server and for this "
        "account, and allow this user to publish to $JS.API.>"
    )


def refusals(config: Config) -> list[str]:
    """Why ``serve`` does not start with this configuration, one line each."""
    from voltgate.gateway.preflight import unserved  # noqa: PLC0415 - start-up of other commands

    return unserved(config)
