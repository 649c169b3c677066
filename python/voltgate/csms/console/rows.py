"""The documents of the API from rows of the ledger's tables (docs/csms/ledger.md)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from voltgate.csms.console import chargers
from voltgate.csms.console.endpoints import CdrQuery, SearchQuery, SessionQuery, Span
from voltgate.csms.console.pages import Cursor, Where, cursor
from voltgate.csms.console.people import People
from voltgate.csms.console.reader import Reader
from voltgate.csms.console.roles import Principal
from voltgate.csms.console.tokens import shown
from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Row
from voltgate.csms.tariffs import money

Document = dict[str, Any]
AT_ONCE = 5000  # ids in one query
DRAWN = 1000  # samples of a curve, at most
# The time of a session that is always there: the index session_by_time has this very expression.
TIME = "COALESCE(s.started, s.first_heard)"
SESSIONS = (
    "SELECT s.id, s.charger, s.evse, s.connector, s.tx, s.token, s.started, s.ended, s.state, s.mwh,"
    " s.peak_w, s.charging_s, s.idle_s, s.soc_from, s.soc_to, s.currency, s.cost, s.tariff, s.flags,"
    f" s.revision, c.site, {TIME}, s.id FROM session s LEFT JOIN charger c ON c.id = s.charger"
)
CDRS = (
    "SELECT id, number, site, session, charger, revision, kind, cost, currency, mwh, payment, issued, id"
    " FROM cdr"
)


class Rows:
    """Queries of one console."""

    def __init__(self, reader: Reader, people: People) -> None:
        self.reader, self.people = reader, people

    # -- sites of things

    async def site_of_charger(self, id_: str) -> str | None:
        """Empty: of none. None: there is no such charger."""
        return await self._site("SELECT site FROM charger WHERE id = ?", id_)

    async def site_of_session(self, id_: str) -> str | None:
        """Likewise, of a session."""
        return await self._site(
            "SELECT COALESCE(c.site, '') FROM session s LEFT JOIN charger c ON c.id = s.charger"
            " WHERE s.id = ?",
            id_,
        )

    async def site_of_cdr(self, id_: str) -> str | None:
        """Likewise, of a CDR."""
        return await self._site("SELECT site FROM cdr WHERE id = ?", id_)

    async def site_of_alert(self, id_: str) -> str | None:
        """Likewise, of an alert; one of no charger is of no site, and so is a whole rule."""
        rule, _, subject = id_.partition("/")
        return await self._site(
            "SELECT COALESCE(c.site, '') FROM alert a LEFT JOIN charger c ON c.id = a.charger"
            " WHERE a.rule = ? AND a.subject = ?",
            rule,
            subject,
        )

    async def _site(self, sql: str, *args: str) -> str | None:
        row = await self.reader.one(sql, *args)
        return None if row is None else str(row[0])

    # -- chargers

    async def chargers(self, query: SearchQuery, principal: Principal) -> Document:
        """A page, in the order of ids."""
        where = Where()
        where.sites("c.site", principal)
        where.equal("c.site", query.site)
        if query.after:
            where.add("c.id > ?", cursor(query.after).id)
        items = await self._chargers(where, query.limit + 1)
        return _page(items, query.limit, lambda one: Cursor("", one["id"]))

    async def charger(self, id_: str) -> Document | None:
        """One; None: there is none."""
        items = await self._chargers(Where(["c.id = ?"], [id_]), 1)
        return items[0] if items else None

    async def chargers_of(self, ids: Sequence[str]) -> list[Document]:
        """Those that are there, with ``heard``. Databases bound a query's arguments: many ids are several."""
        found: list[Document] = []
        ordered = sorted(ids)
        for first in range(0, len(ordered), AT_ONCE):
            some = ordered[first : first + AT_ONCE]
            found += await self._chargers(
                Where([f"c.id IN ({', '.join('?' * len(some))})"], [*some]), len(some), heard=True
            )
        return found

    async def _chargers(self, where: Where, limit: int, *, heard: bool = False) -> list[Document]:
        return await self.reader.run(lambda query: chargers.read(query, where, limit, heard=heard))

    # -- sessions

    async def sessions(self, query: SessionQuery, principal: Principal) -> Document:
        """A page, newest first."""
        where = session_filter(query, principal)
        if query.after:
            where.behind(TIME, "s.id", cursor(query.after))
        rows = await self.reader.all(
            f"{SESSIONS}{where} ORDER BY {TIME} DESC, s.id DESC LIMIT ?", *where.args, query.limit + 1
        )
        page = rows[: query.limit]
        return {
            "items": [self.session_of(row, principal) for row in page],
            "next": str(Cursor(*page[-1][-2:])) if len(rows) > query.limit else None,
        }

    async def session(self, id_: str, principal: Principal) -> Document | None:
        """One; None: there is none."""
        row = await self.reader.one(f"{SESSIONS} WHERE s.id = ?", id_)
        return None if row is None else self.session_of(row, principal)

    def session_of(self, row: Row, principal: Principal) -> Document:
        """The document of a row of the query for sessions."""
        (
            id_, charger, evse, connector, tx, token, started, ended, state, mwh, peak_w, charging_s, idle_s,
            soc_from, soc_to, currency, cost, tariff, flags, revision, site, _, _,
        ) = row  # fmt: skip
        return {
            "id": id_,
            "charger": charger,
            "evse": evse,
            "connector": connector,
            "transaction": tx or None,
            "token": shown(token, self.people, principal),
            "started": started,
            "ended": ended,
            "state": state,
            "energy_wh": mwh / 1000,
            "peak_w": peak_w,
            "charging_s": charging_s,
            "idle_s": idle_s,
            "soc_from": soc_from,
            "soc_to": soc_to,
            "currency": currency or None,
            "cost": None if cost is None else money.text(cost, currency),
            "tariff": tariff or None,
            "flags": flags.split(),
            "revision": revision,
            "site": site or None,
        }

    async def open_session(self, charger: str, evse: int | None) -> list[tuple[str, str]]:
        """(id, transaction) of the open sessions of a charger, or of one EVSE."""
        where = Where(["charger = ?", "state = 'open'"], [charger])
        where.equal("evse", evse)
        return [
            (row[0], row[1])
            for row in await self.reader.all(f"SELECT id, tx FROM session{where}", *where.args)
        ]

    async def transaction(self, charger: str, session: str) -> str | None:
        """Of a session of the charger; "": none is known; None: there is no such session."""
        row = await self.reader.one("SELECT tx FROM session WHERE id = ? AND charger = ?", session, charger)
        return None if row is None else str(row[0])

    async def lines(self, session: str, currency: str | None) -> list[Document]:
        """The bill of the last revision."""
        rows = await self.reader.all(
            "SELECT kind, begins, ends, quantity, unit, price, amount, tax FROM line WHERE session = ? AND"
            " revision = (SELECT MAX(revision) FROM line WHERE session = ?) ORDER BY number",
            session,
            session,
        )
        return [
            {
                "kind": kind,
                "from": begins,
                "to": ends,
                "quantity": quantity,
                "unit": unit,
                "price": price,
                "amount": money.text(amount, currency or ""),
                "tax": money.text(tax, currency or ""),
            }
            for kind, begins, ends, quantity, unit, price, amount, tax in rows
        ]

    async def facts(self, session: str) -> list[Document]:
        """What the session was made of."""
        rows = await self.reader.all(
            "SELECT stream, seq, subject, used_for FROM said WHERE session = ? ORDER BY at, stream, seq",
            session,
        )
        return [
            {"stream": stream, "seq": seq, "subject": subject, "used_for": used_for}
            for stream, seq, subject, used_for in rows
        ]

    async def curve(self, session: str) -> list[Document]:
        """Its samples, oldest first: all of a session, or every n-th where there are too many to draw."""
        rows = await self.reader.all(
            "SELECT at, w, wh, soc FROM sample WHERE session = ? ORDER BY at", session
        )
        step = -(-len(rows) // DRAWN) or 1
        return [
            {"at": at, "power_w": power, "register_wh": register, "soc": soc}
            for at, power, register, soc in rows[::step]
        ]

    # -- CDRs

    async def cdrs(self, query: CdrQuery, principal: Principal) -> Document:
        """A page, newest first."""
        where = cdr_filter(query, principal)
        if query.after:
            where.behind("issued", "id", cursor(query.after))
        rows = await self.reader.all(
            f"{CDRS}{where} ORDER BY issued DESC, id DESC LIMIT ?", *where.args, query.limit + 1
        )
        return _page([cdr_of(row) for row in rows], query.limit, lambda one: Cursor(one["issued"], one["id"]))


def session_filter(query: Span, principal: Principal) -> Where:
    """The rows of a query for sessions, on all pages."""
    where = Where()
    where.equal("s.charger", query.charger)
    if isinstance(query, SessionQuery):
        where.equal("s.state", query.state)
    _span(where, TIME, query.from_, query.to)
    where.sites("c.site", principal)
    return where


def cdr_filter(query: Span, principal: Principal) -> Where:
    """The rows of a query for CDRs, on all pages."""
    where = Where()
    where.equal("charger", query.charger)
    if isinstance(query, CdrQuery):
        where.equal("session", query.session)
    _span(where, "issued", query.from_, query.to)
    where.sites("site", principal)
    return where


def _span(where: Where, column: str, begins: datetime | None, ends: datetime | None) -> None:
    if begins is not None:
        where.add(f"{column} >= ?", times.text(begins))
    if ends is not None:
        where.add(f"{column} < ?", times.text(ends))


def cdr_of(row: Row) -> Document:
    """The document of a row of the query for CDRs."""
    id_, number, site, session, charger, revision, kind, cost, currency, mwh, payment, issued, _ = row
    return {
        "id": id_,
        "number": number,
        "site": site or None,
        "session": session,
        "charger": charger,
        "revision": revision,
        "kind": kind,
        "cost": money.text(cost, currency),
        "currency": currency,
        "energy_wh": mwh / 1000,
        "issued": issued,
        "payment": payment,
    }


def _page(items: list[Document], limit: int, last: Any) -> Document:
    more = len(items) > limit
    items = items[:limit]
    return {"items": items, "next": str(last(items[-1])) if more else None}
