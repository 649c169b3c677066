"""Handlers of what is counted: days, uptime, attempts, the load of a week."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import orjson
from aiohttp import web

from voltgate.csms.console.console import Ask, answered
from voltgate.csms.console.endpoints import DayQuery, DaySpan, SiteSpan, UptimeQuery
from voltgate.csms.console.pages import Cursor, Where, cursor
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.console.reader import Query, ReadTx
from voltgate.csms.console.roles import Principal
from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Row, Tx
from voltgate.csms.tariffs import money
from voltgate.csms.uptime import nevi, report
from voltgate.csms.uptime.places import Places
from voltgate.csms.uptime.spans import Span

T = TypeVar("T")
PORT = "d.charger || '/' || d.evse"
DAYS = (
    "SELECT d.charger, d.evse, c.site, d.mwh, d.sessions, d.revenue, d.busy_s, d.up_s, d.excluded_s,"
    f" d.attempts, d.successes, d.peak_w, d.date, {PORT} FROM day d LEFT JOIN charger c ON c.id = d.charger"
)
OUTAGE = ("charger", "evse", "site", "from", "to", "minutes", "kind", "excluded")
EVER = datetime(2000, 1, 1, tzinfo=UTC)
LATELY = timedelta(days=30)  # where no span is given


def day_filter(query: DaySpan, principal: Principal) -> Where:
    """The rows of a query for days."""
    where = Where()
    where.equal("d.charger", query.charger)
    where.equal("c.site", query.site)
    if query.from_ is not None:
        where.add("d.date >= ?", query.from_.isoformat())
    if query.to is not None:
        where.add("d.date < ?", query.to.isoformat())
    where.sites("c.site", principal)
    return where


class Currencies:
    """Of sites, as they were decided last."""

    def __init__(self, query: Query, default: str) -> None:
        rows = query("SELECT id, body FROM decision WHERE kind = 'site' ORDER BY seq")
        self._sites: Mapping[str, str] = {id_: orjson.loads(body).get("currency") for id_, body in rows}
        self._default = default

    def of(self, site: str | None) -> str:
        """The site's, or that of ``csms.currency``."""
        return self._sites.get(site or "") or self._default


def day_of(row: Row, currencies: Currencies) -> dict[str, Any]:
    """The document of a row of :data:`DAYS`."""
    charger, evse, site, mwh, sessions, revenue, busy, up, excluded, attempts, successes, peak, day, _ = row
    currency = currencies.of(site)
    return {
        "charger": charger,
        "evse": evse,
        "site": site or None,
        "date": day,
        "energy_wh": mwh / 1000,
        "sessions": sessions,
        "revenue": money.text(revenue, currency),
        "currency": currency,
        "busy_s": busy,
        "up_s": up,
        "excluded_s": excluded,
        "attempts": attempts,
        "successes": successes,
        "peak_w": peak,
    }


async def days(ask: Ask) -> web.Response:
    """A page, the last day first."""
    query = ask.queried(DayQuery)
    where = day_filter(query, ask.principal)
    if query.after:
        where.behind("d.date", PORT, cursor(query.after))

    def read(ask_: Query) -> tuple[list[Row], Currencies]:
        sql = f"{DAYS}{where} ORDER BY d.date DESC, {PORT} DESC LIMIT ?"
        return ask_(sql, *where.args, query.limit + 1), Currencies(ask_, ask.console.config.csms.currency)

    rows, currencies = await ask.console.rows.reader.run(read)
    page = rows[: query.limit]
    return answered(
        {
            "items": [day_of(row, currencies) for row in page],
            "next": str(Cursor(*page[-1][-2:])) if len(rows) > query.limit else None,
        }
    )


async def uptime(ask: Ask) -> web.Response:
    """Every port over the 12 months that end with a month."""
    query, zone = ask.queried(UptimeQuery), _zone(ask)
    month = date.fromisoformat(f"{query.month}-01") if query.month else datetime.now(zone).date()

    def read(tx: Tx) -> list[dict[str, Any]]:
        found = report.uptimes(tx, month, ask.console.now(), zone, query.charger)
        return [_uptime_of(one) for one in found if ask.principal.sees(one.place.site or None)]

    return answered({"items": await _read(ask, read), "next": None})


def _uptime_of(one: report.PortUptime) -> dict[str, Any]:
    found = one.uptime
    return {
        "charger": one.port.charger,
        "evse": one.port.evse,
        "site": one.place.site or None,
        "from": times.text(found.start),
        "to": times.text(found.end),
        "percent": _text(found.percent),
        "meets_floor": found.percent >= nevi.FLOOR,
        "outage_minutes": _text(found.outage),
        "excluded_minutes": {reason: _text(minutes) for reason, minutes in found.excluded.items()},
        "ours_minutes": _text(found.ours),
    }


async def attempts(ask: Ask) -> web.Response:
    """How far drivers came, by maker, model and firmware."""
    query = ask.queried(SiteSpan)
    window, sites = _window(ask, query), _sites(ask, query)

    def read(tx: Tx) -> list[dict[str, Any]]:
        return [
            {
                "vendor": one.vendor,
                "model": one.model,
                "firmware": one.firmware,
                "attempts": one.attempts,
                "plugged": one.plugged,
                "started": one.started,
                "energy": one.energy,
                "successes": one.successes,
                "percent": _text(one.rate),
            }
            for one in report.funnel(tx, window, sites)
        ]

    return answered({"items": await _read(ask, read), "next": None})


async def week(ask: Ask) -> web.Response:
    """The load by hour of the week, in the time zone of the site, or of ``csms.timezone``."""
    query = ask.queried(SiteSpan)
    window, sites = _window(ask, query), _sites(ask, query)

    def read(tx: Tx) -> list[dict[str, Any]]:
        zone = Places(tx, _zone(ask)).zone_of(f"site:{query.site}" if query.site else "default")
        found = report.hours(tx, window, zone, sites)
        return [
            {
                "weekday": one.weekday,
                "hour": one.hour,
                "energy_wh": one.mwh / 1000,
                "busy_s": one.busy_s,
                "peak_w": one.peak_w,
            }
            for one in found
        ]

    return answered({"items": await _read(ask, read), "next": None})


def outages_of(ask: Ask, window: Span, charger: str | None) -> Callable[[Query], Iterator[dict[str, Any]]]:
    """The documents of every outage that the asker sees."""

    def documents(query: Query) -> Iterator[dict[str, Any]]:
        tx = ReadTx(query)
        sites: dict[str, str] = dict(query("SELECT id, site FROM charger"))
        for port, one in report.outages(tx, window, ask.console.now(), _zone(ask), charger):
            site = sites.get(port.charger) or None
            if ask.principal.sees(site):
                yield {
                    "charger": port.charger,
                    "evse": port.evse,
                    "site": site,
                    "from": times.text(one.start),
                    "to": times.text(one.end),
                    "minutes": _text(Decimal((one.end - one.start).total_seconds()) / 60),
                    "kind": one.kind,
                    "excluded": one.excluded,
                }

    return documents


def _window(ask: Ask, query: SiteSpan) -> Span:
    end = query.to or ask.console.now()
    return query.from_ or end - LATELY, end


def _sites(ask: Ask, query: SiteSpan) -> frozenset[str] | None:
    """Of the query, as far as the principal sees them. Raises Problem."""
    if query.site is None:
        return ask.principal.sites
    if not ask.principal.sees(query.site):
        raise Problem(Kind.INVALID, faults=[Fault("site", "is not one of your sites")])
    return frozenset({query.site})


async def _read(ask: Ask, work: Callable[[Tx], T]) -> T:
    return await ask.console.rows.reader.run(lambda query: work(ReadTx(query)))


def _zone(ask: Ask) -> ZoneInfo:
    return ZoneInfo(ask.console.config.csms.timezone)


def _text(number: Decimal) -> str:
    return str(number.quantize(Decimal("0.0001"), ROUND_HALF_EVEN))
