"""A tariff as OCPI 2.2.1 Tariff object, and what got lost on the way.

OCPI has no idle grace, no cap, and one tax rate a price. What it announces is never less than what is billed:
a price with a condition that it cannot say is exported without that condition, at the highest of its price
and those behind it. ``tariff_alt_text`` then has the phrase for drivers. ``step_size`` is 1 everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid5

from voltgate.csms.ledger import times
from voltgate.csms.tariffs import sentence
from voltgate.csms.tariffs.conditions import ALWAYS, Calendar, Measure, Range
from voltgate.csms.tariffs.money import EXACT
from voltgate.csms.tariffs.tariff import Bound, Component, Kind, Tariff, number

_DIMENSIONS = {
    Kind.START: ("FLAT", 1),
    Kind.ENERGY: ("ENERGY", 1),
    Kind.CHARGING: ("TIME", 60),
    Kind.IDLE: ("PARKING_TIME", 60),
}
# Name of a restriction behind min_ and max_, and our units in one of OCPI's.
_RESTRICTIONS = {
    Measure.ENERGY: ("kwh", 1_000_000),
    Measure.POWER: ("power", 1_000_000),
    Measure.CURRENT: ("current", 1_000),
    Measure.TIME: ("duration", 1_000_000),
}
_DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_FOUR = Decimal("0.0001")
_NAMESPACE = UUID("0f3ee0c5-52cf-5c1c-9a55-4a1f0b8a1d0c")


class Lost(Enum):
    """What OCPI 2.2.1 cannot say, or the books do not know."""

    IDLE_CONDITION = "A price depends on how long the idle time lasts."
    CHARGING_CONDITION = "A price depends on how long the charging lasts."
    IDLE_CAP = "Idle time costs no more than a certain amount."
    TAXES = "Several taxes of a price are one rate."
    TAX_UNKNOWN = "Prices are with tax, of an unknown rate."
    PRICE_ROUNDED = "A price without tax has more than four decimals."
    BOUND_COMPUTED = "The minimum or maximum without tax was computed from the one with tax, or the reverse."
    ZONE = "Times of day are of a zone of the tariff's own."
    ID = "An id is too long for OCPI, and is a UUID made of it."
    TOKEN = "The books know a pseudonym of the token."  # noqa: S105
    LOCATION = "The address, place or kind of the connector is unknown."
    WAITING = "Time that nobody pays for counts as parking in the totals and is in no dimension."


@dataclass(frozen=True, slots=True)
class Party:
    """The operator's ids in OCPI: ``NL``, ``ABC``."""

    country_code: str
    party_id: str


@dataclass(frozen=True, slots=True)
class Exported:
    """An OCPI object, and what it does not say, in the order of :class:`Lost`."""

    body: dict[str, Any]
    lost: tuple[Lost, ...]


def export(tariff: Tariff, party: Party, updated: datetime) -> Exported:
    """The Tariff object. ``updated``: when its revision was decided."""
    lost = set(_lost(tariff))
    elements = [element for component in tariff.components for element in _elements(component, lost)] or [
        {"price_components": [{"type": "FLAT", "price": 0, "step_size": 1}]}
    ]
    body: dict[str, Any] = {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "id": short_id(tariff.id, lost),
        "currency": tariff.currency,
        "elements": elements,
        "last_updated": times.text(updated),
    }
    notes = "; ".join(_notes(tariff))
    if notes:
        body["tariff_alt_text"] = [{"language": "en", "text": notes[:512]}]
    for name, bound in (("min_price", tariff.minimum), ("max_price", tariff.maximum)):
        if bound is not None:
            body[name] = _price(bound, tariff, lost)
    if "validFrom" in tariff.body:
        body["start_date_time"] = times.text(times.parsed(tariff.body["validFrom"]))
    return Exported(body, in_order(lost))


def in_order(lost: set[Lost]) -> tuple[Lost, ...]:
    """As :class:`Lost` lists them."""
    return tuple(one for one in Lost if one in lost)


def short_id(id: str, lost: set[Lost]) -> str:
    """An id of at most 36 printable ASCII characters."""
    if len(id) <= 36 and id.isascii() and id.isprintable():
        return id
    lost.add(Lost.ID)
    return str(uuid5(_NAMESPACE, id))


def rounded(value: Decimal) -> int | float:
    """A number of OCPI: four decimals."""
    return number(value.quantize(_FOUR, ROUND_HALF_EVEN, EXACT))


def _lost(tariff: Tariff) -> Iterator[Lost]:
    if tariff.idle_cap is not None:
        yield Lost.IDLE_CAP
    if tariff.zone is not None and tariff.calendars:
        yield Lost.ZONE
    for one in tariff.components:
        if not one.rates and any(price.price for price in one.prices):
            yield Lost.TAX_UNKNOWN
        if one.rates > 1:
            yield Lost.TAXES


def _elements(component: Component, lost: set[Lost]) -> Iterator[dict[str, Any]]:
    """An element for each price: OCPI too takes the first that matches."""
    name, factor = _DIMENSIONS[component.kind]
    for index, one in enumerate(component.prices):
        gross = one.price
        for part in one.conditions.ranges:
            if part.measure not in _RESTRICTIONS:
                lost.add(Lost.IDLE_CONDITION if part.measure is Measure.IDLE else Lost.CHARGING_CONDITION)
                gross = max(behind.price for behind in component.prices[index:])
        net = EXACT.divide(EXACT.multiply(gross, Decimal(factor)), component.tax)
        if EXACT.multiply(net.quantize(_FOUR, ROUND_HALF_EVEN, EXACT), component.tax) != gross * factor:
            lost.add(Lost.PRICE_ROUNDED)
        priced: dict[str, Any] = {"type": name, "price": rounded(net), "step_size": 1}
        if component.rates:
            priced["vat"] = rounded((component.tax - 1) * 100)
        element: dict[str, Any] = {"price_components": [priced]}
        restrictions = {**_calendar(one.conditions.calendar), **_ranges(one.conditions.ranges)}
        if restrictions:
            element["restrictions"] = restrictions
        yield element


def _calendar(calendar: Calendar) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (calendar.start, calendar.end) != (ALWAYS.start, ALWAYS.end):
        found |= {"start_time": f"{calendar.start:%H:%M}", "end_time": f"{calendar.end:%H:%M}"}
    if calendar.first != date.min:
        found["start_date"] = calendar.first.isoformat()
    if calendar.before != date.max:
        found["end_date"] = calendar.before.isoformat()
    if calendar.weekdays != ALWAYS.weekdays:
        found["day_of_week"] = [_DAYS[day] for day in calendar.weekdays]
    return found


def _ranges(ranges: tuple[Range, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in ranges:
        if one.measure in _RESTRICTIONS:
            name, size = _RESTRICTIONS[one.measure]
            for prefix, bound in (("min", one.least), ("max", one.below)):
                if bound is not None:
                    found[f"{prefix}_{name}"] = rounded(Decimal(bound) / size)
    return found


def _price(bound: Bound, tariff: Tariff, lost: set[Lost]) -> dict[str, Any]:
    factor = tariff.components[0].tax if tariff.components else Decimal(1)
    net, gross = bound.net, bound.gross
    if net is None or gross is None:
        lost.add(Lost.BOUND_COMPUTED)
    if net is None:
        assert gross is not None
        net = EXACT.divide(gross, factor)
    return {
        "excl_vat": rounded(net),
        "incl_vat": rounded(EXACT.multiply(net, factor) if gross is None else gross),
    }


def _notes(tariff: Tariff) -> Iterator[str]:
    """What drivers should know and the elements do not say."""
    for component in tariff.components:
        ranges = [part for price in component.prices for part in price.conditions.ranges]
        if any(one.measure not in _RESTRICTIONS for one in ranges):
            yield sentence.phrase(component, tariff)
    yield from sentence.idle_cap(tariff)
