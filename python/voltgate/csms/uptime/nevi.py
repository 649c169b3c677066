"""Uptime of a port as 23 CFR 680.116(b) defines it: monthly, over the last 12 months, in percent

    (525,600 - (T_outage - T_excluded)) / 525,600 * 100

Intervals that overlap count once. What only a gateway or NATS brought about is neither T_outage nor
T_excluded: it is counted apart. A port that is younger than 12 months is judged by the minutes since its
first sign, so that its uptime is not overstated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from voltgate.csms.uptime.exclusions import Exclusion, Reason
from voltgate.csms.uptime.outages import Kind
from voltgate.csms.uptime.spans import Span, common, length, merged, without

YEAR = 525_600
"""Minutes: 365 days, also where a leap day is within the 12 months."""
FLOOR = Decimal(97)
"""Percent that 680.116(b) demands."""
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """One outage of a port. ``excluded``: None for what counts."""

    start: datetime
    end: datetime
    kind: Kind
    excluded: Reason | None


@dataclass(frozen=True, slots=True)
class Uptime:
    """Of one port, over the 12 months that end with a month."""

    start: datetime
    end: datetime
    minutes: Decimal
    outage: Decimal
    excluded: dict[Reason, Decimal]
    ours: Decimal

    @property
    def percent(self) -> Decimal:
        """Not rounded."""
        if not self.minutes:
            return Decimal(100)
        counted = self.outage - sum(self.excluded.values())
        return max(Decimal(0), (self.minutes - counted) / self.minutes * 100)


def month(day: date, zone: ZoneInfo) -> Span:
    """The local month of a day."""
    first, following = day.replace(day=1), (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return _midnight(first, zone), _midnight(following, zone)


def year(day: date, zone: ZoneInfo) -> Span:
    """The 12 months that end with the local month of a day."""
    _, end = month(day, zone)
    last = end.astimezone(zone).date()
    return _midnight(last.replace(year=last.year - 1), zone), end


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def uptime(
    outages: Iterable[tuple[Kind, Span]],
    exclusions: Sequence[Exclusion],
    window: Span,
    since: datetime,
    zone: ZoneInfo,
) -> Uptime:
    """Of one port. ``exclusions``: those that cover it. ``since``: its first sign."""
    start, end = window
    begins = min(max(start, since), end)
    down, ours = _down(outages, (begins, end))
    excluded: dict[Reason, Decimal] = {}
    for reason, spans in _excluded(down, exclusions, (begins, end), zone):
        if spans:
            excluded[reason] = _minutes(length(spans))
    minutes = Decimal(YEAR) if since <= start else _minutes(end - begins)
    return Uptime(start, end, minutes, _minutes(length(down)), excluded, _minutes(length(ours)))


def intervals(
    outages: Iterable[tuple[Kind, Span]], exclusions: Sequence[Exclusion], window: Span, zone: ZoneInfo
) -> list[Interval]:
    """Each outage of a port within a window, cut where its kind or its exclusion changes."""
    known = list(outages)
    down, ours = _down(known, window)
    found = [Interval(*span, Kind.OURS, Reason.OURS) for span in ours]
    rest = left = down
    reasons: list[tuple[Reason | None, list[Span]]] = [*_excluded(down, exclusions, window, zone)]
    for _, spans in reasons:
        rest = without(rest, spans)
    for kind in (kind for kind in Kind if kind is not Kind.OURS):
        of_kind = merged(span for one, span in known if one is kind)
        for reason, spans in [*reasons, (None, rest)]:
            found += [Interval(*span, kind, reason) for span in common(common(spans, of_kind), left)]
        left = without(left, of_kind)
    return sorted(found, key=lambda one: (one.start, one.end))


def _down(outages: Iterable[tuple[Kind, Span]], window: Span) -> tuple[list[Span], list[Span]]:
    """(The port's own outages, those that are only ours)."""
    known = list(outages)
    down = common(merged(span for kind, span in known if kind is not Kind.OURS), [window])
    ours = common(merged(span for kind, span in known if kind is Kind.OURS), [window])
    return down, without(ours, down)


def _excluded(
    down: list[Span], exclusions: Sequence[Exclusion], window: Span, zone: ZoneInfo
) -> list[tuple[Reason, list[Span]]]:
    """What is excluded for each reason; a moment counts for the first reason of the list only."""
    found, rest = [], down
    for reason in Reason:
        spans = merged(
            span for one in exclusions if one.reason is reason for span in one.spans(*window, zone)
        )
        found.append((reason, common(rest, spans)))
        rest = without(rest, spans)
    return found


def _minutes(duration: timedelta) -> Decimal:
    return Decimal(duration // timedelta(milliseconds=1)) / Decimal(_MINUTE // timedelta(milliseconds=1))
