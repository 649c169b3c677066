"""Meter values of 1.6 and 2.x as points in time: units, phases and locations end here.

Defaults are those of 1.6: ``Energy.Active.Import.Register``, Wh, ``Sample.Periodic``, ``Outlet``. What cannot
be read as a number (empty, NaN, signed blobs) is no sample. An Inlet register counts losses of the charger
and is never the driver's energy.
"""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

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
_UNITS = {REGISTER: _MWH, INTERVAL: _MWH, POWER: {"W": 1, "kW": 1000, "": 1}}
_MOST_EXPONENT = 12
_LONGEST = 40  # characters of a number
_NONE = (None, None, None)  # currents


class Point(NamedTuple):
    """What a meter showed at one time. Energy in mWh, power in W, charge in percent, currents in A."""

    at: datetime | None
    context: str
    register: int | None = None
    interval: int | None = None
    power: int | None = None
    soc: int | None = None
    currents: tuple[float | None, float | None, float | None] = _NONE
    signed: bool = False


# Context, measurand, phase, location, and what turns the unit into that of a Point.
_Kind = tuple[str, str, str, str, int]
# Kind, whether it is signed, value: of one sampledValue.
_Sample = tuple[_Kind, bool, int | Decimal]


def points(meter_values: Any) -> Iterator[Point]:
    """The points of ``meterValue`` or ``transactionData``: one for each time and context of a register."""
    for one in meter_values if isinstance(meter_values, list) else ():
        if not isinstance(one, dict):
            continue
        sampled = one.get("sampledValue")
        contexts: dict[str, list[_Sample]] = {}
        for raw in sampled if isinstance(sampled, list) else ():
            if isinstance(raw, dict):
                _read(raw, contexts)
        for context, samples in contexts.items():
            point = _point(times.of_charger(one.get("timestamp")), context, samples)
            if point is not None:
                yield point


def _read(raw: dict[str, Any], contexts: dict[str, list[_Sample]]) -> None:
    get = raw.get
    value = number(get("value"))
    if value is None or get("format") == "SignedData":
        return
    unit, given = get("unit"), get("unitOfMeasure")
    if isinstance(given, dict):
        unit, multiplier = given.get("unit"), given.get("multiplier", 0)
        if not isinstance(multiplier, int) or abs(multiplier) > _MOST_EXPONENT:
            return
        if multiplier:
            value = Decimal(value).scaleb(multiplier)
    words = get("context"), get("measurand"), get("phase"), get("location"), unit
    try:
        kind = _kind(*words)
    except TypeError:  # a list or an object in place of a word
        kind = _kind(*(one if isinstance(one, str) else None for one in words))
    if kind is None:
        return
    if kind[4] != 1:
        value *= kind[4]
    contexts.setdefault(kind[0], []).append((kind, "signedMeterValue" in raw, value))


@lru_cache(maxsize=1024)  # a charger repeats its words in every message
def _kind(context: Any, measurand: Any, phase: Any, location: Any, unit: Any) -> _Kind | None:
    """None: a unit that nobody knows, or varh."""
    measurand, factor = _text(measurand, REGISTER), 1
    if measurand in _UNITS:
        found = _UNITS[measurand].get(unit.strip() if isinstance(unit, str) else "")
        if found is None:
            return None
        factor = found
    return _text(context, PERIODIC), measurand, _text(phase, ""), _text(location, "Outlet"), factor


def number(value: Any) -> int | Decimal | None:
    """A number, also as text with spaces; None for what is not a finite one."""
    if isinstance(value, str):
        if value.isdecimal() and value.isascii() and len(value) < _LONGEST:
            return int(value)
        text = value.strip()
        if len(text) < _LONGEST and _NUMBER.fullmatch(text):
            return Decimal(text)
        return None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return Decimal(str(value)) if isinstance(value, float) and math.isfinite(value) else None


def mwh(wh: Any) -> int | None:
    """``meterStart`` and ``meterStop``, Wh, as mWh."""
    value = number(wh)
    return _whole(value * 1000) if value is not None else None


def _point(at: datetime | None, context: str, samples: list[_Sample]) -> Point | None:
    soc: int | None = None
    signed = False
    amperes: dict[str, float] = {}
    sums: dict[str, list[_Sample]] = {REGISTER: [], INTERVAL: [], POWER: []}
    for sample in samples:
        kind, is_signed, value = sample
        measurand = kind[1]
        if measurand in sums:
            sums[measurand].append(sample)
            signed |= is_signed and measurand == REGISTER
        elif measurand == SOC:
            soc = int(value) if 0 <= value <= 100 else None
        elif measurand == CURRENT:
            amperes[kind[2][:2]] = float(value)
    energy, interval, power = _summed(sums[REGISTER]), _summed(sums[INTERVAL]), _summed(sums[POWER])
    if energy is None and interval is None and power is None and soc is None and not amperes:
        return None
    currents = (
        (amperes.get("L1", amperes.get("")), amperes.get("L2"), amperes.get("L3")) if amperes else _NONE
    )
    return Point(at, context, energy, interval, power, soc, currents, signed)


def _summed(samples: Sequence[_Sample]) -> int | None:
    """The value without a phase, else the sum of the phases: a car may charge on one alone."""
    if not samples:
        return None
    if len(samples) == 1 and samples[0][0][3] == "Outlet":
        return _whole(samples[0][2])
    for locations in (("Outlet",), ("Outlet", "Cable", "EV", "Body", "Upstream")):
        values = {kind[2]: value for kind, _, value in reversed(samples) if kind[3] in locations}
        if "" in values:
            return _whole(values[""])
        for phases in _PHASES:
            there = [values[phase] for phase in phases if phase in values]
            if there:
                return _whole(sum(there, 0))
    return None


def _whole(value: int | Decimal | None) -> int | None:
    return int(value) if value is not None and -MOST_MWH < value < MOST_MWH else None


def _text(value: Any, default: str) -> str:
    return value if isinstance(value, str) and value else default
