"""``voltgate serve --workers N``: the supervisor's side of it, and the hidden command its workers are."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from voltgate import __version__
from voltgate import config as configuration
from voltgate.cli.faults import INTERRUPTED, USAGE, Failure
from voltgate.cli.service import checks, loaded, on_signals, run
from voltgate.cli.terminal import ConfigFile
from voltgate.config import Config, Limits

if TYPE_CHECKING:
    from voltgate.gateway.pool.control import Hello, Line
    from voltgate.gateway.worker import Worker

app = typer.Typer()
log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1  # prctl(2)
_EAGER = 0.1  # seconds between beats until the doors are open: the other workers wait for that


# -- the supervisor -----------------------------------------------------------------------------------


async def supervise(config: Config, file: Path | None, count: int) -> int:
    """Serve with ``count`` workers until a signal; the exit code."""
    from voltgate.gateway import admin  # noqa: PLC0415
    from voltgate.gateway.pool import sockets  # noqa: PLC0415 - start-up of other commands
    from voltgate.gateway.pool.member import Command  # noqa: PLC0415
    from voltgate.gateway.pool.supervisor import Supervisor  # noqa: PLC0415

    # -P: what lies in the working directory is no part of us.
    command = Command([sys.executable, "-P", "-m", "voltgate", "worker", f"--release={__version__}"])
    if file is not None:
        copy = _copy(file)
        command = Command([*command.words, f"--config=/proc/self/fd/{copy}"], (copy,))
    with sockets.kept(config.listeners) as ports:
        supervisor = Supervisor(command, count, ports, config.limits.model_dump())
        runner = await admin.serve(config.admin, supervisor.scrape, supervisor.readiness)
        signals = 0

        def leave() -> None:
            nonlocal signals
            signals += 1
            if signals > 2:
                supervisor.kill()
                os._exit(INTERRUPTED)
            supervisor.leave()

        def reload() -> None:
            try:
                supervisor.reload(configuration.load(file).limits.model_dump())
            except configuration.ConfigError as fault:
                log.error("reload.refused", fault=str(fault), kept="what was")

        on_signals(leave, reload)
        try:
            return await supervisor.run()
        finally:
            await runner.cleanup()


def _copy(file: Path) -> int:
    """The file as it is now: a worker that is replaced next month gets what the others have, not an edit."""
    copy = os.memfd_create(file.name)
    os.write(copy, file.read_bytes())
    return copy


# -- a worker -----------------------------------------------------------------------------------------


@app.command("worker", hidden=True)
def serve_worker(
    control: Annotated[int, typer.Option(metavar="FD", help="The socket to the supervisor.")],
    release: Annotated[str, typer.Option(metavar="X.Y.Z", help="The supervisor's.")] = "",
    config: ConfigFile = None,
) -> None:
    """One of the processes of `voltgate serve --workers N`, which starts it."""
    if release not in ("", __version__):
        # What they say to each other, and the configuration file, may have changed with the package.
        raise Failure(
            f"this worker is of release {__version__}, its supervisor of {release}: the package was changed "
            "while it ran: restart `voltgate serve`"
        )
    try:
        sock = socket.socket(fileno=control)
    except OSError:
        raise Failure("this command is for `voltgate serve --workers N` to start", USAGE) from None
    # The supervisor's end is the end of that socket; a worker that is stopped cannot see it, so it is woken.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGCONT))
    run(_work(loaded(config, lasting=True), sock))


async def _work(config: Config, sock: socket.socket) -> None:
    from voltgate.gateway.pool import control  # noqa: PLC0415
    from voltgate.gateway.worker import Worker  # noqa: PLC0415

    line = await control.line(sock)
    hello = await line.greeting()
    if hello is None:
        raise Failure("the supervisor is gone")
    structlog.contextvars.bind_contextvars(worker=hello.worker)
    worker = Worker(_settled(config, hello), hello.worker)
    serving = asyncio.create_task(worker.run())
    leaving = _Leaving(worker, serving)
    on_signals(partial(leaving.wish, "signal"), reload=_no_reload)
    attending = asyncio.create_task(_attend(line, worker, leaving))
    serving.add_done_callback(lambda _: attending.cancel())
    await asyncio.wait({serving, attending}, return_when=asyncio.FIRST_EXCEPTION)
    for task in (serving, attending):
        task.cancel()
    await asyncio.wait({serving, attending})
    for task in (attending, serving):
        if not task.cancelled():
            task.result()


def _no_reload() -> None:
    """Limits come from the supervisor."""


class _Leaving:
    """How a worker is asked to go, by whom, how often."""

    def __init__(self, worker: "Worker", serving: "asyncio.Task[None]") -> None:
        self._worker, self._serving = worker, serving
        # A service manager may signal every process of the group while the supervisor passes its signal on,
        # or because the supervisor fell: that is one wish, not two.
        self._wishes = {"signal": 0, "order": 0, "alone": 0}

    def wish(self, whose: str) -> None:
        """The first begins the drain, the second ends it."""
        before = max(self._wishes.values())
        self._wishes[whose] += 1
        if max(self._wishes.values()) > before:
            self._go(self._worker.stop)

    def alone(self) -> None:
        """The supervisor is gone, and so shall we be."""
        log.error("supervisor.gone")
        self._wishes["alone"] = 1
        self._go(self._worker.abandon)

    def _go(self, leave: Callable[[], None]) -> None:
        if self._worker.addresses or self._worker.draining:
            leave()
        else:  # who has not opened a door yet has nobody to see off
            self._serving.cancel()


def _settled(config: Config, hello: "Hello") -> Config:
    """The configuration with what the supervisor has settled for all."""
    listeners = [
        listener.model_copy(update={"port": port})
        for listener, port in zip(config.listeners, hello.ports, strict=True)
    ]
    return config.model_copy(update={"listeners": listeners, "limits": Limits(**hello.limits)})


async def _attend(line: "Line", worker: "Worker", leaving: _Leaving) -> None:
    """Beat, and do what the supervisor says, until it is gone."""
    from voltgate.gateway.pool.merged import portable  # noqa: PLC0415

    beating = asyncio.create_task(_beat(line, worker))
    try:
        async for what, content in line.hear():
            if what == "leave":
                leaving.wish("order")
            elif what == "limits":
                worker.reload(worker.config.model_copy(update={"limits": Limits(**content)}))
            elif what == "metrics":
                line.say("metrics", portable(worker.metrics))
    finally:
        beating.cancel()
    leaving.alone()


async def _beat(line: "Line", worker: "Worker") -> None:
    from voltgate.gateway.pool.control import BEAT  # noqa: PLC0415

    while True:
        open_ = bool(worker.addresses)
        line.say("beat", {"checks": checks(worker.checks(), worker.addresses), "open": open_})
        await line.heard()
        await asyncio.sleep(BEAT if open_ else _EAGER)
