"""Meter values of 1.6 and 2.x as points in time: units, phases and locations end here.

Defaults are those of 1.6: ``Energy.Active.Import.Register``, Wh, ``Sample.Periodic``, ``Outlet``. What cannot
be read as a number (empty, NaN, signed blobs) is no sample. An Inlet register counts losses of the charger
and is never the driver's energy.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from voltgate.csms.ledger import times

REGISTER = "Energy.Active.Import.Register"
INTERVAL = "Energy.Active.Import.Interval"
POWER = "Power.Active.Import"
CURRENT = "Current.Import"
SOC = "SoC"
BEGIN, END, PERIODIC = "Transaction.Begin", "Transaction.End", "Sample.Periodic"
MOST_MWH = 10**15  # a terawatt-hour: no meter has counted it
_PHASES = (("L1", "L2", "L3"), ("L1-N", "L2-N", "L3-N"))
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?|[+-]?\.\d+")
_MWH = {"Wh": 1000, "kWh": 1_000_000, "": 1000}
_W = {"W": 1, "kW": 1000, "": 1}
_MOST_EXPONENT = 12


@dataclass(frozen=True, slots=True)
class Point:
    """What a meter showed at one time. Energy in mWh, power in W, charge in percent, currents in A."""

    at: datetime | None
    context: str
    register: int | None = None
    interval: int | None = None
    power: int | None = None
    soc: int | None = None
    currents: tuple[float | None, float | None, float | None] = (None, None, None)
    signed: bool = False


@dataclass(frozen=True, slots=True)
class _Sample:
    measurand: str
    phase: str
    location: str
    context: str
    value: Decimal
    signed: bool


def points(meter_values: Any) -> Iterator[Point]:
    """The points of ``meterValue`` or ``transactionData``: one for each time and context of a register."""
    for one in meter_values if isinstance(meter_values, list) else ():
        if not isinstance(one, dict):
            continue
        at = times.of_charger(one.get("timestamp"))
        sampled = one.get("sampledValue")
        samples = [sample for raw in (sampled if isinstance(sampled, list) else ()) for sample in _read(raw)]
        contexts = dict.fromkeys(sample.context for sample in samples)
        for context in contexts:
            point = _point(at, context, [sample for sample in samples if sample.context == context])
            if point is not None:
                yield point


def _read(raw: Any) -> Iterator[_Sample]:
    if not isinstance(raw, dict) or raw.get("format") == "SignedData":
        return
    value = number(raw.get("value"))
    if value is None:
        return
    unit, multiplier = raw.get("unit"), 0
    given = raw.get("unitOfMeasure")
    if isinstance(given, dict):
        unit, multiplier = given.get("unit"), given.get("multiplier", 0)
    if not isinstance(multiplier, int) or abs(multiplier) > _MOST_EXPONENT:
        return
    value = value.scaleb(multiplier)
    measurand = _text(raw, "measurand", REGISTER)
    if measurand in (REGISTER, INTERVAL):
        factor = _MWH.get(_unit(unit))
    elif measurand == POWER:
        factor = _W.get(_unit(unit))
    else:
        factor = 1
    if factor is None:  # varh, or a unit that nobody knows
        return
    yield _Sample(
        measurand,
        _text(raw, "phase", ""),
        _text(raw, "location", "Outlet"),
        _text(raw, "context", PERIODIC),
        value * factor,
        "signedMeterValue" in raw,
    )


def number(value: Any) -> Decimal | None:
    """A number, also as text with spaces; None for what is not a finite one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return Decimal(str(value)) if math.isfinite(value) else None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        try:
            return Decimal(value.strip())
        except InvalidOperation:
            return None
    return None


def mwh(wh: Any) -> int | None:
    """``meterStart`` and ``meterStop``, Wh, as mWh."""
    value = number(wh)
    return _whole(value * 1000) if value is not None else None


def _point(at: datetime | None, context: str, samples: list[_Sample]) -> Point | None:
    energy = _summed(samples, REGISTER)
    interval = _summed(samples, INTERVAL)
    power = _summed(samples, POWER)
    soc = next((sample.value for sample in samples if sample.measurand == SOC), None)
    amperes = {s.phase[:2]: float(s.value) for s in samples if s.measurand == CURRENT}
    currents = (amperes.get("L1", amperes.get("")), amperes.get("L2"), amperes.get("L3"))
    point = Point(
        at,
        context,
        _whole(energy) if energy is not None else None,
        _whole(interval) if interval is not None else None,
        int(power) if power is not None and abs(power) < MOST_MWH else None,
        int(soc) if soc is not None and 0 <= soc <= 100 else None,
        currents,
        any(sample.signed for sample in samples if sample.measurand == REGISTER),
    )
    empty = Point(at, context, currents=(None, None, None))
    return None if point == empty else point


def _summed(samples: Iterable[_Sample], measurand: str) -> Decimal | None:
    """The value without a phase, else the sum of the phases: a car may charge on one alone."""
    ours = [sample for sample in samples if sample.measurand == measurand and sample.location != "Inlet"]
    for locations in (("Outlet",), ("Outlet", "Cable", "EV", "Body", "Upstream")):
        values = {sample.phase: sample.value for sample in reversed(ours) if sample.location in locations}
        if "" in values:
            return values[""]
        for phases in _PHASES:
            there = [values[phase] for phase in phases if phase in values]
            if there:
                return sum(there, Decimal(0))
    return None


def _whole(value: Decimal) -> int | None:
    return int(value) if abs(value) < MOST_MWH else None


def _unit(unit: Any) -> str:
    return unit.strip() if isinstance(unit, str) else ""


def _text(raw: dict[str, Any], name: str, default: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) and value else default
