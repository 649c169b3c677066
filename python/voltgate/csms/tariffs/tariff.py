"""A tariff: an OCPP 2.1 TariffType, checked by the codec, and what ``price`` needs of it.

The TariffType is the tariff: what decisions hold, what a 2.1 charger gets, what this class is read from.
``customData`` adds what OCPP cannot say: ``taxIncluded`` (the prices are with tax, although there are tax
rates), ``zone`` (of the times of day; absent: the site's) and ``idleCap`` (the most that idle time costs in
one session, with tax). A component without tax rates has prices with tax, of which nobody knows the rate.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from voltgate.csms.tariffs import conditions
from voltgate.csms.tariffs.conditions import ALWAYS, Calendar, Conditions, Measure, TariffFault
from voltgate.csms.tariffs.money import EXACT
from voltgate.schemas import Codec

VENDOR = "voltgate"
_CURRENCY = re.compile(r"[A-Z]{3}")
_ONE = Decimal(1)


class Kind(StrEnum):
    """What a price is for. Bills have a few kinds of lines more (``price.LineKind``)."""

    START = "start"
    ENERGY = "energy"
    CHARGING = "charging"
    IDLE = "idle"


# Member of TariffType, and the member of its elements that holds the price.
_MEMBERS = {
    Kind.START: ("fixedFee", "priceFixed"),
    Kind.ENERGY: ("energy", "priceKwh"),
    Kind.CHARGING: ("chargingTime", "priceMinute"),
    Kind.IDLE: ("idleTime", "priceMinute"),
}


@dataclass(frozen=True, slots=True)
class Price:
    """One price of a component, with tax: per session, kWh or minute."""

    price: Decimal
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Component:
    """The prices for one kind of use: the first whose conditions hold is the price, none of them is free."""

    kind: Kind
    prices: tuple[Price, ...]
    tax: Decimal
    """The factor from a price without tax to the price with tax: 1.19."""
    rates: int
    """How many taxes that is; 0: unknown."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The least or most that a session costs; at least one of both is there."""

    net: Decimal | None
    gross: Decimal | None


@dataclass(frozen=True)
class Tariff:
    """A checked tariff. Made by :meth:`read` alone."""

    body: Mapping[str, Any]
    """The TariffType as JSON."""
    currency: str
    components: tuple[Component, ...]
    minimum: Bound | None
    maximum: Bound | None
    idle_cap: Decimal | None
    zone: ZoneInfo | None

    @property
    def id(self) -> str:
        """At most 60 characters."""
        return str(self.body["tariffId"])

    @property
    def tax_included(self) -> bool:
        """Whether the prices of ``body`` are with tax also where it has tax rates."""
        return bool(self.body.get("customData", {}).get("taxIncluded"))

    @cached_property
    def calendars(self) -> tuple[Calendar, ...]:
        """Every calendar that a price depends on."""
        all_of_them = (price.conditions.calendar for one in self.components for price in one.prices)
        return tuple(dict.fromkeys(calendar for calendar in all_of_them if calendar != ALWAYS))

    @cached_property
    def metered(self) -> tuple[Component, ...]:
        """The components that are priced by what is used."""
        return tuple(one for one in self.components if one.kind is not Kind.START)

    @cached_property
    def bounds(self) -> dict[Measure, list[int]]:
        """Every bound of a range, by what it is about, ascending."""
        found: dict[Measure, set[int]] = {}
        for price in (price for one in self.metered for price in one.prices):
            for part in price.conditions.ranges:
                found.setdefault(part.measure, set()).update(
                    bound for bound in (part.least, part.below) if bound is not None
                )
        return {measure: sorted(values) for measure, values in found.items()}

    @cached_property
    def applied(self) -> dict[tuple[int, ...], tuple[Price | None, ...]]:
        """The prices of each combination of conditions that a usage has met; filled by ``cut``."""
        return {}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Tariff":
        """The tariff of a TariffType (parsed JSON). TariffFault for one that no bill can follow."""
        _check_schema(body)
        for name in ("reservationTime", "reservationFixed"):
            if name in body:
                raise TariffFault(f"/{name}", "is not billed: there are no reservations here")
        if not _CURRENCY.fullmatch(body["currency"]):
            raise TariffFault("/currency", "is not an ISO 4217 code such as EUR")
        extra = body.get("customData", {})
        included = extra.get("taxIncluded", False)
        if not isinstance(included, bool):
            raise TariffFault("/customData/taxIncluded", "is not true or false")
        return cls(
            body,
            body["currency"],
            tuple(_component(kind, body, included) for kind in Kind if _MEMBERS[kind][0] in body),
            _bound(body, "minCost"),
            _bound(body, "maxCost"),
            _money(extra, "idleCap"),
            _zone(extra),
        )

    def with_tax(self, percent: Decimal) -> "Tariff":
        """The same prices, of which ``percent`` are tax, unless the tariff has rates of its own.

        For a tariff without rates at a site whose rate is known.
        """
        members = [_MEMBERS[one.kind][0] for one in self.components]
        if any("taxRates" in self.body[member] for member in members):
            return self
        rates = [{"type": "VAT", "tax": number(percent)}]
        taxed = {member: {**self.body[member], "taxRates": rates} for member in members}
        extra = {"vendorId": VENDOR, **self.body.get("customData", {}), "taxIncluded": True}
        return Tariff.read({**self.body, **taxed, "customData": extra})

    def for_charger(self) -> dict[str, Any]:
        """The TariffType for a 2.1 charger, which knows nothing of ``taxIncluded``: without rates, if so.

        A charger adds the rates to the prices; without rates it shows and sums the prices that are billed.
        """
        if not self.tax_included:
            return dict(self.body)
        members = {member for member, _ in _MEMBERS.values()}
        return {
            name: {key: part for key, part in value.items() if key != "taxRates"}
            if name in members
            else value
            for name, value in self.body.items()
        }


def number(value: Decimal) -> int | float:
    """As JSON number: 15 significant digits survive."""
    return int(value) if value == value.to_integral_value() else float(value)


def _check_schema(body: Mapping[str, Any]) -> None:
    request = orjson.dumps({"evseId": 0, "tariff": dict(body)})
    violation = Codec("ocpp2.1").check("SetDefaultTariff", "request", request)
    if violation is not None:
        raise TariffFault(violation.pointer.removeprefix("/tariff"), violation.reason)


def _component(kind: Kind, body: Mapping[str, Any], included: bool) -> Component:
    member, name = _MEMBERS[kind]
    rates = body[member].get("taxRates", [])
    tax = _factor(rates, f"/{member}/taxRates")
    factor = _ONE if included else tax
    prices = []
    for index, one in enumerate(body[member]["prices"]):
        pointer = f"/{member}/prices/{index}"
        if one[name] < 0:
            raise TariffFault(f"{pointer}/{name}", "is negative")
        price = EXACT.multiply(_decimal(one[name]), factor)
        prices.append(Price(price, conditions.read(one.get("conditions", {}), f"{pointer}/conditions")))
    return Component(kind, tuple(prices), tax, len(rates))


def _factor(rates: list[dict[str, Any]], pointer: str) -> Decimal:
    """Taxes of one stack level are added, those of the next level are on top of them."""
    levels: dict[int, Decimal] = {}
    for index, rate in enumerate(rates):
        if not 0 <= rate["tax"] <= 100:
            raise TariffFault(f"{pointer}/{index}/tax", "is not a percentage")
        level = rate.get("stack", 0)
        levels[level] = levels.get(level, _ONE) + _decimal(rate["tax"]) / 100
    factor = _ONE
    for one in levels.values():
        factor = EXACT.multiply(factor, one)
    return factor


def _bound(body: Mapping[str, Any], name: str) -> Bound | None:
    if name not in body:
        return None
    net, gross = body[name].get("exclTax"), body[name].get("inclTax")
    if net is None and gross is None:
        raise TariffFault(f"/{name}", "has neither exclTax nor inclTax")
    if min(one for one in (net, gross) if one is not None) < 0:
        raise TariffFault(f"/{name}", "is negative")
    return Bound(None if net is None else _decimal(net), None if gross is None else _decimal(gross))


def _money(extra: Mapping[str, Any], name: str) -> Decimal | None:
    if name not in extra:
        return None
    value = extra[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise TariffFault(f"/customData/{name}", "is not an amount of money")
    return _decimal(value)


def _zone(extra: Mapping[str, Any]) -> ZoneInfo | None:
    if "zone" not in extra:
        return None
    try:
        return ZoneInfo(extra["zone"])
    except (KeyError, ValueError, TypeError, OSError):
        raise TariffFault("/customData/zone", "is not a time zone such as Europe/Berlin") from None


def _decimal(value: float) -> Decimal:
    """The shortest decimal that is this JSON number: 0.39, not its binary neighbour."""
    return Decimal(str(value))
