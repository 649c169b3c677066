"""Usages and tariffs in few words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from voltgate.csms.tariffs.price import Bill, Line
from voltgate.csms.tariffs.tariff import Tariff
from voltgate.csms.tariffs.usage import Period, Usage

BERLIN = ZoneInfo("Europe/Berlin")

CHARGING, IDLE, WAITING = (True, False), (False, True), (False, False)


def used(
    start: str, *parts: tuple[float, float, tuple[bool, bool]] | tuple[float, float, tuple[bool, bool], float]
) -> Usage:
    """``start`` in UTC; parts are (minutes, kWh, what happens[, amperes])."""
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    periods = []
    for minutes, kwh, (charging, idle), *amperes in parts:
        end = at + timedelta(minutes=minutes)
        current = round(amperes[0] * 1000) if amperes else None
        periods.append(Period(at, end, round(kwh * 1_000_000), charging, idle, current))
        at = end
    return Usage(tuple(periods))


def tariff(**members: Any) -> Tariff:
    """A TariffType in euros; lists are a component's prices."""
    body = {name: {"prices": value} if isinstance(value, list) else value for name, value in members.items()}
    return Tariff.read({"tariffId": "t", "currency": "EUR", **body})


def taxed(percent: float, *prices: dict[str, Any]) -> dict[str, Any]:
    """A component whose prices are without tax."""
    return {"prices": list(prices), "taxRates": [{"type": "VAT", "tax": percent}]}


def lines(bill: Bill) -> list[tuple[str, str, str, int, int]]:
    """(kind, quantity and unit, price, cents, cents of tax) of each line."""
    return [
        (str(one.kind), _quantity(one), f"{one.price.normalize():f}", one.amount // 10_000, one.tax // 10_000)
        for one in bill.lines
    ]


def _quantity(line: Line) -> str:
    return f"{line.quantity.normalize():f} {line.unit}"
