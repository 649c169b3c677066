"""``voltgate csms ledger|explain|rebuild|backup|restore`` (docs/csms/ledger.md)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voltgate import allocator
from voltgate.cli.faults import EXIT_CODES, FAILED, Failure
from voltgate.cli.service import connected, insistent, loaded, on_signals, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json
from voltgate.config import Config

if TYPE_CHECKING:
    from voltgate.csms.ledger.rebuild import Rebuilt

app = typer.Typer(help="Run the CSMS: sessions, energy, money, uptime, alerts.", no_args_is_help=False)


@app.command(epilog=f"Exits with 1 if another ledger writes to the database. {EXIT_CODES}")
def ledger(config: ConfigFile = None) -> None:
    """Fold the facts on NATS into the database, without a console."""
    run(_ledger(lasting_settings(config)))


def lasting_settings(config: Path | None, **flags: Any) -> Config:
    """As ``loaded``, in a process that runs for months. Raises ConfigError."""
    allocator.keep_little(arenas=1)
    return loaded(config, lasting=True, **flags)


async def _ledger(config: Config) -> None:
    from voltgate.csms.ledger import lasting  # noqa: PLC0415 - the CSMS is an extra

    stop = asyncio.Event()
    on_signals(insistent(stop.set))
    async with connected(config, "voltgate-csms-ledger") as client:
        with faults():
            await lasting.run(client, config, stop)


@app.command(epilog=f"Exits with 1 if the invoice does not follow from its facts. {EXIT_CODES}")
def explain(
    session: Annotated[str, typer.Argument(help="Id of the session.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print a session's lines and facts, and compute its invoice again from its document."""
    found = _explained(loaded(config), session)
    if found is None:
        raise Failure(f"{session}: no such session")
    if as_json:
        out_json(found)
    else:
        out("\n".join(_explanation(found)))
    if found["recomputed"] is False:
        raise typer.Exit(FAILED)


def _explained(config: Config, session: str) -> dict[str, Any] | None:
    from voltgate.csms.ledger import explaining, store  # noqa: PLC0415

    with faults():
        database = store.existing(config.csms.database)
        with database.begin() as tx:
            found = explaining.explained(tx, session)
        database.close()
    return found


def _explanation(found: dict[str, Any]) -> list[str]:
    session = found["session"]
    words = {None: "not invoiced", True: "follows from its facts", False: "DOES NOT follow from its facts"}
    where = f"{session['charger']}, {session['state']}, revision {session['revision']}"
    head = [
        f"session  {session['id']} at {where}",
        f"energy   {session['mwh'] / 1_000_000:.3f} kWh ({session['method'] or 'not proven'})",
        f"cost     {session['cost'] or '-'} {session['currency']}",
        f"flags    {session['flags'] or '-'}",
        f"invoice  {found['invoice'] or '-'} ({words[found['recomputed']]})",
    ]
    lines = [
        f"  {one['kind']:<10} {one['quantity']:>12} {one['unit']:<8} x {one['price']} = {one['amount']}"
        for one in found["lines"]
    ]
    facts = [
        f"  {one['stream']} {one['seq']:>9}  {one['used_for']:<28} {one['subject']}" for one in found["facts"]
    ]
    return [*head, "lines", *lines, "facts", *facts]


@app.command(epilog=EXIT_CODES)
def rebuild(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Make the database anew from the streams: the ledger must be stopped.

    Documents of settled sessions are taken as they are; the other facts are folded again.
    """
    settings = loaded(config)
    made = run(_rebuilt(settings))
    if as_json:
        out_json({"documents": made.documents, "sessions": made.sessions, "digest": made.digest})
    else:
        out(f"{made.sessions} sessions, {made.documents} documents imported, digest {made.digest}")


async def _rebuilt(config: Config) -> "Rebuilt":
    from voltgate.csms.ledger import copies  # noqa: PLC0415
    from voltgate.csms.ledger.rebuild import rebuild as made_anew  # noqa: PLC0415

    stop = asyncio.Event()
    on_signals(insistent(stop.set))
    with faults(), copies.anew(config.csms.database) as url:
        target = config.model_copy(update={"csms": config.csms.model_copy(update={"database": url})})
        async with connected(config, "voltgate-csms-rebuild") as client:
            return await made_anew(client, target, stop)


@app.command(epilog=EXIT_CODES)
def backup(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")], config: ConfigFile = None
) -> None:
    """Write a copy of the database, while the ledger works."""
    from voltgate.csms.ledger import copies  # noqa: PLC0415

    with faults():
        copies.backup(loaded(config).csms.database, file)


@app.command(epilog=EXIT_CODES)
def restore(
    file: Annotated[Path, typer.Argument(help="File that `backup` wrote.")], config: ConfigFile = None
) -> None:
    """Put a copy in place of the database: the ledger must be stopped.

    What happened since is folded from the streams when the ledger starts.
    """
    from voltgate.csms.ledger import copies  # noqa: PLC0415

    with faults():
        copies.restore(loaded(config).csms.database, file)


@contextmanager
def faults() -> Iterator[None]:
    """Faults of the database and of the fence as failures of the command."""
    from voltgate.csms.ledger.service import MissingError  # noqa: PLC0415
    from voltgate.csms.ledger.store import FencedError, StoreError  # noqa: PLC0415

    try:
        yield
    except* (FencedError, MissingError, StoreError) as errors:
        raise Failure("\n".join(str(error) for error in errors.exceptions)) from None
