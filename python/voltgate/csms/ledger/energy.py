"""The energy of a session: the most provable of its readings that are consistent, and never more.

Methods, best first: a signed pair of registers, the registers of Transaction.Begin and .End, meterStart and
meterStop, the rises of the register between samples, the sum of intervals, power over time. A step that the
connector cannot have delivered counts nothing. Where two methods contradict each other the smaller one is
billed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from voltgate.csms.ledger.flags import Flag
from voltgate.csms.ledger.samples import BEGIN, END, Point

SLACK_MWH = 100_000  # of every bound: 100 Wh
_APART_MWH = 50_000  # methods differ by more than 50 Wh
_APART_SHARE = 100  # or by more than 1 %
_MS = timedelta(milliseconds=1)
_RESET_SHARE = 2  # a fall to less than half is a new register
_KILO = 1000
_UNIT_FROM, _UNIT_TO = 500, 2000  # a thousand, give or take the error of an integral of power


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


@dataclass(slots=True)
class Rises:
    """The sum of the rises of one register, reading by reading."""

    max_power_w: int
    total: int = 0
    curve: list[tuple[datetime, int]] = field(default_factory=list)
    flags: set[Flag] = field(default_factory=set)
    readings: int = 0
    was_reset: bool = False
    _at: datetime | None = None
    _highest: int = 0
    _doubted: tuple[datetime, int] | None = None

    def add(self, at: datetime, register: int) -> None:
        """One reading; earlier than the last it counts nothing."""
        if self._at is None:
            self._take(at, register)
            return
        if at < self._at:
            return
        self.readings += 1
        if register < self._highest:
            self._fell(at, register)
        elif register - self._highest <= bound(at - self._at, self.max_power_w):
            self.total += register - self._highest
            self._take(at, register)
        elif self._doubted is not None and self._follows(self._doubted, at, register):
            # The first reading was the wrong one (a placeholder): go on from where the register is.
            self.total += register - self._doubted[1]
            self._take(at, register)
        else:
            self.flags.add(Flag.BEYOND_PHYSICS)
            self._doubted = (at, register)

    def _fell(self, at: datetime, register: int) -> None:
        self.flags.add(Flag.REGISTER_FELL)
        if register * _RESET_SHARE < self._highest:
            # A reset, or a rollover: what it counts from here is new.
            self.was_reset = True
            self._take(at, register)
        else:
            # A small step back: only what rises above the highest reading is new.
            self.curve.append((at, self.total))

    def _take(self, at: datetime, register: int) -> None:
        self.readings = max(self.readings, 1)
        self._at, self._highest, self._doubted = at, register, None
        self.curve.append((at, self.total))

    def _follows(self, doubted: tuple[datetime, int], at: datetime, register: int) -> bool:
        rise = register - doubted[1]
        return 0 <= rise <= bound(at - doubted[0], self.max_power_w)


def bound(duration: timedelta, max_power_w: int) -> int:
    """The most energy that a connector can deliver, mWh: a tenth more, and 100 Wh."""
    milliseconds = max(duration, timedelta()) // _MS
    return max_power_w * milliseconds * 11 // 36_000 + SLACK_MWH


def proven(readings: Readings) -> Energy:
    """The energy of a session that has ended, or so far."""
    flags: set[Flag] = set()
    limit = bound(readings.ended - readings.started, readings.max_power_w)
    rises = _series(readings)
    candidates: dict[Method, int] = {}
    for method, begin, end in _pairs(readings, rises):
        difference = end - begin
        if 0 <= difference <= limit:
            candidates.setdefault(method, difference)
        elif difference > limit:
            flags.add(Flag.BEYOND_PHYSICS)
    unusable = Method.METER not in candidates and not rises.was_reset
    if readings.stopped and readings.begin is not None and readings.points and unusable:
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
    if scaled:
        flags.add(Flag.UNIT_DOUBTFUL)
    method, best = next((one, candidates[one]) for one in Method if one in candidates)
    comparable = list(_comparable(candidates, readings, rises, best))
    least, apart = min(comparable), max(comparable) - min(comparable)
    if apart > _APART_MWH or apart * _APART_SHARE > max(best, _KILO):
        flags.add(Flag.REGISTERS_DIFFER)
        best = least
        method = next(one for one, value in candidates.items() if value == least)
    return Energy(best, least, method, _curve(rises.curve, readings, best), frozenset(flags))


def _series(readings: Readings) -> Rises:
    """The rises over all samples; meterStart and meterStop belong to them where they fit."""
    rises = Rises(readings.max_power_w)
    series = list(_registers(readings.points))
    if readings.begin is not None and _continues(
        readings.begin, readings.started, series, readings.max_power_w
    ):
        series.insert(0, (readings.started, readings.begin))
    elif (
        readings.begin is not None
        and series
        and series[0][1] <= bound(series[0][0] - readings.started, readings.max_power_w)
    ):
        series.insert(0, (readings.started, 0))  # it counts from the session's start
    if readings.end is not None and series and readings.end >= series[-1][1]:
        last, register = series[-1]
        if readings.end - register <= bound(readings.ended - last, readings.max_power_w):
            series.append((max(readings.ended, last), readings.end))
    for at, register in series:
        rises.add(at, register)
    return rises


def _continues(
    begin: int, started: datetime, series: Sequence[tuple[datetime, int]], max_power_w: int
) -> bool:
    """Whether a meterStart is a reading of the register that the samples show."""
    if not series:
        return True
    at, register = series[0]
    return 0 <= register - begin <= bound(at - started, max_power_w)


_RANKS = {BEGIN: 2, END: 1}


def _registers(points: Sequence[Point]) -> Iterable[tuple[datetime, int]]:
    """One reading a time: of several, a sample counts before an End and an End before a Begin."""
    begun = min(
        (point.at for point in points if point.context == BEGIN and point.at is not None), default=None
    )
    chosen: dict[datetime, tuple[int, int]] = {}
    for point in points:
        if point.at is None or point.register is None or point.register < 0:
            continue
        if point.context == BEGIN and point.at != begun:
            continue  # some chargers repeat it in every message
        rank = _RANKS.get(point.context, 0)
        if point.at not in chosen or rank < chosen[point.at][0]:
            chosen[point.at] = (rank, point.register)
    return [(at, register) for at, (_, register) in sorted(chosen.items())]


def _pairs(readings: Readings, rises: Rises) -> Iterable[tuple[Method, int, int]]:
    """Registers at the start and at the end, by method."""
    begins = [one for one in readings.points if one.context == BEGIN and one.register is not None]
    ends = [one for one in readings.points if one.context == END and one.register is not None]
    if begins and ends and begins[0].register is not None and ends[-1].register is not None:
        if begins[0].signed and ends[-1].signed:
            yield Method.SIGNED, begins[0].register, ends[-1].register
        if not rises.was_reset:
            yield Method.TRANSACTION, begins[0].register, ends[-1].register
    series = list(_registers(readings.points))
    same = readings.begin is not None and _continues(
        readings.begin, readings.started, series, readings.max_power_w
    )
    if (
        readings.begin is not None
        and readings.end is not None
        and readings.end > 0
        and not (same and rises.was_reset)
    ):
        yield Method.METER, readings.begin, readings.end


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
