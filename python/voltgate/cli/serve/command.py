"""``voltgate serve`` and ``voltgate backend``, which run until a signal. ``--workers`` is in ``workers``."""

import asyncio
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.serve.systemd import Notify
from voltgate.cli.serve.workers import WAIT, Wait, supervise
from voltgate.cli.service import connected, insistent, loaded, on_signals, run
from voltgate.cli.terminal import ConfigFile
from voltgate.config import Config

if TYPE_CHECKING:
    from voltgate.backend import Options

app = typer.Typer()
log = structlog.get_logger()

MAX_WORKERS = 256  # a typing error must not overload the machine
DESCRIPTOR_ROOM = 256  # descriptors for NATS, listeners, admin, upgrades in progress


@app.command(
    epilog=f"SIGTERM drains, a second one exits at once; SIGHUP reloads [limits] and [drain]. {EXIT_CODES}"
)
def serve(
    config: ConfigFile = None,
    workers: Annotated[
        int,
        typer.Option(min=1, max=MAX_WORKERS, metavar="N", help="Number of processes that share the ports."),
    ] = 1,
    wait: Wait = WAIT,
) -> None:
    """Run the gateway against an existing NATS."""
    from voltgate.gateway import preflight  # noqa: PLC0415 - start-up of other commands
    from voltgate.gateway.edge import addresses  # noqa: PLC0415

    settings = loaded(config, lasting=True)
    if faults := preflight.unserved(settings):
        raise Failure("\n".join(faults), USAGE)
    if faults := list(addresses.taken(settings)):
        raise Failure("\n".join(faults))
    _raise_descriptor_limit(settings.limits.max_connections + DESCRIPTOR_ROOM)
    if workers == 1:
        run(_serve(settings, config, wait))
    elif code := run(supervise(settings, config, workers, wait)):
        raise typer.Exit(code)


async def _serve(config: Config, file: Path | None, wait: float) -> None:
    from voltgate.cli.serve.reloading import Reloading  # noqa: PLC0415 - start-up of other commands
    from voltgate.gateway import admin  # noqa: PLC0415
    from voltgate.gateway.worker import Worker  # noqa: PLC0415

    worker, notify = Worker(config, wait=wait), Notify()
    # Started first, so that /livez answers during the wait for NATS.
    runner = await admin.start(config.admin, worker.metrics, worker.checks)
    try:
        running = asyncio.create_task(worker.run())
        notifying = asyncio.create_task(notify.run(worker.opened))

        def leave() -> None:
            drain = worker.config.drain
            notify.stopping(drain.grace + drain.deadline)
            if worker.listening.is_open:
                worker.stop()
            else:  # before the listeners are open there is nothing to drain
                running.cancel()

        on_signals(insistent(leave), Reloading(file, config, worker, notify))
        await asyncio.wait({running})
        notifying.cancel()
        if not running.cancelled():
            running.result()
    finally:
        await runner.cleanup()


def _raise_descriptor_limit(wanted: int) -> None:
    """Raise the soft limit: each charger needs a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
        if granted < wanted:
            log.warning("descriptors.limited", granted=granted, wanted=wanted, key="limits.max_connections")


@app.command(epilog=EXIT_CODES)
def backend(  # noqa: PLR0913, PLR0917 - options of a command line
    config: ConfigFile = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File of accepted tokens, one per line. Default: those of `voltgate csms`."
        ),
    ] = None,
    interval: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="Heartbeat interval given to chargers at boot.")
    ] = 300,
    excepted: Annotated[
        str,
        typer.Option(
            "--except", metavar="ACTION,...", help="Leave these questions to another backend of yours."
        ),
    ] = "",
    cost_interval: Annotated[
        float,
        typer.Option(min=1, metavar="SECONDS", help="Least time between two CostUpdated of a transaction."),
    ] = 60.0,
    boots: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Chargers whose boot is answered Pending or Rejected: IDENTITY STATUS [SECONDS].",
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Sign certificates of chargers with ca.pem and ca.key of this folder, made if absent.",
        ),
    ] = None,
    responders: Annotated[
        str,
        typer.Option(metavar="HOST,...", help="OCSP responders to ask, each with its port where it has one."),
    ] = "",
    issuers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificates (PEM) whose contract certificates are accepted."),
    ] = None,
    contracts: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Answers with contract certificates: <PCID or eMAID>.exi."),
    ] = None,
    sites: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Limits of sites for charging schedules: SITE AMPERES IDENTITY/EVSE..."
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Prices of a kWh: IDENTITY PRICE. Default: costs of `voltgate csms`."
        ),
    ] = None,
) -> None:
    """Run the reference backend, which answers chargers' questions.

    docs/csms/backend.md describes the files of rules. Text files are read again when they change.
    """
    from voltgate.backend import Options  # noqa: PLC0415 - start-up of other commands

    options = Options(
        interval=interval,
        cost_interval=cost_interval,
        ca=ca,
        boots=boots,
        contracts=contracts,
        issuers=issuers,
        sites=sites,
        prices=prices,
        responders=tuple(items_of(responders)),
    )
    run(_backend(loaded(config, lasting=True), tokens, items_of(excepted), options))


def items_of(text: str) -> list[str]:
    """The items of an option, which separates them by commas."""
    return [name for name in map(str.strip, text.split(",")) if name]


async def _backend(config: Config, tokens: Path | None, excepted: list[str], options: "Options") -> None:
    stop = asyncio.Event()
    answering = asyncio.create_task(answer(config, stop, tokens, excepted, options))

    def leave() -> None:
        if stop.is_set():
            answering.cancel()
        stop.set()

    on_signals(leave)
    await asyncio.wait({answering})
    if not answering.cancelled():
        answering.result()


async def answer(
    config: Config,
    stop: asyncio.Event,
    tokens: Path | None,
    excepted: list[str],
    options: "Options | None" = None,
) -> None:
    """Run the reference backend until ``stop``. An absent NATS is an error at its start only.

    Raises BusError, and Failure (usage) for a file (with its name and line) or an exception.
    """
    from voltgate import backend as reference  # noqa: PLC0415

    nats = config.nats
    try:
        async with connected(config, "voltgate-backend", error_cb=reference.client_failed) as client:
            await reference.run(
                client,
                stop,
                names=reference.Names(nats.prefix, nats.rpc_prefix, nats.stream_prefix, nats.ops_prefix),
                tokens=reference.Tokens(tokens) if tokens else None,
                unknown=config.csms.unknown_tokens,
                rules=(options or reference.Options()).rules(config.csms.concurrent_transactions),
                replicas=config.streams.replicas,
                may_answer=nats.may_answer_question,
                excepted=excepted,
            )
            await client.drain()
    except ValueError as error:
        raise Failure(str(error), USAGE) from None
