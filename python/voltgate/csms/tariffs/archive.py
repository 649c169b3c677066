"""Documents out of the database, in pieces: what previews, statements and exports read."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.ledger.store import Row
from voltgate.csms.tariffs import statement
from voltgate.csms.tariffs.cdr import Cdr, read
from voltgate.csms.tariffs.payments import Payment
from voltgate.csms.tariffs.preview import Past
from voltgate.csms.tariffs.statement import Entry

Query = Callable[..., list[Row]]
"""``query(sql, *args)``: every row."""
PIECE = 200  # documents at a time: tens of kilobytes each
_COUNTS = (  # an invoice that no credit has taken back
    "kind = 'invoice' AND NOT EXISTS (SELECT 1 FROM cdr taken WHERE taken.kind = 'credit' "
    "AND taken.session = cdr.session AND taken.revision = cdr.revision)"
)


def document(query: Query, id: str) -> Cdr | None:
    """One of them; None: there is none."""
    rows = query("SELECT document FROM cdr WHERE id = ?", id)
    return read(bytes(rows[0][0])) if rows else None


def past(query: Query, since: datetime, until: datetime, site: str | None = None) -> Iterator[Past]:
    """The sessions that were invoiced in a time, as they count now; ``site``: of this one only."""
    for _, body in _pieces(query, since, until, site, _COUNTS):
        billed = read(body).billed
        yield Past(billed.usage, ZoneInfo(billed.zone), billed.bill.total, billed.bill.currency)


def entries(query: Query, site: str, month: date, zone: ZoneInfo) -> Iterator[Entry]:
    """What belongs on the statement of a site and calendar month, in the order of issue."""
    since, until = statement.period(month, zone)
    for payment, body in _pieces(query, since, until, site, "1 = 1"):
        yield Entry(read(body), Payment(payment))


def zone(query: Query, site: str, otherwise: str) -> ZoneInfo:
    """The time zone of a site, as decided last."""
    rows = query(
        "SELECT body FROM decision WHERE kind = ? AND id = ? ORDER BY seq DESC LIMIT 1", Kind.SITE, site
    )
    return ZoneInfo((orjson.loads(rows[0][0]).get("timezone") if rows else None) or otherwise)


def _pieces(
    query: Query, since: datetime, until: datetime, site: str | None, which: str
) -> Iterator[tuple[str, bytes]]:
    """(payment, document) in the order of (issued, id)."""
    at, id_ = times.text(since), ""
    place, args = ("", ()) if site is None else ("AND site = ? ", (site,))
    while True:
        rows = query(
            f"SELECT issued, id, payment, document FROM cdr WHERE issued >= ? AND (issued > ? OR id > ?) "
            f"AND issued < ? {place}AND {which} ORDER BY issued, id LIMIT ?",
            at, at, id_, times.text(until), *args, PIECE,
        )  # fmt: skip
        for _, _, payment, body in rows:
            yield payment, bytes(body)
        if len(rows) < PIECE:
            return
        at, id_ = rows[-1][:2]
