"""Handlers of money beside decisions: previews of a tariff, statements of a site, OCPI."""

from datetime import date, timedelta
from itertools import islice
from typing import Any

from aiohttp import web

from voltgate.csms.console import bodies
from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.endpoints import MonthQuery, OcpiQuery
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.console.reader import Query
from voltgate.csms.ledger.decisions import Kind as Decides
from voltgate.csms.tariffs import archive, form, money, ocpi, ocpi_cdr
from voltgate.csms.tariffs import preview as previews
from voltgate.csms.tariffs import statement as statements
from voltgate.csms.tariffs.conditions import TariffFault
from voltgate.csms.tariffs.ocpi import Exported, Party
from voltgate.csms.tariffs.ocpi_cdr import Location
from voltgate.csms.tariffs.sentence import sentence

MOST = 10_000  # sessions of a preview: some seconds
_LATELY = timedelta(days=30)


async def preview(ask: Ask) -> web.Response:
    """What sessions of a time would have cost by a tariff."""
    body = ask.said(bodies.PreviewBody)
    try:
        tariff = form.read("preview", body.tariff)
    except TariffFault as fault:
        raise Problem(Kind.INVALID, faults=[Fault(f"/tariff{fault.pointer}", fault.reason)]) from None
    until = body.to or ask.console.now()
    since = body.from_ or until - _LATELY

    def work(query: Query) -> dict[str, Any]:
        sessions = archive.past(query, since, until, body.site)
        found = previews.preview(islice(sessions, MOST), tariff)
        return {
            "sentence": sentence(tariff),
            "currency": found.currency,
            "before": money.text(found.before, found.currency),
            "after": money.text(found.after, found.currency),
            "percent": None if found.percent is None else round(found.percent, 2),
            "less": found.less,
            "more": found.more,
            "same": found.same,
            "other_currency": found.other_currency,
            "complete": next(sessions, None) is None,
        }

    return answered(await ask.console.rows.reader.run(work))


async def statement(ask: Ask) -> web.Response:
    """Every document of a site and month as CSV, and the sums."""
    query, site = ask.queried(MonthQuery), ask.id

    def work(read: Query) -> str:
        zone = archive.zone(read, site, ask.console.config.csms.timezone)
        month = date.fromisoformat(f"{query.month}-01") if query.month else ask.console.now().astimezone(zone)
        return "".join(statements.csv(archive.entries(read, site, month, zone)))

    text = await ask.console.rows.reader.run(work)
    headers = {
        "Content-Disposition": 'attachment; filename="statement.csv"',
        "Cache-Control": "private, no-store",
    }
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


async def cdr_ocpi(ask: Ask) -> web.Response:
    """A CDR as an object of OCPI."""
    party = _party(ask)

    def work(query: Query) -> Exported | None:
        cdr = archive.document(query, ask.id)
        if cdr is None:
            return None
        site = archive.decided(query, Decides.SITE, cdr.site)
        said = {} if site is None else site[1]
        known = {name: str(said[name]) for name in ("name", "address") if said.get(name)}
        return ocpi_cdr.export(cdr, party, Location(id=cdr.site or "#NA", **known), None)

    return _exported(await ask.console.rows.reader.run(work))


async def tariff_ocpi(ask: Ask) -> web.Response:
    """A tariff, as it was last decided, as an object of OCPI."""
    party = _party(ask)

    def work(query: Query) -> Exported | None:
        found = archive.decided(query, Decides.TARIFF, ask.id)
        return None if found is None else ocpi.export(form.read(ask.id, found[1]), party, found[0])

    try:
        return _exported(await ask.console.rows.reader.run(work))
    except TariffFault as fault:
        raise Problem(Kind.INVALID, faults=[Fault(fault.pointer, fault.reason)]) from None


def _party(ask: Ask) -> Party:
    country, _, party = ask.queried(OcpiQuery).party.partition("*")
    return Party(country, party)


def _exported(found: Exported | None) -> web.Response:
    if found is None:
        raise Problem(Kind.NOT_FOUND)
    lost = [{"name": one.name, "words": one.value} for one in found.lost]
    return answered({"object": found.body, "lost": lost})
