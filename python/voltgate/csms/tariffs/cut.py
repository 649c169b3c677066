"""A usage cut where its prices change: segments, each with the price of every kind that applies to it.

Energy inside a period runs evenly, and a cut falls on a whole microsecond and a whole mWh, both rounded down
from the period's straight line. So a usage may be split into more periods along that line: the segments' sums
stay the same.

Which prices apply follows from few numbers: the calendars that hold, and for each measure with bounds between
which two of them it is. It is found out once for each combination (previews price thousands of sessions).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from voltgate.csms.tariffs.conditions import ALWAYS, Calendar, Measure, Range, Span, spans
from voltgate.csms.tariffs.tariff import Price, Tariff
from voltgate.csms.tariffs.usage import Period, Usage

MICROSECOND = timedelta(microseconds=1)
_PER_HOUR = 3_600_000_000  # microseconds
_DAY = timedelta(days=1)
_Point = tuple[int, int]  # microseconds and mWh since the start of a period
_Prices = tuple[Price | None, ...]


class Segment(NamedTuple):
    """Part of a period. ``prices`` are those of the tariff's ``metered``, in its order; None: free."""

    period: Period
    begin: int
    """Microseconds since the start of the usage."""
    length: int
    mwh: int
    prices: _Prices


def cut(usage: Usage, tariff: Tariff, zone: ZoneInfo) -> Iterator[Segment]:
    """The segments of a usage, in the order of time. Times of day are of ``zone``, or of the tariff's own."""
    if not usage.periods:
        return
    clock = _Clock(tariff, zone, usage)
    meter = _Meter(tariff)
    first = usage.periods[0].start
    for period in usage.periods:
        begin, length = (period.start - first) // MICROSECOND, (period.end - period.start) // MICROSECOND
        meter.begin(period, begin, length)
        points = clock.within(begin, length, period.mwh) + meter.within(period, length)
        if len(points) > 1:
            points = sorted(set(points))
        time = mwh = 0
        for until, energy in (*points, (length, period.mwh)):
            prices = meter.prices(clock.holding(begin + time))
            yield Segment(period, begin + time, until - time, energy - mwh, prices)
            meter.advance(period, until - time, energy - mwh)
            time, mwh = until, energy


def at_start(prices: tuple[Price, ...], usage: Usage, tariff: Tariff, zone: ZoneInfo) -> Price | None:
    """Of the prices of the fixed fee, whose conditions are judged once: when the session starts."""
    holding = _Clock(tariff, zone, usage).holding(0)
    return next((one for one in prices if _in_time(one.conditions.calendar, tariff, holding)), None)


def _in_time(calendar: Calendar, tariff: Tariff, holding: int) -> bool:
    return calendar == ALWAYS or bool(holding >> tariff.calendars.index(calendar) & 1)


class _Clock:
    """Which calendars hold when, from the start to the end of a usage."""

    def __init__(self, tariff: Tariff, zone: ZoneInfo, usage: Usage) -> None:
        found: list[Span] = []
        start = usage.periods[0].start
        if tariff.calendars:
            zone = tariff.zone or zone
            day, last = (time.astimezone(zone).date() for time in (start, usage.periods[-1].end))
            while day <= last:
                found += spans(tariff.calendars, zone, day)
                day += _DAY
        self._starts = [(span.start - start) // MICROSECOND for span in found]
        self._holding = [span.holding for span in found]

    def holding(self, at: int) -> int:
        """The calendars that hold at a time, microseconds since the start of the usage."""
        return self._holding[bisect_right(self._starts, at) - 1] if self._starts else 0

    def within(self, begin: int, length: int, mwh: int) -> list[_Point]:
        """Where in a period other calendars begin to hold."""
        first = bisect_right(self._starts, begin)
        after = bisect_left(self._starts, begin + length, first)
        return [(start - begin, mwh * (start - begin) // length) for start in self._starts[first:after]]


class _Meter:
    """What the ranges of a tariff are about, at one point of a usage."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._measures = tuple(tariff.bounds)
        self._bounds = tuple(tariff.bounds.values())
        self._now: list[int | None] = [0] * len(self._measures)

    def begin(self, period: Period, begin: int, length: int) -> None:
        """Power and current are those of the whole period; charging ends an idle period."""
        for index, measure in enumerate(self._measures):
            if measure is Measure.TIME:
                self._now[index] = begin
            elif measure is Measure.POWER:
                self._now[index] = period.mwh * _PER_HOUR // length if length else None
            elif measure is Measure.CURRENT:
                self._now[index] = period.milliamperes
            elif measure is Measure.IDLE and period.charging:
                self._now[index] = 0

    def within(self, period: Period, length: int) -> list[_Point]:
        """Where in the period what is counted passes a bound of a range."""
        points: list[_Point] = []
        mwh = period.mwh
        for index, measure in enumerate(self._measures):
            if _counts(measure, period):
                done = self._now[index] or 0
                if measure is Measure.ENERGY:
                    passed = (bound - done for bound in self._bounds[index] if 0 < bound - done < mwh)
                    points += [(length * part // mwh, part) for part in passed]
                else:
                    passed = (bound - done for bound in self._bounds[index] if 0 < bound - done < length)
                    points += [(part, mwh * part // length) for part in passed]
        return points

    def advance(self, period: Period, time: int, mwh: int) -> None:
        """Count a segment."""
        for index, measure in enumerate(self._measures):
            if _counts(measure, period):
                self._now[index] = (self._now[index] or 0) + (mwh if measure is Measure.ENERGY else time)

    def prices(self, holding: int) -> _Prices:
        """For each metered component the first price whose conditions hold now."""
        between = (
            -1 if now is None else bisect_right(bounds, now)
            for bounds, now in zip(self._bounds, self._now, strict=True)
        )
        key = (holding, *between)
        found = self._tariff.applied.get(key)
        if found is None:
            found = self._tariff.applied[key] = tuple(
                next((one for one in component.prices if self._hold(one, holding)), None)
                for component in self._tariff.metered
            )
        return found

    def _hold(self, price: Price, holding: int) -> bool:
        return _in_time(price.conditions.calendar, self._tariff, holding) and all(
            self._inside(one) for one in price.conditions.ranges
        )

    def _inside(self, one: Range) -> bool:
        value = self._now[self._measures.index(one.measure)]
        if value is None:
            return False
        return (one.least is None or value >= one.least) and (one.below is None or value < one.below)


def _counts(measure: Measure, period: Period) -> bool:
    """Whether a measure grows in a period."""
    match measure:
        case Measure.ENERGY | Measure.TIME:
            return True
        case Measure.CHARGING:
            return period.charging
        case Measure.IDLE:
            return period.billable_idle and not period.charging
        case Measure.POWER | Measure.CURRENT:
            return False
    assert_never(measure)
