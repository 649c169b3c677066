"""A usage cut where its prices change: segments, each with the price of every kind that applies to it.

Energy inside a period runs evenly, and a cut falls on a whole microsecond and a whole mWh, both rounded down
from the period's straight line. So a usage may be split into more periods along that line: the segments' sums
stay the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from voltgate.csms.tariffs.conditions import ALWAYS, Calendar, Measure, Range, Span, spans
from voltgate.csms.tariffs.tariff import Price, Tariff
from voltgate.csms.tariffs.usage import Period, Usage

MICROSECOND = timedelta(microseconds=1)
_PER_HOUR = 3_600_000_000  # microseconds
_DAY = timedelta(days=1)
_Point = tuple[int, int]  # microseconds and mWh since the start of a period
_NONE: frozenset[Calendar] = frozenset()


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a period; ``prices`` are those of the tariff's ``metered``, in its order; None: free."""

    start: datetime
    end: datetime
    mwh: int
    period: Period
    prices: tuple[Price | None, ...]


def cut(usage: Usage, tariff: Tariff, zone: ZoneInfo) -> Iterator[Segment]:
    """The segments of a usage, in the order of time. Times of day are of ``zone``, or of the tariff's own."""
    if not usage.periods:
        return
    clock = _Clock(tariff, zone, usage)
    meter = _Meter(tariff, usage.periods[0].start)
    for period in usage.periods:
        length = (period.end - period.start) // MICROSECOND
        meter.begin(period, length)
        points = {*clock.within(period, length), *meter.within(period, length), (length, period.mwh)}
        past, start = (0, 0), period.start
        for point in sorted(points):
            prices = meter.prices(clock.holding(start))
            end = period.start + point[0] * MICROSECOND
            yield Segment(start, end, point[1] - past[1], period, prices)
            meter.advance(period, point[0] - past[0], point[1] - past[1])
            past, start = point, end


def at_start(prices: tuple[Price, ...], usage: Usage, tariff: Tariff, zone: ZoneInfo) -> Price | None:
    """Of the prices of the fixed fee, whose conditions are judged once: when the session starts."""
    holding = _Clock(tariff, zone, usage).holding(usage.periods[0].start)
    return next((one for one in prices if _in_time(one.conditions.calendar, holding)), None)


def _in_time(calendar: Calendar, holding: frozenset[Calendar]) -> bool:
    return calendar == ALWAYS or calendar in holding


class _Clock:
    """Which calendars hold when, from the start to the end of a usage."""

    def __init__(self, tariff: Tariff, zone: ZoneInfo, usage: Usage) -> None:
        zone = tariff.zone or zone
        self._spans: list[Span] = []
        if tariff.calendars:
            day = usage.periods[0].start.astimezone(zone).date()
            last = usage.periods[-1].end.astimezone(zone).date()
            while day <= last:
                self._spans += spans(tariff.calendars, zone, day)
                day += _DAY
        self._starts = [span.start for span in self._spans]

    def holding(self, at: datetime) -> frozenset[Calendar]:
        """The calendars that hold at an instant of the usage."""
        return self._spans[bisect_right(self._starts, at) - 1].holding if self._spans else _NONE

    def within(self, period: Period, length: int) -> list[_Point]:
        """Where in the period other calendars begin to hold."""
        first = bisect_right(self._starts, period.start)
        after = bisect_left(self._starts, period.end, first)
        times = ((start - period.start) // MICROSECOND for start in self._starts[first:after])
        return [(time, period.mwh * time // length) for time in times]


class _Meter:
    """What the ranges of a tariff are about, at one point of a usage."""

    def __init__(self, tariff: Tariff, start: datetime) -> None:
        self._metered = tariff.metered
        self._bounds = tariff.bounds
        self._start = start
        self._now: dict[Measure, int | None] = dict.fromkeys(Measure, 0)

    def begin(self, period: Period, length: int) -> None:
        """Power and current are those of the whole period; charging ends an idle period."""
        now = self._now
        now[Measure.TIME] = (period.start - self._start) // MICROSECOND
        now[Measure.POWER] = period.mwh * _PER_HOUR // length if length else None
        now[Measure.CURRENT] = period.milliamperes
        if period.charging:
            now[Measure.IDLE] = 0

    def within(self, period: Period, length: int) -> list[_Point]:
        """Where in the period what is counted passes a bound of a range."""
        points = []
        for measure in _running(period):
            done = self._now[measure] or 0
            for bound in self._bounds.get(measure, ()):
                if measure is Measure.ENERGY and 0 < bound - done < period.mwh:
                    points.append((length * (bound - done) // period.mwh, bound - done))
                elif measure is not Measure.ENERGY and 0 < bound - done < length:
                    points.append((bound - done, period.mwh * (bound - done) // length))
        return points

    def advance(self, period: Period, time: int, mwh: int) -> None:
        """Count a segment."""
        for measure in _running(period):
            self._now[measure] = (self._now[measure] or 0) + (mwh if measure is Measure.ENERGY else time)

    def prices(self, holding: frozenset[Calendar]) -> tuple[Price | None, ...]:
        """For each metered component the first price whose conditions hold now."""
        return tuple(
            next((one for one in component.prices if self._hold(one, holding)), None)
            for component in self._metered
        )

    def _hold(self, price: Price, holding: frozenset[Calendar]) -> bool:
        return _in_time(price.conditions.calendar, holding) and all(
            self._inside(one) for one in price.conditions.ranges
        )

    def _inside(self, one: Range) -> bool:
        value = self._now[one.measure]
        if value is None:
            return False
        return (one.least is None or value >= one.least) and (one.below is None or value < one.below)


def _running(period: Period) -> tuple[Measure, ...]:
    """What is counted in a period."""
    if period.charging:
        return Measure.ENERGY, Measure.TIME, Measure.CHARGING
    return (
        (Measure.ENERGY, Measure.TIME, Measure.IDLE)
        if period.billable_idle
        else (Measure.ENERGY, Measure.TIME)
    )
