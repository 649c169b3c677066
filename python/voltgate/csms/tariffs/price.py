"""The bill of a session: a pure function of usage, tariff and time zone.

All use at one price is one line, also if it was interrupted: each line is rounded once, so that prices that
change every minute do not lose or gain a coin a minute. A line can be recomputed from what is printed on it:
``quantity`` (six decimals) x ``price`` (with tax) = ``amount``, rounded half to even to the minor unit. A
start fee and a minimum need a delivery: energy, or time of charging.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

from voltgate.csms.tariffs import money
from voltgate.csms.tariffs.cut import MICROSECOND, at_start, cut
from voltgate.csms.tariffs.money import EXACT
from voltgate.csms.tariffs.tariff import Bound, Kind, Tariff
from voltgate.csms.tariffs.usage import Usage


class LineKind(StrEnum):
    """What a line of a bill is for, in the order of the lines."""

    START = "start"
    ENERGY = "energy"
    CHARGING = "charging"
    IDLE = "idle"
    IDLE_CAP = "idle_cap"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


# The unit of a line, and how much of what is counted (sessions, mWh, microseconds) is one.
_UNITS = {
    Kind.START: ("session", Decimal(1)),
    Kind.ENERGY: ("kWh", Decimal(1_000_000)),
    Kind.CHARGING: ("min", Decimal(60_000_000)),
    Kind.IDLE: ("min", Decimal(60_000_000)),
}
_SIX = Decimal("0.000001")
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a bill; ``start`` to ``end`` encloses the use that it is for, and perhaps other prices."""

    kind: str
    start: datetime
    end: datetime
    quantity: Decimal
    unit: str
    price: Decimal
    """Of one unit, with tax."""
    amount: int
    """With tax, in 1/10,000 of the minor unit, whole minor units."""
    tax: int
    """The part of ``amount`` that is tax."""


@dataclass(frozen=True, slots=True)
class Bill:
    """``total`` and ``tax`` are the sums of the lines."""

    lines: tuple[Line, ...]
    total: int
    tax: int
    currency: str

    @property
    def cost(self) -> str:
        """The total as a decimal number: ``12.30``."""
        return money.text(self.total, self.currency)


def price(usage: Usage, tariff: Tariff, zone: ZoneInfo) -> Bill:
    """The bill of a usage; ``zone`` is the site's. Without periods there is nothing to pay."""
    lines: list[Line] = []
    if usage.periods:
        delivered = any(period.mwh or period.charging for period in usage.periods)
        if delivered:
            lines += _start(usage, tariff, zone)
        lines += _used(usage, tariff, zone)
        lines += _idle_cap(lines, tariff)
        if delivered and tariff.minimum is not None:
            lines += _bounded(lines, tariff, usage, tariff.minimum, LineKind.MINIMUM)
        if tariff.maximum is not None:
            lines += _bounded(lines, tariff, usage, tariff.maximum, LineKind.MAXIMUM)
    return Bill(
        tuple(lines), sum(one.amount for one in lines), sum(one.tax for one in lines), tariff.currency
    )


@dataclass(slots=True)
class _Use:
    """Use at one price; microseconds since the start, ``counted`` in sessions, mWh or microseconds."""

    kind: Kind
    begin: int
    end: int
    counted: int


def _start(usage: Usage, tariff: Tariff, zone: ZoneInfo) -> Iterator[Line]:
    for component in tariff.components:
        if component.kind is Kind.START:
            fee = at_start(component.prices, usage, tariff, zone)
            if fee is not None:
                yield _line(_Use(Kind.START, 0, 0, 1), fee.price, component.tax, tariff, usage)


def _used(usage: Usage, tariff: Tariff, zone: ZoneInfo) -> Iterator[Line]:
    """The lines of what was metered."""
    kinds = [one.kind for one in tariff.metered]
    sums: list[dict[Decimal, _Use]] = [{} for _ in kinds]
    for period, begin, length, mwh, prices in cut(usage, tariff, zone):
        for kind, uses, applied in zip(kinds, sums, prices, strict=True):
            if kind is Kind.ENERGY:
                counted = mwh
            elif kind is Kind.CHARGING:
                counted = length if period.charging else 0
            else:
                counted = length if period.billable_idle else 0
            if applied is not None and counted:
                use = uses.get(applied.price)
                if use is None:
                    use = uses[applied.price] = _Use(kind, begin, begin, 0)
                use.end = begin + length
                use.counted += counted
    for component, uses in zip(tariff.metered, sums, strict=True):
        for each, use in uses.items():
            yield _line(use, each, component.tax, tariff, usage)


def _line(use: _Use, each: Decimal, factor: Decimal, tariff: Tariff, usage: Usage) -> Line:
    unit, size = _UNITS[use.kind]
    first = usage.periods[0].start
    quantity = (use.counted / size).quantize(_SIX, ROUND_HALF_EVEN)
    amount = money.rounded(EXACT.multiply(quantity, each), tariff.currency)
    return Line(
        LineKind(use.kind),
        first + use.begin * MICROSECOND,
        first + use.end * MICROSECOND,
        quantity,
        unit,
        each,
        amount,
        _tax(amount, factor, tariff.currency),
    )


def _tax(amount: int, factor: Decimal, currency: str) -> int:
    """The tax inside an amount, rounded like the amount."""
    net = EXACT.divide(money.decimal(amount, currency), factor)
    return amount - money.rounded(net, currency)


def _idle_cap(lines: list[Line], tariff: Tariff) -> Iterator[Line]:
    """What idle time costs beyond the cap is taken off."""
    idle = [one for one in lines if one.kind == LineKind.IDLE]
    if tariff.idle_cap is None or not idle:
        return
    excess = sum(one.amount for one in idle) - money.rounded(tariff.idle_cap, tariff.currency)
    if excess > 0:
        factor = next(one.tax for one in tariff.metered if one.kind is Kind.IDLE)
        tax = _tax(excess, factor, tariff.currency)
        start, end = min(one.start for one in idle), max(one.end for one in idle)
        yield _adjustment(LineKind.IDLE_CAP, (start, end), -excess, -tax, tariff.currency)


def _bounded(lines: list[Line], tariff: Tariff, usage: Usage, bound: Bound, kind: LineKind) -> Iterator[Line]:
    """The line that brings the bill to its minimum or maximum.

    The sums with and without tax are bounded each (OCPI 2.2.1 11.3.1 says so of its ``min_price``); where the
    tariff gives one of them, the other keeps its proportion.
    """
    clamp = max if kind is LineKind.MINIMUM else min
    gross, tax = sum(one.amount for one in lines), sum(one.tax for one in lines)
    net = gross - tax
    factor = _mean_factor(lines, tariff)
    new_gross = gross if bound.gross is None else clamp(gross, money.rounded(bound.gross, tariff.currency))
    new_net = net if bound.net is None else clamp(net, money.rounded(bound.net, tariff.currency))
    if bound.gross is None and new_net != net:
        new_gross = _coins(new_net * factor)
    if bound.net is None and new_gross != gross:
        new_net = _coins(new_gross / factor)
    new_net = min(new_net, new_gross)
    if (new_gross, new_net) != (gross, net):
        time = (usage.periods[0].start, usage.periods[-1].end)
        change = new_gross - gross
        yield _adjustment(kind, time, change, change - (new_net - net), tariff.currency)


def _mean_factor(lines: list[Line], tariff: Tariff) -> Fraction:
    """From the sum without tax to the sum with tax, before rounding."""
    factors = {one.kind.value: Fraction(one.tax) for one in tariff.components}
    factors[LineKind.IDLE_CAP] = factors.get(LineKind.IDLE, Fraction(1))
    used = [one for one in lines if one.kind in factors]  # a minimum has the proportion of the others
    net = sum(one.amount / factors[one.kind] for one in used)
    if not net:
        return next(iter(factors.values()))
    return sum(one.amount for one in used) / net


def _coins(amount: Fraction) -> int:
    """Rounded to whole minor units, half to even."""
    return round(amount / money.PARTS) * money.PARTS


def _adjustment(
    kind: LineKind, time: tuple[datetime, datetime], amount: int, tax: int, currency: str
) -> Line:
    return Line(kind, *time, _ONE, "session", money.decimal(amount, currency), amount, tax)
