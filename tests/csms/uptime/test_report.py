"""A scripted year against uptime computed by hand, and the sheets of 23 CFR 680.112(a)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from csms.story import Story
from voltgate.config_csms import Csms
from voltgate.csms.ledger.store import Database
from voltgate.csms.uptime import report
from voltgate.csms.uptime.exclusions import Reason
from voltgate.csms.uptime.part import Uptime

UTC_ZONE = ZoneInfo("UTC")
END = datetime(2026, 3, 1, tzinfo=UTC)


def day(month: int, number: int, hour: float = 0) -> datetime:
    """In the year from March 2025 to February 2026."""
    year = 2025 if month > 2 else 2026
    return datetime(year, month, number, tzinfo=UTC) + timedelta(hours=hour)


@pytest.fixture
def year(open_database: Callable[[], Database]) -> Story:
    """Two ports. Each line's comment has the minutes that count for (port 1, port 2), as the law counts."""
    story = Story(open_database(), Uptime(Csms()))
    story.status(datetime(2024, 6, 1, tzinfo=UTC), "Available", 1)
    story.status(datetime(2024, 6, 1, tzinfo=UTC), "Available", 2)
    story.down(datetime(2025, 2, 28, 22, tzinfo=UTC))
    story.up(day(3, 1, 1))  # only what is within the window: 60, 60

    def link_lost(start: datetime, hours: float, reason: str = "client") -> None:
        story.down(start, reason=reason)
        story.up(start + timedelta(hours=hours))

    def out(start: datetime, hours: float, status: str, evse: int = 1) -> None:
        story.status(start, status, evse)
        story.status(start + timedelta(hours=hours), "Available", evse)

    link_lost(day(3, 10), 5)  # 300, 300
    out(day(4, 2), 12, "Faulted")  # 720, 0
    out(day(4, 20, 6), 4, "Unavailable", 2)  # 0, 240
    for start in (day(5, 1), day(5, 1, 1)):
        link_lost(start, 0.1, "drain")  # a restart of the gateway: 0, 0
    link_lost(day(5, 2), 3, "outage")  # NATS: 0, 0
    link_lost(day(5, 3), 0.25, "gateway_lost")  # 0, 0
    out(day(6, 5), 10, "Faulted", 1)
    link_lost(day(6, 5, 8), 4)  # overlaps the fault by 2 h: 720, 240
    for month, reason in zip((7, 8, 9, 10, 11, 12, 1, 2), Reason, strict=True):
        out(day(month, 6, 8), 3, "Faulted", 1)  # excluded for 2 of 3 h: 60 each, 0
        if reason is Reason.CLOSED:
            daily = {"from": "08:00", "to": "10:00"}
            body = {
                "reason": reason,
                "from": "2026-01-06T00:00:00Z",
                "to": "2026-01-07T00:00:00Z",
                "daily": daily,
            }
        else:
            stamp = day(month, 6, 9).isoformat()
            body = {"reason": reason, "from": stamp, "to": day(month, 6, 11).isoformat()}
        story.decide(day(month, 7), "exclusion", reason, {"scope": "charger:A", "evse": 1, **body})
    for number in range(3):  # three failed attempts: broken from 14:02 to 20:00, 358 minutes, port 2
        start = day(2, 10, 12 + number)
        story.session(
            f"f{number}",
            evse=2,
            started=start,
            ended=start + timedelta(minutes=2),
            state="ended",
            reason="Local",
        )
        story.tick(start + timedelta(minutes=3))
    story.session(
        "ok", evse=2, started=day(2, 10, 20), ended=day(2, 10, 21), state="ended", mwh=12_345_678,
        peak_w=22_000, reason="EVDisconnected",
    )  # fmt: skip
    story.tick(day(2, 10, 22))
    story.tick(END)
    return story


# By hand, from the comments above: what counts, T_outage, T_excluded.
COUNTED = {1: 60 + 300 + 720 + 720 + 8 * 60, 2: 60 + 300 + 240 + 240 + 358}
OUTAGE = {1: COUNTED[1] + 8 * 120, 2: COUNTED[2]}
OURS = 6 + 6 + 180 + 15


def test_the_uptime_of_a_year(year: Story) -> None:
    with year.tx() as tx:
        found = {one.port.evse: one.uptime for one in report.uptimes(tx, date(2026, 2, 1), END, UTC_ZONE)}
    for evse, uptime in found.items():
        assert uptime.outage == OUTAGE[evse]
        assert uptime.ours == OURS
        by_hand = Decimal(525_600 - COUNTED[evse]) / 525_600 * 100
        assert abs(uptime.percent - by_hand) < Decimal("0.001")
    assert found[1].excluded == dict.fromkeys(Reason, Decimal(120))
    assert found[2].excluded == {}
    assert round(found[1].percent, 3) == Decimal("99.566")
    assert round(found[2].percent, 3) == Decimal("99.772")


def test_a_gateway_that_restarts_every_night_changes_nothing(open_database: Callable[[], Database]) -> None:
    story = Story(open_database(), Uptime(Csms()))
    story.status(datetime(2024, 6, 1, tzinfo=UTC), "Available", 1)
    for number in range(365):
        start = day(3, 1) + timedelta(days=number, hours=3)
        story.down(start, reason="drain")
        story.up(start + timedelta(seconds=20))
    with story.tx() as tx:
        (found,) = report.uptimes(tx, date(2026, 2, 1), END, UTC_ZONE)
    assert found.uptime.percent == 100
    assert found.uptime.outage == 0
    assert round(found.uptime.ours, 6) == round(Decimal(365 * 20) / 60, 6)


def test_the_month_that_goes_on_is_judged_until_now(year: Story) -> None:
    year.down(END + timedelta(hours=10))
    with year.tx() as tx:
        now = END + timedelta(hours=11)
        found = next(report.uptimes(tx, date(2026, 3, 1), now, UTC_ZONE, "A")).uptime
    assert found.outage == OUTAGE[1] - 60 - 300 + 60  # last March has left the window
    assert found.end == datetime(2026, 4, 1, tzinfo=UTC)


def test_the_sheet_of_uptime(year: Story) -> None:
    with year.tx() as tx:
        sheet = report.uptime_sheet(tx, [date(2026, 1, 1), date(2026, 2, 1)], END, UTC_ZONE)
        rows = [dict(zip(sheet.columns, row, strict=True)) for row in sheet.rows]
    assert [(row["port_id"], row["uptime_reporting_end"]) for row in rows] == [
        ("1", "2026-02-01T00:00:00.000Z"), ("2", "2026-02-01T00:00:00.000Z"),
        ("1", "2026-03-01T00:00:00.000Z"), ("2", "2026-03-01T00:00:00.000Z"),
    ]  # fmt: skip
    last = rows[2]
    assert (last["uptime"], last["total_outage"], last["total_outage_excl"], last["outage_ours"]) == (
        "99.5662", "3240.0000", "960.0000", "207.0000",
    )  # fmt: skip
    assert all(last[f"excluded_{reason}"] == "120.0000" for reason in Reason)


def test_the_sheet_of_outages(year: Story) -> None:
    with year.tx() as tx:
        window = day(2, 1), END
        sheet = report.outage_sheet(tx, window, END, UTC_ZONE)
        rows = list(sheet.rows)
    assert rows == [
        ("A", "1", "2026-02-06T08:00:00.000Z", "60.0000", "FALSE", "", "faulted"),
        ("A", "1", "2026-02-06T09:00:00.000Z", "120.0000", "TRUE", "ours", "faulted"),
        ("A", "2", "2026-02-10T14:02:00.000Z", "358.0000", "FALSE", "", "broken"),
    ]


def test_the_sheet_of_sessions(year: Story) -> None:
    with year.tx() as tx:
        sheet = report.session_sheet(tx, (day(2, 10, 14), END))
        rows = list(sheet.rows)
    assert rows == [
        (
            "A",
            "2",
            "f2",
            "2026-02-10T14:00:00.000Z",
            "2026-02-10T14:02:00.000Z",
            "Local",
            "0.0000",
            "0.0000",
            "token",
        ),
        (
            "A",
            "2",
            "ok",
            "2026-02-10T20:00:00.000Z",
            "2026-02-10T21:00:00.000Z",
            "",
            "12.3457",
            "22.0000",
            "token",
        ),
    ]
