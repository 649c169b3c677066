"""Which tariff a session has, and what it costs by it.

Chosen at the start by token group, connector, charger, site, default, in this order, and frozen with its
revision: a later change does not apply to a session that has begun.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from voltgate.config_csms import Csms
from voltgate.csms.ledger import decided
from voltgate.csms.ledger.decisions import Kind
from voltgate.csms.ledger.idle import Doing
from voltgate.csms.ledger.session import Derived
from voltgate.csms.ledger.store import Tx
from voltgate.csms.tariffs import form
from voltgate.csms.tariffs.conditions import TariffFault
from voltgate.csms.tariffs.price import Bill, price
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Period, Usage


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is, as its site says."""

    site: str
    zone: ZoneInfo
    currency: str
    tax_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A tariff and its revision; both empty: none is assigned."""

    tariff: str = ""
    revision: int = 0


def place(tx: Tx, charger: str, at: datetime, config: Csms) -> Place:
    """The site of a charger, with the configuration's values for what it does not say."""
    body = decided.body_of(tx, Kind.CHARGER, charger, at) or {}
    site = str(body.get("site") or "")
    found = (decided.body_of(tx, Kind.SITE, site, at) or {}) if site else {}
    percent = None
    try:
        percent = Decimal(str(found["tax_percent"])) if found.get("tax_percent") is not None else None
        zone = ZoneInfo(str(found.get("timezone") or config.timezone))
    except (InvalidOperation, ValueError, OSError, KeyError):
        zone = ZoneInfo(config.timezone)
    return Place(site, zone, str(found.get("currency") or config.currency), percent)


def chosen(tx: Tx, charger: str, derived: Derived, site: str) -> Choice:
    """The tariff at the start of a session."""
    at = derived.started
    if at is None:
        return Choice()
    group = (decided.body_of(tx, Kind.GROUP, derived.token, at) or {}).get("group") if derived.token else None
    first = [f"group:{group}"] if group else []
    return _assigned(
        tx, at, [*first, f"connector:{charger}/{derived.evse}/{derived.connector}"], charger, site
    )


def of_charger(tx: Tx, charger: str, at: datetime, site: str) -> Choice:
    """The tariff of a session that begins at any connector, without a token."""
    return _assigned(tx, at, [], charger, site)


def _assigned(tx: Tx, at: datetime, first: Sequence[str], charger: str, site: str) -> Choice:
    for scope in [*first, f"charger:{charger}", *([f"site:{site}"] if site else []), "default"]:
        assignment = decided.body_of(tx, Kind.ASSIGNMENT, scope, at)
        name = (assignment or {}).get("tariff")
        tariff = decided.revision_of(tx, Kind.TARIFF, str(name), at) if name else None
        if tariff is not None:
            return Choice(str(name), tariff[0])
    return Choice()


def bill(tx: Tx, derived: Derived, choice: Choice, where: Place) -> Bill | None:
    """What a session costs; None: nothing can be billed."""
    if derived.started is None or not choice.tariff:
        return None
    body = tariff_body(tx, choice)
    return None if body is None else billed(derived, choice.tariff, body, where)


def for_charger(tx: Tx, choice: Choice) -> dict[str, Any] | None:
    """The TariffType for a 2.1 charger; None: no tariff."""
    body = tariff_body(tx, choice)
    tariff = None if body is None else _read(choice.tariff, body)
    return None if tariff is None else tariff.for_charger()


def tariff_body(tx: Tx, choice: Choice) -> str | None:
    """The body of the decision that made the tariff."""
    row = tx.one(
        "SELECT body FROM decision WHERE kind = ? AND id = ? AND seq = ?",
        Kind.TARIFF, choice.tariff, choice.revision,
    )  # fmt: skip
    return None if row is None else str(row[0])


def billed(derived: Derived, id_: str, body: str, where: Place) -> Bill | None:
    """The bill by a tariff's body; None: it is no tariff."""
    tariff = tariff_of(id_, body, where)
    return None if tariff is None else price(usage(derived), tariff, where.zone)


def tariff_of(id_: str, body: str, where: Place) -> Tariff | None:
    """A tariff by its body, with the tax of the site where it has none; None: it is no tariff."""
    tariff = _read(id_, body)
    if tariff is None or where.tax_percent is None:
        return tariff
    return tariff.with_tax(where.tax_percent)


@lru_cache(maxsize=256)
def _read(id_: str, body: str) -> Tariff | None:
    given: Mapping[str, Any] = orjson.loads(body)
    try:
        return form.read(id_, given)
    except TariffFault:
        return None


def usage(derived: Derived) -> Usage:
    """The periods of a session."""
    measured = sorted(
        (point.at, round(1000 * sum(amperes)))
        for point in derived.points
        if point.at is not None and (amperes := [one for one in point.currents if one is not None])
    )
    times = [at for at, _ in measured]

    def current(begins: datetime, ends: datetime) -> int | None:
        """The smaller one of the readings around a stretch, in mA: so much is proven."""
        first, last = bisect_right(times, begins) - 1, bisect_left(times, ends)
        around = [
            milliamperes
            for _, milliamperes in (*measured[max(first, 0) : first + 1], *measured[last : last + 1])
        ]
        return min(around, default=None)

    return Usage(
        tuple(
            Period(
                one.begins,
                one.ends,
                one.mwh,
                one.doing is Doing.CHARGING or one.mwh > 0,
                one.billable_idle,
                current(one.begins, one.ends),
            )
            for one in derived.stretches
        )
    )
