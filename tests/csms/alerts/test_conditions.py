"""Where each kind of rule is true."""

from collections.abc import Callable
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from csms.story import Story, minutes, moment
from voltgate.config_csms import Csms
from voltgate.csms.alerts import conditions
from voltgate.csms.alerts.part import Alerts
from voltgate.csms.alerts.rules import Kind
from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Database
from voltgate.csms.uptime.part import Uptime

GMT = ZoneInfo("UTC")
DAY = 24 * 60


@pytest.fixture
def story(open_database: Callable[[], Database]) -> Story:
    return Story(open_database(), Uptime(Csms()), Alerts(GMT, "ops"))


def found(
    story: Story, kind: Kind, at: float, limit: int | None = None
) -> list[tuple[str, float | None, int]]:
    with story.tx() as tx:
        amount = Decimal(kind.value.limit if limit is None else limit)
        rows = sorted(conditions.of(kind)(tx, moment(at), amount), key=lambda one: one.subject)
        return [(one.subject, minutes(times.text(one.since)), one.count) for one in rows]


def test_offline_and_faulted(story: Story) -> None:
    story.down(0)
    story.down(1, "B", "drain")
    story.status(2, "Faulted", 2, "B")
    story.status(3, "Unavailable", 1, "B")
    assert found(story, Kind.OFFLINE, 9) == [("A", 0, 1)]
    assert found(story, Kind.FAULTED, 9) == [("B:2", 2, 1)]
    story.up(10)
    story.status(10, "Available", 2, "B")
    assert found(story, Kind.OFFLINE, 11) == found(story, Kind.FAULTED, 11) == []


def test_a_session_that_does_not_end(story: Story) -> None:
    story.session("s", started=0.0)
    story.session("t", charger="B", started=60.0)
    story.session("u", charger="C", started=0.0, ended=9.0, state="ended")
    assert found(story, Kind.STUCK, DAY - 1) == []
    assert found(story, Kind.STUCK, DAY) == [("A:1", 0, 1)]
    assert found(story, Kind.STUCK, 120, limit=1) == [("A:1", 0, 1), ("B:1", 60, 1)]


def test_sessions_that_need_review(story: Story) -> None:
    story.session("s", started=0.0, ended=5.0, state="review")
    story.session("t", started=6.0, ended=7.0, state="review")
    story.session("u", started=8.0, ended=9.0, state="settled")
    assert found(story, Kind.HELD, 10) == [("A:1", 5, 2)]


def test_a_port_without_a_success(story: Story) -> None:
    story.session("ok", started=0.0, ended=5.0, state="ended", mwh=9)
    for number in range(4):
        story.session(f"f{number}", started=10.0 + number, ended=10.5 + number, state="ended")
    story.tick(20)
    assert found(story, Kind.NO_SUCCESS, 20) == []
    story.session("f4", started=30.0, ended=31.0, state="ended")
    story.tick(32)
    assert found(story, Kind.NO_SUCCESS, 32) == [("A:1", 10, 5)]
    story.session("ok2", started=40.0, ended=41.0, state="ended", mwh=9)
    story.tick(42)
    assert found(story, Kind.NO_SUCCESS, 42) == []


def test_a_low_rate_over_a_week(story: Story) -> None:
    for number in range(20):
        mwh = 9 if number < 15 else 0
        story.session(f"s{number}", started=10.0 * number, ended=10.0 * number + 5, state="ended", mwh=mwh)
    story.tick(195)
    assert found(story, Kind.SUCCESS_RATE, 200, limit=75) == []
    assert found(story, Kind.SUCCESS_RATE, 200) == [("A", 200, 5)]
    assert found(story, Kind.SUCCESS_RATE, 9 * DAY) == []


def test_reboots_within_a_day(story: Story) -> None:
    for at in (0, 10, 20):
        story.fact(at, "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    story.fact(25, "BootNotification", {"reason": "FirmwareUpdate"}, version="ocpp2.0.1")
    assert found(story, Kind.REBOOTS, 30) == []
    story.fact(30, "BootNotification", {"reason": "PowerUp"}, version="ocpp2.0.1")
    assert found(story, Kind.REBOOTS, 31) == [("A", 0, 4)]
    story.tick(DAY + 1)
    assert found(story, Kind.REBOOTS, DAY + 1) == []


def answered(story: Story, at: float, outcome: str) -> None:
    story.fact(at, "ResetResponse", {"status": "Accepted"}, headers={"ocpp-outcome": outcome})


def test_commands_that_fail_in_a_row(story: Story) -> None:
    for at, outcome in enumerate(["timeout", "result", "timeout", "error", "invalid"]):
        answered(story, at, outcome)
    assert found(story, Kind.COMMANDS, 9) == []
    answered(story, 10, "lost")
    assert found(story, Kind.COMMANDS, 11) == [("A", 2, 3)]
    answered(story, 12, "result")
    assert found(story, Kind.COMMANDS, 13) == []


def test_the_ledger_and_the_streams(story: Story) -> None:
    with story.tx() as tx:
        for name, value in (("lag", 60), ("OCPP_TX", 79)):
            tx.run("INSERT INTO gauge (name, value) VALUES (?, ?)", name, value)
    assert found(story, Kind.LEDGER, 1) == []
    with story.tx() as tx:
        tx.run("UPDATE gauge SET value = value + 1")
    assert found(story, Kind.LEDGER, 1) == [("OCPP_TX", 1, 80), ("lag", 1, 61)]
