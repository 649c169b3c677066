"""The statement of a site for a month: what was invoiced and credited, and the sums."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from voltgate.csms import sheets
from voltgate.csms.ledger import times
from voltgate.csms.sheets import Cell
from voltgate.csms.tariffs import money
from voltgate.csms.tariffs.cdr import Cdr
from voltgate.csms.tariffs.payments import Payment

COLUMNS = (
    "number", "kind", "issued", "session", "charger", "started", "ended", "energy_kwh", "currency", "net",
    "tax", "cost", "payment", "credits",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A document and its state."""

    cdr: Cdr
    payment: Payment


@dataclass(slots=True)
class Sum:
    """Of the documents in one currency; mWh and 1/10,000 of the minor unit. Credits have negative amounts."""

    currency: str
    documents: int = 0
    mwh: int = 0
    cost: int = 0
    tax: int = 0
    open: int = 0
    """What is due: what drivers owe, less what is owed to them."""


def period(month: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first instant of a calendar month of the site, and of the next one: for ``cdr.issued``."""
    first = datetime(month.year, month.month, 1, tzinfo=zone)
    after = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=zone)
    return first, after


def sums(entries: Iterable[Entry]) -> list[Sum]:
    """One for each currency, in alphabetical order."""
    found: dict[str, Sum] = {}
    for one in entries:
        bill = one.cdr.billed.bill
        total = found.setdefault(bill.currency, Sum(bill.currency))
        total.documents += 1
        total.mwh += _mwh(one.cdr)
        total.cost += bill.total
        total.tax += bill.tax
        total.open += bill.total if one.payment is Payment.DUE else 0
    return [found[currency] for currency in sorted(found)]


def csv(entries: Iterable[Entry]) -> Iterator[str]:
    """The statement in pieces: the documents in the order given, and the sums at its end."""
    yield sheets.rows([COLUMNS])
    seen: list[Entry] = []
    for one in entries:
        seen.append(one)
        yield sheets.rows([_row(one)])
    for total in sums(seen):
        row = dict.fromkeys(COLUMNS, "") | {
            "number": "total",
            "energy_kwh": _kwh(total.mwh),
            "currency": total.currency,
            "net": money.text(total.cost - total.tax, total.currency),
            "tax": money.text(total.tax, total.currency),
            "cost": money.text(total.cost, total.currency),
            "payment": f"{money.text(total.open, total.currency)} due",
        }
        yield sheets.rows([row.values()])


def _row(one: Entry) -> Iterator[Cell]:
    cdr, billed = one.cdr, one.cdr.billed
    bill = billed.bill
    yield from (cdr.number, cdr.kind, times.text(cdr.issued), cdr.session, cdr.charger)
    yield from (times.text(billed.started), times.text(billed.ended), _kwh(_mwh(cdr)), bill.currency)
    yield from (money.text(amount, bill.currency) for amount in (bill.total - bill.tax, bill.tax, bill.total))
    yield from (one.payment, cdr.credits)


def _mwh(cdr: Cdr) -> int:
    """A credit takes the energy back with the money."""
    return -cdr.billed.mwh if cdr.credits else cdr.billed.mwh


def _kwh(mwh: int) -> str:
    return f"{Decimal(mwh) / 1_000_000:f}"
