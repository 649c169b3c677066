"""Decisions that exclude time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from voltgate.csms.uptime.exclusions import Reason, parsed
from voltgate.csms.uptime.spans import length

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"reason": "closed", "daily": {"from": "22:00", "to": "06:00"}}


def at(day: int, hour: int, month: int = 3, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "covered"),
    [
        ({"scope": "default"}, True),
        ({"scope": "site:S"}, True),
        ({"scope": "site:T"}, False),
        ({"scope": "charger:A"}, True),
        ({"scope": "charger:B"}, False),
        ({"scope": "charger:A", "evse": 2}, True),
        ({"scope": "charger:A", "evse": 1}, False),
    ],
)
def test_whom_an_exclusion_covers(body: dict[str, Any], covered: bool) -> None:
    exclusion = parsed({"reason": "utility", "from": "2026-03-01T00:00:00Z", **body})
    assert exclusion.covers("A", "S", 2) is covered


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "reason: must be one of"),
        ({"reason": "boredom", "from": "2026-03-01T00:00:00Z"}, "reason: must be one of utility, network"),
        ({"reason": "utility"}, "from: is required"),
        ({"reason": "utility", "from": "soon"}, "from: must be an RFC 3339 time"),
        (
            {"reason": "utility", "from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
            "to: must be later",
        ),
        ({"reason": "utility", "from": "2026-03-02T00:00:00Z", "scope": "world"}, "scope: must be"),
        ({"reason": "utility", "from": "2026-03-02T00:00:00Z", "evse": 0}, "evse: must be"),
        ({"reason": "closed", "daily": {"from": "22"}}, "daily: must be"),
        ({"reason": "closed", "daily": {"from": "22:00", "to": "06:00", "days": [8]}}, "daily.days: must be"),
    ],
)
def test_what_is_refused(body: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parsed(body)


def test_a_plain_exclusion_is_its_time_within_the_window() -> None:
    exclusion = parsed({"reason": "vandalism", "from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z"})
    assert exclusion.spans(at(2, 0), at(9, 0), BERLIN) == [(at(2, 0), at(3, 0))]
    assert exclusion.spans(at(4, 0), at(9, 0), BERLIN) == []
    endless = parsed({"reason": "vandalism", "from": "2026-03-01T00:00:00Z"})
    assert endless.spans(at(2, 0), at(9, 0), BERLIN) == [(at(2, 0), at(9, 0))]


def test_hours_are_those_of_the_site() -> None:
    exclusion = parsed(NIGHT)
    assert exclusion.reason is Reason.CLOSED
    assert exclusion.spans(at(2, 0), at(3, 0), BERLIN) == [(at(2, 0), at(2, 5)), (at(2, 21), at(3, 0))]
    sundays = parsed({**NIGHT, "daily": {**NIGHT["daily"], "days": [7]}})  # type: ignore[dict-item]
    assert sundays.spans(at(2, 0), at(9, 0), BERLIN) == [(at(2, 0), at(2, 5)), (at(8, 21), at(9, 0))]


@pytest.mark.parametrize(
    ("start", "end", "hours"), [(at(28, 12), at(29, 12), 7), (at(24, 12, 10), at(25, 12, 10), 9)]
)
def test_a_night_in_which_the_clocks_change(start: datetime, end: datetime, hours: int) -> None:
    assert length(parsed(NIGHT).spans(start, end, BERLIN)) == timedelta(hours=hours)
