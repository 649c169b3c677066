"""Days of ports, in the time zone of their site."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from csms.story import Story, moment
from voltgate.config_csms import Csms
from voltgate.csms.ledger.store import Database
from voltgate.csms.uptime import report
from voltgate.csms.uptime.days import bounds
from voltgate.csms.uptime.part import Uptime
from voltgate.csms.uptime.report import Hour

DAY = 24 * 60.0


@pytest.fixture
def story(open_database: Callable[[], Database]) -> Story:
    return Story(open_database(), Uptime(Csms()))


def days(story: Story, columns: str) -> list[tuple[Any, ...]]:
    return list(story.rows(f"SELECT evse, date, {columns} FROM day ORDER BY evse, date"))


def session(story: Story, started: float, ended: float, **more: Any) -> None:
    story.session("s", **({"started": started, "ended": ended, "state": "ended", "mwh": 1000} | more))


def test_a_session_over_midnight_is_of_both_days_and_ends_in_one(story: Story) -> None:
    story.status(0, "Available")
    session(story, 11 * 60.0, 13 * 60.0, cost=500)
    story.tick(13 * 60 + 1)
    assert days(story, "mwh, sessions, revenue, busy_s, attempts, successes") == [
        (1, "2026-03-02", 500, 0, 0, 3600, 1, 1),
        (1, "2026-03-03", 500, 1, 500, 3600, 0, 0),
    ]


def test_the_day_is_the_site_s(story: Story) -> None:
    story.status(0, "Available")
    story.decide(0, "site", "S", {"timezone": "Asia/Kathmandu"})  # UTC+5:45
    story.decide(0, "charger", "A", {"site": "S"})
    session(story, 6 * 60.0, 7 * 60.0)
    story.tick(8 * 60)
    assert days(story, "mwh") == [(1, "2026-03-02", 250), (1, "2026-03-03", 750)]


def test_a_correction_replaces_what_was_counted(story: Story) -> None:
    session(story, 0.0, 10.0, cost=500)
    story.tick(11)
    session(story, 0.0, 10.0, cost=500, state="settled")
    story.tick(14)
    story.decide(20, "correction", "s", {"energy_wh": 0})
    with story.tx() as tx:  # as the ledger does at the tick
        tx.run("UPDATE session SET mwh = 10, cost = 5, revision = 1")
    story.tick(21)
    assert days(story, "mwh, sessions, revenue") == [(1, "2026-03-02", 10, 1, 5)]


def test_uptime_of_a_day_is_there_once_it_has_ended(story: Story) -> None:
    story.status(-12 * 60, "Available")
    story.tick(-11 * 60)
    story.down(0)
    story.up(60)
    story.down(120, reason="drain")
    story.up(121)
    story.tick(12 * 60 - 1)
    assert days(story, "up_s") == []
    story.tick(12 * 60)
    assert days(story, "up_s, excluded_s") == [(1, "2026-03-02", 86_400 - 3600 - 60, 60)]


def test_an_exclusion_reaches_back(story: Story) -> None:
    story.status(-12 * 60, "Available")
    story.tick(-11 * 60)
    story.down(0)
    story.up(60)
    story.tick(12 * 60)
    story.decide(13 * 60, "exclusion", "x", {"reason": "utility", "from": "2026-03-02T12:30:00Z"})
    story.tick(13 * 60)
    assert days(story, "up_s, excluded_s") == [(1, "2026-03-02", 82_800, 1800)]
    story.decide(14 * 60, "exclusion", "x", {})
    story.tick(14 * 60)
    assert days(story, "up_s, excluded_s") == [(1, "2026-03-02", 82_800, 0)]


def test_days_that_ended_while_nothing_ran_are_counted(story: Story) -> None:
    story.status(0, "Available")
    story.tick(1)
    story.tick(3 * DAY)
    assert [row[1] for row in days(story, "up_s")] == ["2026-03-02", "2026-03-03", "2026-03-04"]


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)]
)
def test_the_length_of_a_day(day: date, hours: int) -> None:
    start, end = bounds(day, ZoneInfo("Europe/Berlin"))
    assert (end - start).total_seconds() == hours * 3600


def test_the_week_of_a_site_by_local_hour(story: Story) -> None:
    session(story, 0.0, 60.0, mwh=8_000_000)
    story.session("t", charger="B", started=30.0, ended=45.0, state="ended", mwh=1_000_000)
    story.tick(61)
    with story.tx() as tx:
        week = moment(-1000), moment(1000)
        found = report.hours(tx, week, ZoneInfo("Europe/Berlin"))
        assert found[0] == Hour(1, 13, 9_000_000, 4500, 12_000)
        assert sum(hour.mwh for hour in report.hours(tx, week, ZoneInfo("UTC"), sites={"none"})) == 0


def test_sessions_that_were_there_before_are_counted_at_the_first_tick(story: Story) -> None:
    """A rebuild takes settled sessions from their documents, without facts."""
    session(story, 0.0, 10.0, state="settled")
    with story.tx() as tx:
        tx.run("DELETE FROM touched")
    story.tick(datetime(2026, 3, 3, tzinfo=UTC))
    assert days(story, "mwh") == [(1, "2026-03-02", 1000)]
