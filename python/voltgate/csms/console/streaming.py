"""Handlers whose answers are streams: exports and ``live``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web

from voltgate.csms.console import exports, models, rows
from voltgate.csms.console.console import Ask
from voltgate.csms.console.endpoints import LiveQuery, Span
from voltgate.csms.console.exports import Make, Table
from voltgate.csms.console.pages import Where
from voltgate.csms.console.roles import Principal
from voltgate.csms.ledger.store import StoreError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Export:
    """A table that is exported: ``make``: its documents for the asker; ``where``: the rows that it sees."""

    table: Table
    where: Callable[[Span, Principal], Where]
    make: Callable[[Ask], Make]


def _columns(model: type[models.Shape]) -> tuple[str, ...]:
    return tuple(model.model_fields)


EXPORTS: Mapping[str, Export] = {
    "sessions": Export(
        Table(rows.SESSIONS, rows.TIME, "s.id", _columns(models.Session)),
        rows.session_filter,
        lambda ask: lambda row: ask.console.rows.session_of(row, ask.principal),
    ),
    "cdrs": Export(
        Table(rows.CDRS, "issued", "id", _columns(models.Cdr)), rows.cdr_filter, lambda _: rows.cdr_of
    ),
}


async def export(ask: Ask) -> web.StreamResponse:
    """Every row that the asker sees, as the path says: ``/export/<what>.<format>``."""
    what, _, form = ask.request.path.rpartition("/")[2].partition(".")
    wanted = EXPORTS[what]
    write = exports.jsonl if form == "jsonl" else exports.csv_of(wanted.table.columns)
    response = web.StreamResponse(
        headers={
            "Content-Type": f"{exports.FORMATS[form]}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{what}.{form}"',
            "Cache-Control": "private, no-store",
        }
    )
    response.enable_compression()
    await response.prepare(ask.request)
    if form == "csv":
        await response.write(exports.header(wanted.table.columns))
    where = wanted.where(ask.queried(Span), ask.principal)
    pieces = exports.pieces(ask.console.rows.reader, wanted.table, where, wanted.make(ask), write)
    try:
        async for piece in pieces:
            await response.write(piece)
    except StoreError as error:
        log.warning("console.unavailable", error=str(error))
        if ask.request.transport is not None:
            ask.request.transport.abort()  # else a part would look like the whole
    else:
        await response.write_eof()
    return response


async def live(ask: Ask) -> web.StreamResponse:
    """Events until the listener leaves, or may not listen any more."""
    last = ask.request.headers.get("Last-Event-ID") or ask.queried(LiveQuery).last_event_id
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # else nginx holds events back
        }
    )
    await response.prepare(ask.request)
    async for event in ask.console.live.events(ask.principal, last):
        if ask.console.door.known(ask.request) != ask.principal:
            break  # the key was removed, or has another role or other sites
        await response.write(event)
    return response
