"""Handlers whose answers are streams: exports and ``live``."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web

from voltgate.csms.console import answers, exports, insights, rows
from voltgate.csms.console.console import Ask
from voltgate.csms.console.endpoints import DaySpan, LiveQuery, Span
from voltgate.csms.console.exports import Table, Write
from voltgate.csms.console.insights import Currencies
from voltgate.csms.console.live import Form
from voltgate.csms.ledger.store import StoreError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Export:
    """``pieces``: of the whole export, as a writer of documents writes them."""

    columns: tuple[str, ...]
    pieces: Callable[[Ask, Write], AsyncIterator[bytes]]


def _columns(model: type[answers.Shape]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _sessions(ask: Ask, write: Write) -> AsyncIterator[bytes]:
    where = rows.session_filter(ask.queried(Span), ask.principal)
    table = Table(rows.SESSIONS, rows.TIME, "s.id")
    console = ask.console.rows
    return exports.pieces(
        console.reader, table, where, lambda row: console.session_of(row, ask.principal), write
    )


def _cdrs(ask: Ask, write: Write) -> AsyncIterator[bytes]:
    reader, where = ask.console.rows.reader, rows.cdr_filter(ask.queried(Span), ask.principal)
    return exports.pieces(reader, Table(rows.CDRS, "issued", "id"), where, rows.cdr_of, write)


async def _days(ask: Ask, write: Write) -> AsyncIterator[bytes]:
    reader, where = ask.console.rows.reader, insights.day_filter(ask.queried(DaySpan), ask.principal)
    default = ask.console.config.csms.currency
    currencies = await reader.run(lambda query: Currencies(query, default))
    table = Table(insights.DAYS, "d.date", insights.PORT)
    async for piece in exports.pieces(
        reader, table, where, lambda row: insights.day_of(row, currencies), write
    ):
        yield piece


def _outages(ask: Ask, write: Write) -> AsyncIterator[bytes]:
    query = ask.queried(Span)
    window = query.from_ or insights.EVER, query.to or ask.console.now()
    documents = insights.outages_of(ask, window, query.charger)
    return exports.generated(ask.console.rows.reader, documents, write)


EXPORTS: Mapping[str, Export] = {
    "sessions": Export(_columns(answers.Session), _sessions),
    "cdrs": Export(_columns(answers.Cdr), _cdrs),
    "days": Export(_columns(answers.Day), _days),
    "outages": Export(insights.OUTAGE, _outages),
}


async def export(ask: Ask) -> web.StreamResponse:
    """Every row that the asker sees, as the path says: ``/export/<what>.<format>``."""
    what, _, form = ask.request.path.rpartition("/")[2].partition(".")
    wanted = EXPORTS[what]
    write = exports.jsonl if form == "jsonl" else exports.csv_of(wanted.columns)
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
        await response.write(exports.header(wanted.columns))
    pieces = wanted.pieces(ask, write)
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
    query = ask.queried(LiveQuery)
    last = ask.request.headers.get("Last-Event-ID") or query.last_event_id
    headers = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # else nginx holds events back
    }
    form = Form(query.form)
    if form is Form.COLUMNS and "gzip" in ask.request.headers.get("Accept-Encoding", ""):
        form, headers["Content-Encoding"] = Form.PACKED, "gzip"
    response = web.StreamResponse(headers=headers)
    await response.prepare(ask.request)
    async for event in ask.console.live.events(ask.principal, last, form):
        if ask.console.door.found(ask.request) != ask.principal:
            break  # the key was removed, or has another role or other sites
        await response.write(event)
    return response
