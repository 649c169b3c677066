"""``voltgate csms``, ledger and console in one process; ``voltgate csms console`` (docs/csms/console.md)."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from voltgate.cli.csms.commands import app as app  # noqa: PLC0414 - with the commands of this file
from voltgate.cli.csms.commands import faults, lasting_settings
from voltgate.cli.csms.key import key_app, link
from voltgate.cli.faults import EXIT_CODES, Failure
from voltgate.cli.service import connected, insistent, on_signals, run
from voltgate.cli.terminal import ConfigFile, say
from voltgate.config import Config

__all__ = ["app"]

app.add_typer(key_app, name="key")
app.command(epilog=EXIT_CODES)(link)

Host = Annotated[str | None, typer.Option(metavar="HOST", help="Address of the console (csms.host).")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65_535, help="Port of the console (csms.port); 0: a free one.")
]


@app.callback(invoke_without_command=True, epilog=EXIT_CODES)
def csms(context: typer.Context, config: ConfigFile = None, host: Host = None, port: Port = None) -> None:
    """Run the CSMS: sessions, energy, money, uptime, alerts, and the console.

    Without a command: the ledger and the console in one process.
    """
    if context.invoked_subcommand is None:
        run(_served(_settings(config, host, port), with_ledger=True))


@app.command(epilog=EXIT_CODES)
def console(config: ConfigFile = None, host: Host = None, port: Port = None) -> None:
    """Serve the console alone: a ledger runs elsewhere, on the same database."""
    run(_served(_settings(config, host, port), with_ledger=False))


def _settings(config: Path | None, host: str | None, port: int | None) -> Config:
    given: dict[str, Any] = {"host": host, "port": port}
    return lasting_settings(config, csms={key: one for key, one in given.items() if one is not None})


async def _served(config: Config, *, with_ledger: bool) -> None:
    from voltgate.csms.console.server import ConsoleError, served  # noqa: PLC0415 - the CSMS is an extra
    from voltgate.csms.ledger import lasting  # noqa: PLC0415

    stop = asyncio.Event()
    on_signals(insistent(stop.set))
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
        if with_ledger:
            feeding = await stack.enter_async_context(connected(config, "voltgate-csms-ledger"))
            tasks.append(asyncio.create_task(lasting.run(feeding, config, stop)))
        client = await stack.enter_async_context(connected(config, "voltgate-csms-console"))
        try:
            running = await stack.enter_async_context(served(client, config))
        except ConsoleError as error:
            raise Failure(str(error)) from None
        say(f"voltgate: the console is at {running.url}")
        with faults():
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await asyncio.gather(*tasks)
