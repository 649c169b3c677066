"""``voltgate chargers export`` and ``restore``: the whole registry as lines of JSON, hashes included.

A line is ``{"identity": ...}`` with the fields of the record (docs/contract.md 3.8) as they are stored, also
those of another release.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from voltgate.cli.chargers.records import legal, records
from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out_json, say
from voltgate.config import Config
from voltgate.gateway.registry.record import parse
from voltgate.visible import visible

app = typer.Typer()

IDENTITY = "identity"


@app.command(
    epilog="Example: voltgate chargers export > registry.jsonl. Password hashes are in it: keep it secret. "
    f"Exits with 1 if a record cannot be used. {EXIT_CODES}"
)
def export(config: ConfigFile = None) -> None:
    """Print every record, one per line, for `restore`."""
    if faults := run(_export(loaded(config))):
        raise Failure("\n".join(faults))


async def _export(config: Config) -> list[str]:
    """The faults of records that `restore` will refuse."""
    faults = []
    async with records(config) as book:
        async for identity, _, body in book.stored():
            try:
                parse(body)
            except ValueError as error:
                faults.append(f"{visible(identity)}: its record cannot be used: {error}")
            fields = _object(body)
            if fields is not None:
                out_json({IDENTITY: identity} | fields)
    return faults


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


@dataclass(slots=True)
class Restored:
    """How many records of a file were new, other than stored, and as stored."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


@app.command(
    epilog="Example: voltgate chargers restore registry.jsonl. Every line is checked before anything is "
    "written; records of other chargers stay. A change disconnects a connected charger as `set` does. "
    f"{EXIT_CODES}"
)
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `export` printed; '-' reads it from stdin.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Write the records of a file, replacing those of the same chargers."""
    settings = loaded(config)
    wanted = _lines(file)
    done = run(_restore(settings, wanted, dry_run))
    if as_json:
        out_json({"added": done.added, "changed": done.changed, "unchanged": done.unchanged})
    would = "would be " if dry_run else ""
    say(f"voltgate: {would}{done.added} added, {done.changed} changed, {done.unchanged} unchanged")


def _lines(file: Path) -> dict[str, dict[str, Any]]:
    """The record of each charger. Raises Failure with the number of the first line that is not one."""
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}", USAGE) from None
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            try:
                identity, fields = _record(line)
            except (ValueError, Failure) as error:
                raise Failure(f"{file}:{number}: {error}", FAILED) from None
            if identity in found:
                raise Failure(f"{file}:{number}: {identity} appears twice", FAILED)
            found[identity] = fields
    return found


def _record(line: bytes) -> tuple[str, dict[str, Any]]:
    """A charger and its record. Raises ValueError or Failure, with a text that quotes no hash."""
    fields = _object(line)
    if fields is None:
        raise ValueError("not a JSON object")
    identity = fields.pop(IDENTITY, None)
    if not isinstance(identity, str):
        raise ValueError("no identity")
    parse(orjson.dumps(fields))
    return legal(identity), fields


async def _restore(config: Config, wanted: dict[str, dict[str, Any]], dry_run: bool) -> Restored:
    done = Restored()
    async with records(config) as book:
        stored = {name: (revision, _object(body)) async for name, revision, body in book.stored()}
        for identity, fields in wanted.items():
            revision, present = stored.get(identity, (0, None))
            if present == fields:
                done.unchanged += 1
                continue
            if not dry_run and not await book.put(identity, orjson.dumps(fields), revision):
                raise Failure(f"{identity}: record is being changed concurrently: run `restore` again")
            if revision:
                done.changed += 1
            else:
                done.added += 1
    return done
