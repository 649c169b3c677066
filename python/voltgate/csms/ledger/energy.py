"""The energy of a session: the most provable of its readings that are consistent, and never more.

Methods, best first: a signed pair of registers, the registers of Transaction.Begin and .End, meterStart and
meterStop, the rises of the register between samples, the sum of intervals, power over time. A step that the
connector cannot have delivered counts nothing. Where two methods contradict each other the smaller one is
billed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from voltgate.csms.ledger import registers
from voltgate.csms.ledger.flags import Flag
from voltgate.csms.ledger.registers import SLACK_MWH, Edge, Rises, bound
from voltgate.csms.ledger.samples import BEGIN, END, Point

_APART_MWH = 50_000  # methods differ by more than 50 Wh
_APART_SHARE = 100  # or by more than 1 %
_MS = timedelta(milliseconds=1)
_KILO = 1000
_UNIT_FROM, _UNIT_TO = 500, 2000  # a thousand, give or take the error of an integral of power

_UNIT_APART = 10  # so far below the power no reading is right, whatever its unit is


class Method(StrEnum):
    """How the energy is proven."""

    SIGNED = "signed"
    TRANSACTION = "transaction"
    METER = "meter"
    RISES = "rises"
    INTERVALS = "intervals"
    POWER = "power"
    CORRECTION = "correction"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """What is known. ``begin`` and ``end``: meterStart and meterStop of 1.6, mWh; points in order of time."""

    started: datetime
    ended: datetime
    begin: int | None
    end: int | None
    points: Sequence[Point]
    max_power_w: int
    stopped: bool = False
    """Whether the charger reported the end."""


@dataclass(frozen=True, slots=True)
class Energy:
    """``mwh`` is billed. ``curve``: energy since the start at times, rising, up to ``mwh``."""

    mwh: int
    proven: int
    method: Method
    curve: tuple[tuple[datetime, int], ...]
    flags: frozenset[Flag]


def proven(readings: Readings) -> Energy:
    """The energy of a session that has ended, or so far."""
    flags: set[Flag] = set()
    limit = bound(readings.ended - readings.started, readings.max_power_w)
    shown = _pairs(readings)
    pairs = [pair for pair in shown if not registers.is_placeholder(pair[1], readings.points)]
    if len(pairs) < len(shown):
        flags.add(Flag.BEYOND_PHYSICS)
    edges = [(begin, end) for _, begin, end in shown]
    series = registers.series(readings.points, edges, readings.max_power_w)
    rises = series.rises
    candidates: dict[Method, int] = {}
    for method, begin, end in pairs:
        if end is None or (series.joined and rises.was_reset and method is not Method.SIGNED):
            continue
        difference = end.register - begin.register
        if 0 <= difference <= limit:
            candidates.setdefault(method, difference)
        elif difference > limit:
            flags.add(Flag.BEYOND_PHYSICS)
    unusable = [end is None or end.register < begin.register for _, begin, end in pairs]
    if readings.stopped and readings.points and pairs and all(unusable) and not rises.was_reset:
        flags.add(Flag.STOP_UNKNOWN)
    if rises.readings > 1:
        flags |= rises.flags
        candidates[Method.RISES] = min(rises.total, limit)
    intervals = [point.interval for point in readings.points if point.interval is not None]
    if intervals and sum(intervals) <= limit:
        candidates[Method.INTERVALS] = max(sum(intervals), 0)
    power = _integral(readings.points)
    if not candidates and power:
        candidates[Method.POWER] = min(power, limit)
    if not candidates:
        return Energy(0, 0, Method.NONE, ((readings.started, 0), (readings.ended, 0)), frozenset(flags))
    candidates, scaled = _in_one_unit(candidates, power, limit)
    method, best = next((one, candidates[one]) for one in Method if one in candidates)
    if scaled or (method is not Method.POWER and power > _UNIT_APART * best > 0):
        flags.add(Flag.UNIT_DOUBTFUL)
    comparable = list(_comparable(candidates, readings, rises, best))
    least, apart = min(comparable), max(comparable) - min(comparable)
    if apart > _APART_MWH or apart * _APART_SHARE > max(best, _KILO):
        flags.add(Flag.REGISTERS_DIFFER)
        best = least
        method = next(one for one, value in candidates.items() if value == least)
    return Energy(best, least, method, _curve(rises.curve, readings, best), frozenset(flags))


def _pairs(readings: Readings) -> list[tuple[Method, Edge, Edge | None]]:
    """Registers at the start and at the end, by method; the end's may be missing."""
    found: list[tuple[Method, Edge, Edge | None]] = []
    edges = {
        context: [
            (Edge(one.at, one.register, sampled=True), one.signed)
            for one in readings.points
            if one.context == context and one.register is not None and one.at is not None
        ]
        for context in (BEGIN, END)
    }
    if edges[BEGIN]:
        (begin, signed), last = edges[BEGIN][0], edges[END][-1] if edges[END] else None
        # Some repeat it in later samples, with their time: it is the reading of the start all the same.
        begin = replace(begin, at=min(begin.at, readings.started))
        if signed and last is not None and last[1]:
            found.append((Method.SIGNED, begin, last[0]))
        found.append((Method.TRANSACTION, begin, last[0] if last is not None else None))
    if readings.begin is not None:
        known = readings.end is not None and readings.end > 0
        end = Edge(readings.ended, readings.end or 0) if known else None
        found.append((Method.METER, Edge(readings.started, readings.begin), end))
    return found


def _integral(points: Iterable[Point]) -> int:
    """Power over time, mWh: the smaller power of each pair of samples."""
    total, last = 0, None
    for point in points:
        if point.power is None or point.at is None:
            continue
        if last is not None:
            milliseconds = (point.at - last[0]) // _MS
            total += min(last[1], point.power) * max(milliseconds, 0)
        last = (point.at, max(point.power, 0))
    return total // 3600


def _in_one_unit(candidates: dict[Method, int], power: int, limit: int) -> tuple[dict[Method, int], bool]:
    """Registers in kWh under the name Wh: a thousandth of what the power says."""
    if not power or Method.POWER in candidates:
        return candidates, False
    best = next(candidates[one] for one in Method if one in candidates)
    if best <= 0 or not _UNIT_FROM <= power / best <= _UNIT_TO or best * _KILO > limit:
        return candidates, False
    return {method: value * _KILO for method, value in candidates.items()}, True


def _comparable(candidates: dict[Method, int], readings: Readings, rises: Rises, best: int) -> Iterable[int]:
    """``best``, and every value that can be compared: samples say nothing about the time around them."""
    span = readings.ended - readings.started
    covered = rises.curve[-1][0] - rises.curve[0][0] if rises.curve else timedelta()
    unseen = max(span - covered, timedelta())
    # Twice the mean power for as long as no sample was taken.
    explained = 2 * best * (unseen // _MS) // max(span // _MS, 1) + (SLACK_MWH if unseen else 0)
    yield best
    for method, value in candidates.items():
        if method not in (Method.RISES, Method.INTERVALS) or not best - explained <= value <= best:
            yield value


def _curve(
    rises: Sequence[tuple[datetime, int]], readings: Readings, total: int
) -> tuple[tuple[datetime, int], ...]:
    """The rises, stretched so that they end at ``total``; without any a straight line."""
    inside = [(min(max(at, readings.started), readings.ended), rise) for at, rise in rises]
    last = inside[-1][1] if inside else 0
    if last <= 0 or len(inside) < 2:
        return ((readings.started, 0), (readings.ended, total))
    curve = [(readings.started, 0)]
    curve += [(at, rise * total // last) for at, rise in inside]
    curve.append((readings.ended, total))
    return tuple(curve)
