"""``voltgate chargers``: the registry of chargers (docs/contract.md 3.8), one charger or many at a time."""

import asyncio
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from voltgate.cli.chargers import importing, options, steve
from voltgate.cli.chargers.backup import app as backup
from voltgate.cli.chargers.kick import app as kick
from voltgate.cli.chargers.online import app as online
from voltgate.cli.chargers.records import (
    alike,
    generated,
    given,
    hash_of,
    legal,
    on_records,
    record_of,
    records,
)
from voltgate.cli.chargers.setting import app as setting
from voltgate.cli.chargers.showing import COLUMNS, shown, text
from voltgate.cli.faults import EXIT_CODES, Failure
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, exact, out, out_json, say
from voltgate.config import Config
from voltgate.gateway.registry.record import Record

app = typer.Typer(help="Manage the registry of chargers and their connections.")


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A charger to be added. ``shown``: its key, if it was generated here."""

    identity: str
    record: Record
    shown: str | None


@app.command(epilog=f"Prints the generated key once; only its hash is stored. {EXIT_CODES}")
def add(  # noqa: PLR0913, PLR0917 - the fields of a record
    identity: options.Identity,
    password: Annotated[
        str | None,
        typer.Option(
            metavar="P", help="Your own password; '-' reads it from stdin. Default: generate a random key."
        ),
    ] = None,
    random_key: options.RandomKey = False,
    profile: options.Profile = None,
    version: options.Versions = None,
    validation: options.Validation = None,
    quirk: options.Quirks = None,
    cn: options.CommonName = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Register one charger."""
    fields = options.fields_of(profile, version, validation, quirk or [], cn)
    password = given(password)
    newcomer = _newcomer(legal(identity), record_of(fields), password, random_key)
    run(_add(loaded(config), newcomer))
    if as_json:
        out_json({"identity": identity, "password": newcomer.shown or password})
    elif newcomer.shown:
        exact(newcomer.shown)


async def _add(config: Config, newcomer: Newcomer) -> None:
    async with records(config) as book:
        if not await book.create(newcomer.identity, newcomer.record):
            raise Failure(
                f"{newcomer.identity} has a record: for a new key run "
                f"`voltgate chargers set {shlex.quote(newcomer.identity)} --new-key`"
            )
        warn_of_case([newcomer.identity], await book.identities())


class Source(StrEnum):
    """Whose columns a file of chargers has."""

    VOLTGATE = "voltgate"
    STEVE = "steve"


@app.command(name="import", epilog=f"Chargers that already have a record are skipped. {EXIT_CODES}")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help=f"CSV with a header: {', '.join(importing.COLUMNS)}; only the first is required. "
            "Separate several versions or quirks in a cell by spaces.",
        ),
    ],
    source: Annotated[
        Source,
        typer.Option("--from", help="Whose columns FILE has. steve: its table charge_box (docs/migrate.md)."),
    ] = Source.VOLTGATE,
    random_keys: Annotated[
        bool,
        typer.Option(
            "--random-keys", help="The given passwords have 128 random bits or more: use a fast hash."
        ),
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Register many chargers; print 'identity,key' for each without a password."""
    settings = loaded(config)
    passed_over: list[str] = []
    match source:
        case Source.VOLTGATE:
            rows = importing.rows(file)
        case Source.STEVE:
            fleet = steve.fleet(file)
            rows, passed_over = fleet.rows, fleet.passed_over
    run(_import(settings, rows, random_keys, as_json))
    for charger in passed_over:
        say(f"voltgate: passed over: {charger}, which is not served")


async def _import(config: Config, rows: list[importing.Row], random_keys: bool, as_json: bool) -> None:
    added = 0
    async with records(config) as book:
        known = await book.identities()
        for row in rows:
            # In a thread: a slow hash takes milliseconds, and NATS wants its pings answered.
            newcomer = (
                Newcomer(row.identity, row.record, None)
                if row.complete
                else await asyncio.to_thread(_newcomer, row.identity, row.record, row.password, random_keys)
            )
            if not await book.create(newcomer.identity, newcomer.record):
                continue
            added += 1
            if newcomer.shown and as_json:
                out_json({"identity": newcomer.identity, "password": newcomer.shown})
            elif newcomer.shown:
                exact(importing.line(newcomer.identity, newcomer.shown))
    identities = [row.identity for row in rows]
    warn_of_case(identities, known | set(identities))
    say(f"voltgate: {added} added, {len(rows) - added} already had a record")


def _newcomer(identity: str, record: Record, password: str | None, random_key: bool) -> Newcomer:
    key, hash_ = generated() if password is None else (None, hash_of(identity, password, random_key))
    return Newcomer(identity, record.model_copy(update={"password_hashes": (hash_,)}), key)


def warn_of_case(added: Collection[str], known: Collection[str]) -> None:
    """Warn of identities that differ in letter case only: they are different chargers.

    See docs/contract.md 2.1.
    """
    for names in alike(known):
        for identity in sorted(set(added) & set(names)):
            others = ", ".join(name for name in names if name != identity)
            say(f"voltgate: {identity} and {others} differ only in letter case: they are different chargers")


@app.command(epilog=EXIT_CODES)
def show(identity: options.Identity, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Show one record, without its hashes."""
    record = run(on_records(loaded(config), lambda book: book.get(identity)))
    row = shown(identity, record)
    if as_json:
        out_json(row)
        return
    for name, value in row.items():
        out(f"{name:<16} {text(value)}")


@app.command(name="list", epilog=f"Columns are separated by tabs. {EXIT_CODES}")
def list_(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List every charger that has a record, one per line."""
    run(_list(loaded(config), as_json))


async def _list(config: Config, as_json: bool) -> None:
    async with records(config) as book:
        if not as_json:
            out("\t".join(COLUMNS))
        async for identity, record in book.all():
            row = shown(identity, record)
            out_json(row) if as_json else out("\t".join(text(value) for value in row.values()))


@app.command(epilog=EXIT_CODES)
def disable(identity: options.Identity, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Disconnect a charger and refuse it from now on; its record stays."""
    _enable(identity, False, as_json, config)


@app.command(epilog=EXIT_CODES)
def enable(identity: options.Identity, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Accept a disabled charger again."""
    _enable(identity, True, as_json, config)


def _enable(identity: str, enabled: bool, as_json: bool, config: Path | None) -> None:
    changed = run(
        on_records(loaded(config), lambda book: book.change(identity, lambda _: {"enabled": enabled}))
    )
    if as_json:
        out_json(shown(identity, changed))


@app.command(epilog=EXIT_CODES)
def remove(identity: options.Identity, as_json: AsJson = False, config: ConfigFile = None) -> None:
    """Remove a charger from the registry; disconnect it if a record is required."""
    run(on_records(loaded(config), lambda book: book.remove(identity)))
    if as_json:
        out_json({"identity": identity})


app.registered_commands += backup.registered_commands
app.registered_commands += setting.registered_commands + kick.registered_commands
app.registered_commands += online.registered_commands
