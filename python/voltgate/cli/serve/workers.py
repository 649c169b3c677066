"""``voltgate serve --workers N``: the supervisor, and the hidden command of its workers."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer

from voltgate import __version__, config_sources
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.serve.systemd import Notify
from voltgate.cli.service import insistent, loaded, on_signals, run
from voltgate.cli.terminal import ConfigFile
from voltgate.config import Config

app = typer.Typer()

_PR_SET_PDEATHSIG = 1  # prctl(2)


Wait = Annotated[
    float,
    typer.Option(
        min=0,
        max=86_400,
        metavar="SECONDS",
        help="Seconds to wait at the start for NATS, JetStream and streams that are not there yet.",
    ),
]
WAIT = 0.0


async def supervise(config: Config, file: Path | None, count: int, wait: float) -> int:
    """Serve with ``count`` workers until a signal; the exit code."""
    from voltgate.cli.serve.reloading import Reloading  # noqa: PLC0415 - start-up of other commands
    from voltgate.gateway import admin  # noqa: PLC0415
    from voltgate.gateway.pool import sockets  # noqa: PLC0415
    from voltgate.gateway.pool.member import Argv  # noqa: PLC0415
    from voltgate.gateway.pool.supervisor import Supervisor  # noqa: PLC0415

    # -P: modules in the working directory must not be imported.
    argv = Argv(
        [sys.executable, "-P", "-m", "voltgate", "worker", f"--release={__version__}", f"--wait={wait}"]
    )
    if file is not None:
        copy = _copy(file)
        argv = Argv([*argv.words, f"--config=/proc/self/fd/{copy}"], (copy,))
    with sockets.kept(config.listeners, count) as kept:
        supervisor, notify = Supervisor(argv, kept, config), Notify()
        runner = await admin.serve(config.admin, supervisor.scrape, supervisor.readiness)

        def leave() -> None:
            notify.stopping(config.drain.grace + config.drain.deadline)
            supervisor.leave()

        reloading = Reloading(file, config, supervisor, notify)
        on_signals(insistent(leave, supervisor.kill), reloading)
        notifying = asyncio.create_task(notify.run(supervisor.started))
        try:
            return await supervisor.run()
        finally:
            notifying.cancel()
            await runner.cleanup()


def _copy(file: Path) -> int:
    """A descriptor of the file's current content, so that workers started later read the same."""
    copy = os.memfd_create(str(file)[-240:])  # its name is what messages show
    os.write(copy, config_sources.content(file))
    return copy


@app.command("worker", hidden=True)
def serve_worker(
    control: Annotated[int, typer.Option(metavar="FD", help="Socket to the supervisor.")],
    release: Annotated[str, typer.Option(metavar="X.Y.Z", help="Release of the supervisor.")] = "",
    wait: Wait = WAIT,
    config: ConfigFile = None,
) -> None:
    """Run one of the processes of `voltgate serve --workers N`, which starts it."""
    if release not in ("", __version__):
        # The control line and the configuration keys may differ between releases.
        raise Failure(
            f"this worker is release {__version__}, its supervisor {release}: the package was changed at run "
            "time: restart `voltgate serve`"
        )
    try:
        sock = socket.socket(fileno=control)
    except OSError:
        raise Failure("this command is only for `voltgate serve --workers N` to start", USAGE) from None
    # The socket ends with the supervisor. A stopped worker cannot read it, so SIGCONT resumes it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGCONT))
    run(_work(loaded(config, lasting=True), sock, wait))


async def _work(config: Config, sock: socket.socket, wait: float) -> None:
    from voltgate.gateway.listening import Place  # noqa: PLC0415
    from voltgate.gateway.pool import attendant, control  # noqa: PLC0415
    from voltgate.gateway.worker import Worker  # noqa: PLC0415

    line = await control.line(sock)
    hello = await line.hello()
    if hello is None:
        raise Failure("the supervisor has ended")
    structlog.contextvars.bind_contextvars(worker=hello.worker)
    place, tickets = Place(hello.worker, hello.sets), bytes.fromhex(hello.tickets)
    gateway = Worker(attendant.settled(config, hello), place, wait, tickets)
    if hello.reload_failed:
        gateway.reload_failed()
    worker = attendant.Attendant(line, gateway)
    on_signals(worker.signalled, reload=lambda: None)  # settings come from the supervisor
    await worker.run()
