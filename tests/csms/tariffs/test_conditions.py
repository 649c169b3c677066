"""The conditions of prices: what is refused, and the calendar in every zone."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltgate.csms.tariffs.conditions import (
    ALWAYS,
    Calendar,
    Conditions,
    Measure,
    Range,
    TariffFault,
    read,
    spans,
)

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Calendar(time(22), time(6))


def test_ranges_are_read_in_the_units_inside() -> None:
    given = {
        "minEnergy": 20000.5,
        "maxPower": 11000,
        "minCurrent": 32,
        "minIdleTime": 900,
        "maxIdleTime": 3600,
    }
    assert read(given, "") == Conditions(
        ALWAYS,
        (
            Range(Measure.ENERGY, 20_000_500, None),
            Range(Measure.POWER, None, 11_000_000),
            Range(Measure.CURRENT, 32_000, None),
            Range(Measure.IDLE, 900_000_000, 3_600_000_000),
        ),
    )


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"startTimeOfDay": "24:00"}, "/c/startTimeOfDay"),
        ({"endTimeOfDay": "7:00"}, "/c/endTimeOfDay"),
        ({"validFromDate": "2026-02-30"}, "/c/validFromDate"),
        ({"validToDate": "24.12.2026"}, "/c/validToDate"),
        ({"validToDate": "2026-1-2"}, "/c/validToDate"),
        ({"validToDate": "20260102"}, "/c/validToDate"),
        ({"paymentBrand": "VISA"}, "/c/paymentBrand"),
        ({"evseKind": "AC"}, "/c/evseKind"),
        ({"minPower": -10}, "/c"),
    ],
)
def test_what_no_bill_could_follow_is_refused(given: dict[str, Any], pointer: str) -> None:
    with pytest.raises(TariffFault) as caught:
        read(given, "/c")
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("calendar", "local", "holds"),
    [
        (NIGHT, "2026-06-01 21:59:59.999999", False),
        (NIGHT, "2026-06-01 22:00", True),
        (NIGHT, "2026-06-02 05:59", True),
        (NIGHT, "2026-06-02 06:00", False),
        (Calendar(time(22)), "2026-06-01 23:59:59", True),
        (Calendar(time(22)), "2026-06-02 00:00", False),
        (Calendar(end=time(6)), "2026-06-02 00:00", True),
        (Calendar(weekdays=(5, 6)), "2026-06-06 00:00", True),
        (Calendar(weekdays=(5, 6)), "2026-06-08 00:00", False),
        (Calendar(first=date(2026, 6, 1), before=date(2026, 6, 2)), "2026-06-01 12:00", True),
        (Calendar(first=date(2026, 6, 1), before=date(2026, 6, 2)), "2026-06-02 00:00", False),
    ],
)
def test_a_calendar_holds_by_local_time(calendar: Calendar, local: str, holds: bool) -> None:
    assert calendar.holds(datetime.fromisoformat(local)) is holds


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(calendar: Calendar, day: str, zone: ZoneInfo = BERLIN) -> list[tuple[datetime, bool]]:
    return [(one.start, one.holding == 1) for one in spans((calendar,), zone, date.fromisoformat(day))]


def test_an_hour_that_happens_twice() -> None:
    """25 October 2026: 03:00 CEST (01:00 UTC) becomes 02:00 CET."""
    assert starts(Calendar(time(2, 30), time(3)), "2026-10-25") == [
        (utc("2026-10-24 22:00"), False),
        (utc("2026-10-25 00:30"), True),
        (utc("2026-10-25 01:00"), False),
        (utc("2026-10-25 01:30"), True),
        (utc("2026-10-25 02:00"), False),
    ]


def test_an_hour_that_does_not_happen() -> None:
    """29 March 2026: 02:00 CET (01:00 UTC) becomes 03:00 CEST."""
    assert starts(Calendar(time(2), time(2, 30)), "2026-03-29") == [(utc("2026-03-28 23:00"), False)]
    assert starts(Calendar(time(2, 30), time(4)), "2026-03-29") == [
        (utc("2026-03-28 23:00"), False),
        (utc("2026-03-29 01:00"), True),
        (utc("2026-03-29 02:00"), False),
    ]


ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo",
    "America/Santiago", "Asia/Kathmandu", "Pacific/Apia", "UTC",
]  # fmt: skip


@given(
    st.sampled_from(ZONES),
    st.dates(date(2011, 1, 2), date(2030, 12, 30)),
    st.times(),
    st.times(),
    st.integers(0, 25 * 60 - 1),
)
def test_every_instant_is_in_the_span_that_judges_it_right(
    zone: str, day: date, start: time, end: time, minute: int
) -> None:
    """Whatever the clocks do that day: a span says what the local time says."""
    calendar = Calendar(
        start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0), (0, 2, 4)
    )
    clocks = ZoneInfo(zone)
    found = spans((calendar,), clocks, day)
    instant = found[0].start + timedelta(minutes=minute)
    if instant.astimezone(clocks).date() == day:
        (span, *_) = [one for one in reversed(found) if one.start <= instant]
        assert (span.holding == 1) is calendar.holds(instant.astimezone(clocks))
