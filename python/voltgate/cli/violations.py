"""``voltgate violations``: which chargers violate what, by maker, model and firmware (docs/contract.md 2.2).

Sums up the facts of class violation and joins them with the bucket of models.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from voltgate.cli.chargers.records import kept
from voltgate.cli.faults import EXIT_CODES, Failure
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.tail import replay
from voltgate.cli.terminal import AsJson, ConfigFile, on_terminal, out, out_json
from voltgate.config import Config
from voltgate.visible import visible

if TYPE_CHECKING:
    from nats.aio.client import Client

app = typer.Typer()

MODEL = ("vendor", "model", "firmware")
COLUMNS = (*MODEL, "version", "action", "code", "pointer", "count", "chargers", "example")

Kind = tuple[str, ...]  # the columns up to the pointer


@dataclass(slots=True)
class Sum:
    """The violations of one kind."""

    count: int = 0
    identities: set[str] = field(default_factory=set)


@app.command(epilog=f"Columns are separated by tabs if stdout is not a terminal. {EXIT_CODES}")
def violations(
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="From this long ago (2h, 7d) or since this RFC 3339 time."),
    ] = "7d",
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print which chargers violate OCPP's schemas, and where, most frequent first.

    A charger without a BootNotification has no maker, model or firmware.
    """
    rows = run(_collected(loaded(config), since))
    if as_json:
        for row in rows:
            out_json(dict(zip(COLUMNS, row, strict=True)))
        return
    lines = [COLUMNS, *([visible(str(cell)) or "-" for cell in row] for row in rows)]
    if on_terminal():
        widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
        for line in lines:
            cells = zip(line, widths, strict=True)
            out("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    else:
        for line in lines:
            out("\t".join(line))


async def _collected(config: Config, since: str) -> list[tuple[Any, ...]]:
    at, nats = replay.moment(since), config.nats
    async with connected(config, "voltgate-violations") as client:
        models = await _models(client, f"{nats.stream_prefix.lower()}_models")
        source = replay.Source(f"{nats.stream_prefix}_REJECTS", [f"{nats.prefix}.violation.*"])
        reader = replay.Reader(client, source, at)
        await reader.open()
        facts = []
        try:
            while (message := await reader.past()) is not None:
                facts.append((message.subject.rpartition(".")[2], message.data))
        finally:
            await reader.close()
    return summed(facts, models)


async def _models(client: "Client", bucket: str) -> dict[str, dict[str, Any]]:
    """Token -> what the charger says it is."""
    from nats.js.errors import NotFoundError  # noqa: PLC0415

    try:
        found = [message async for message in kept(client, f"KV_{bucket}", f"$KV.{bucket}.>")]
    except NotFoundError:
        raise Failure(f"bucket {bucket} is missing: run `voltgate streams apply`") from None
    return {message.subject.rpartition(".")[2]: _object(message.data) for message in found}


def summed(facts: Iterable[tuple[str, bytes]], models: dict[str, dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The rows of the table. ``facts``: tokens and bodies; what is not of their form is left out."""
    sums: dict[Kind, Sum] = {}
    for token, data in facts:
        fact, model = _object(data), models.get(token, {})
        listed = fact.get("violations")
        for one in listed if isinstance(listed, list) else ():
            if not isinstance(one, dict) or not isinstance(one.get("count"), int):
                continue
            said = (*(model.get(name) for name in MODEL), fact.get("version"))
            where = (one.get(name) for name in ("action", "code", "pointer"))
            kind = tuple(text if isinstance(text, str) else "" for text in (*said, *where))
            row = sums.setdefault(kind, Sum())
            row.count += one["count"]
            row.identities.add(str(fact.get("identity")))
    most = sorted(sums.items(), key=lambda item: (-item[1].count, item[0]))
    return [(*kind, row.count, len(row.identities), min(row.identities)) for kind, row in most]


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
