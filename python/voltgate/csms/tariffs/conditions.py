"""The conditions of a price (OCPP 2.1 TariffConditionsType): the calendar, and ranges of what is measured.

Here: what a condition is, and which instants of a calendar matter. Which condition holds when in a session is
in ``cut``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MIDNIGHT = time(0)
_SECOND = timedelta(seconds=1)


class TariffFault(ValueError):
    """Why a tariff is refused.

    ``pointer`` (RFC 6901) is into the tariff that was given; ``reason`` completes "This member ...".
    """

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or 'the tariff'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class Measure(Enum):
    """What a range is about: (name in OCPP, integer units inside per unit of OCPP, unit inside)."""

    ENERGY = ("Energy", 1_000, "mWh since the start")
    POWER = ("Power", 1_000, "mW, the average of the period")
    CURRENT = ("Current", 1_000, "mA, all phases")
    TIME = ("Time", 1_000_000, "us since the start")
    CHARGING = ("ChargingTime", 1_000_000, "us of charging since the start")
    IDLE = ("IdleTime", 1_000_000, "us of this idle period; charging ends it")

    def __init__(self, ocpp: str, scale: int, _unit: str) -> None:
        self.ocpp = ocpp
        self.scale = scale


@dataclass(frozen=True, slots=True)
class Range:
    """``least`` <= measured < ``below``; None is no bound."""

    measure: Measure
    least: int | None
    below: int | None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Times in the zone of the site. All of it must hold at an instant (OCPP: a logical AND)."""

    start: time = _MIDNIGHT
    end: time = _MIDNIGHT  # exclusive; midnight is the end of the day
    weekdays: tuple[int, ...] = tuple(range(7))
    first: date = date.min
    before: date = date.max

    def holds(self, local: datetime) -> bool:
        """Whether the price applies at this local time."""
        now = local.time()
        if self.start < self.end:
            inside = self.start <= now < self.end
        else:
            inside = now >= self.start or now < self.end
        return inside and local.weekday() in self.weekdays and self.first <= local.date() < self.before


ALWAYS = Calendar()


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one price; without any, it always applies."""

    calendar: Calendar = ALWAYS
    ranges: tuple[Range, ...] = ()


def read(conditions: Mapping[str, Any], pointer: str) -> Conditions:
    """The conditions of a price whose schema has been checked; TariffFault if nobody can judge them."""
    rest = {name: value for name, value in conditions.items() if name != "customData"}
    calendar = _calendar(rest, pointer)
    ranges = []
    for measure in Measure:
        least = rest.pop(f"min{measure.ocpp}", None)
        below = rest.pop(f"max{measure.ocpp}", None)
        for bound in (least, below):
            if bound is not None and bound < 0:
                raise TariffFault(pointer, f"{measure.ocpp} below 0: discharging is not billed")
        if least is not None or below is not None:
            ranges.append(Range(measure, _inside(least, measure), _inside(below, measure)))
    for name in rest:
        raise TariffFault(f"{pointer}/{name}", "is not known of a session, so no bill can follow it")
    return Conditions(calendar, tuple(ranges))


def _inside(bound: float | None, measure: Measure) -> int | None:
    return None if bound is None else int(Decimal(str(bound)) * measure.scale)


def _calendar(rest: dict[str, Any], pointer: str) -> Calendar:
    """The calendar's members, taken out of ``rest``."""
    days = rest.pop("dayOfWeek", None)
    return Calendar(
        _time_of_day(rest, "startTimeOfDay", pointer),
        _time_of_day(rest, "endTimeOfDay", pointer),
        ALWAYS.weekdays if days is None else tuple(sorted({_DAYS.index(day) for day in days})),
        _date(rest, "validFromDate", date.min, pointer),
        _date(rest, "validToDate", date.max, pointer),
    )


def _time_of_day(rest: dict[str, Any], name: str, pointer: str) -> time:
    text = rest.pop(name, "00:00")
    if not TIME_OF_DAY.fullmatch(text):
        raise TariffFault(f"{pointer}/{name}", "is not a time of day such as 22:00")
    return time.fromisoformat(text)


def _date(rest: dict[str, Any], name: str, absent: date, pointer: str) -> date:
    text = rest.pop(name, None)
    if text is None:
        return absent
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise TariffFault(f"{pointer}/{name}", "is not a date such as 2026-12-24")


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant on, until the next span, the same calendars hold: bit n is that of calendar n."""

    start: datetime
    holding: int


@lru_cache(maxsize=4096)
def spans(calendars: tuple[Calendar, ...], zone: ZoneInfo, day: date) -> tuple[Span, ...]:
    """The spans that begin on one local day: 23, 24 or 25 hours.

    An instant is judged by the local time that the clocks of the zone show then. 02:30 happens twice in
    autumn and not at all in spring, and either way every instant has one price.
    """
    midnight, tomorrow = _midnight(zone, day), _midnight(zone, day + timedelta(days=1))
    times = {clock for calendar in calendars for clock in (calendar.start, calendar.end)}
    candidates = {
        datetime.combine(day, clock, zone).replace(fold=fold).astimezone(UTC)
        for clock in times
        for fold in (0, 1)
    }
    instants = {midnight, *_changes(zone, midnight, tomorrow), *candidates}
    found: list[Span] = []
    for instant in sorted(one for one in instants if midnight <= one < tomorrow):
        local = instant.astimezone(zone)
        holding = sum(calendar.holds(local) << bit for bit, calendar in enumerate(calendars))
        if not found or found[-1].holding != holding:
            found.append(Span(instant, holding))
    return tuple(found)


def _midnight(zone: ZoneInfo, day: date) -> datetime:
    return datetime.combine(day, _MIDNIGHT, zone).astimezone(UTC)


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """The instant in which the zone's clocks are changed, if there is one; no zone does it twice a day."""
    before = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == before:
        return []
    while end - start > _SECOND:
        middle = start + (end - start) // (2 * _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == before:
            start = middle
        else:
            end = middle
    return [end]
