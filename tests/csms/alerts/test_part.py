"""Alerts over time: hold, group, repeat, mute, quiet hours, scope."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from csms.story import Story, moment
from voltgate.config_csms import Csms
from voltgate.csms.alerts.notices import Notice
from voltgate.csms.alerts.part import Alerts
from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Database
from voltgate.csms.uptime.part import Uptime

GMT = ZoneInfo("UTC")
DAY = 24 * 60


@pytest.fixture
def story(open_database: Callable[[], Database]) -> Story:
    told = Story(open_database(), Uptime(Csms()), Alerts(GMT, "ops"))
    told.decide(-1, "rule", "offline", {"hold_minutes": 5})
    return told


def sent(story: Story) -> tuple[list[Notice], list[tuple[str, str]]]:
    """(Notices, (subject, state) of what was raised and cleared) since the last call."""
    rows = story.rows("SELECT subject, body FROM outbox ORDER BY id")
    with story.tx() as tx:
        tx.run("DELETE FROM outbox")
    notices = [Notice.parsed(body) for subject, body in rows if subject.startswith("ops.alert.notice.")]
    others = [(subject, body) for subject, body in rows if not subject.startswith("ops.alert.notice.")]
    return notices, [(subject, orjson.loads(body)["state"]) for subject, body in others]


def ticks(story: Story, first: int, last: int) -> None:
    for at in range(first, last + 1):
        story.tick(at)


def names(notice: Notice) -> tuple[list[str], list[str], list[str]]:
    groups = (notice.raised, notice.still, notice.cleared)
    return tuple([entry.subject for entry in group] for group in groups)  # type: ignore[return-value]


def test_raised_after_its_hold_noticed_a_minute_later_and_cleared(story: Story) -> None:
    story.down(0)
    ticks(story, 1, 4)
    assert sent(story) == ([], [])
    story.tick(5)
    assert sent(story) == ([], [("ops.alert.offline.A", "raised")])
    story.tick(6)
    (notice,), others = sent(story)
    assert (names(notice), others) == ((["A"], [], []), [])
    assert (notice.rule, notice.kind, notice.raised[0].since) == ("offline", "offline", times.text(moment(0)))
    ticks(story, 7, 20)
    assert sent(story) == ([], [])
    story.up(20.5)
    story.tick(21)
    assert sent(story) == ([], [("ops.alert.offline.A", "cleared")])
    story.tick(22)
    (notice,), _ = sent(story)
    assert names(notice) == ([], [], ["A"])
    assert story.rows("SELECT * FROM alert") == []


def test_what_is_over_before_its_hold_is_nothing(story: Story) -> None:
    for at in range(0, 40, 4):
        story.down(at)
        story.tick(at + 1)
        story.up(at + 3)
        story.tick(at + 3)
    assert sent(story) == ([], [])


def test_a_storm_of_a_thousand_within_a_minute_is_one_message(story: Story) -> None:
    for number in range(1000):
        story.down(number * 0.001, f"C{number:03}")
    ticks(story, 1, 30)
    notices, others = sent(story)
    assert len(notices) == 1
    assert {entry.charger for entry in notices[0].raised} == {f"C{number:03}" for number in range(1000)}
    assert all(f"C{number:03}" in notices[0].text for number in range(1000))
    assert len(others) == 1000
    for number in range(1000):
        story.up(31 + number * 0.0009, f"C{number:03}")
    ticks(story, 32, 40)
    (notice,), _ = sent(story)
    assert (len(notice.raised), len(notice.cleared)) == (0, 1000)


def test_what_lasts_is_repeated(story: Story) -> None:
    story.decide(0, "rule", "offline", {"hold_minutes": 5, "renotify_minutes": 60})
    story.down(0)
    story.down(30, "B")
    ticks(story, 1, 70)
    notices, _ = sent(story)
    assert [(times.text(one.at), *names(one)) for one in notices] == [
        (times.text(moment(6)), ["A"], [], []),
        (times.text(moment(36)), ["B"], [], []),
        (times.text(moment(66)), [], ["A", "B"], []),
    ]


@pytest.mark.parametrize("muted", ["offline", "offline/A"])
def test_what_is_muted_is_noticed_when_the_mute_ends(story: Story, muted: str) -> None:
    story.decide(0, "mute", muted, {"until": times.text(moment(60))})
    story.down(0)
    ticks(story, 1, 59)
    notices, others = sent(story)
    assert (notices, others) == ([], [("ops.alert.offline.A", "raised")])
    assert story.rows("SELECT muted FROM alert") == [(times.text(moment(60)),)]
    story.tick(60)
    (notice,), _ = sent(story)
    assert names(notice) == (["A"], [], [])


def test_a_mute_of_one_charger_is_of_no_other(story: Story) -> None:
    story.decide(0, "mute", "offline/A", {"until": times.text(moment(60))})
    story.down(0)
    story.down(0, "B")
    ticks(story, 1, 9)
    (notice,), _ = sent(story)
    assert names(notice) == (["B"], [], [])
    story.decide(10, "mute", "offline/A", {})
    story.tick(10)
    (notice,), _ = sent(story)
    assert names(notice) == (["A"], [], [])


def test_quiet_hours_hold_back_what_is_still_true_afterwards(story: Story) -> None:
    quiet = {"from": "12:00", "to": "13:00"}
    story.decide(0, "rule", "offline", {"hold_minutes": 5, "quiet": quiet})
    story.down(0)
    story.down(0, "B")
    ticks(story, 1, 20)
    story.up(21, "B")
    ticks(story, 21, 59)
    notices, others = sent(story)
    assert (notices, len(others)) == ([], 3)
    story.tick(60)
    (notice,), _ = sent(story)
    assert names(notice) == (["A"], [], [])


def test_a_rule_of_a_site_is_about_its_chargers_in_its_zone(story: Story) -> None:
    story.decide(0, "site", "S", {"timezone": "Europe/Berlin"})
    body: dict[str, Any] = {"enabled": False}
    story.decide(0, "rule", "offline", body)
    quiet = {"from": "13:00", "to": "14:00"}
    story.decide(0, "rule", "mine", {"kind": "offline", "scope": "site:S", "hold_minutes": 5, "quiet": quiet})
    story.up(0)
    story.up(0, "B")
    story.decide(0, "charger", "A", {"site": "S"})
    story.down(1)
    story.down(1, "B")
    ticks(story, 2, 59)
    assert sent(story) == ([], [("ops.alert.mine.A", "raised")])
    story.tick(60)
    (notice,), _ = sent(story)
    assert (notice.rule, names(notice)) == ("mine", (["A"], [], []))


def test_a_condition_that_returns_after_its_alert_was_cleared_waits_again(story: Story) -> None:
    story.decide(0, "rule", "offline", {"hold_minutes": 5, "quiet": {"from": "12:07", "to": "12:30"}})
    story.down(0)
    ticks(story, 1, 6)
    story.up(6.5)
    story.tick(7)
    story.down(7.5)
    ticks(story, 8, 12)
    _, others = sent(story)
    assert others == [("ops.alert.offline.A", "raised"), ("ops.alert.offline.A", "cleared")]
    story.tick(13)
    assert sent(story)[1] == [("ops.alert.offline.A", "raised")]
    ticks(story, 14, 40)
    assert sent(story)[0] == []  # it was noticed already, and nobody has heard that it was cleared


def test_a_rule_that_is_switched_off_has_no_alerts(story: Story) -> None:
    story.down(0)
    ticks(story, 1, 6)
    sent(story)
    story.decide(7, "rule", "offline", {"enabled": False})
    ticks(story, 7, 9)
    assert story.rows("SELECT * FROM alert") == []
    assert sent(story) == ([], [])


def test_the_channels_of_a_rule_are_named(story: Story) -> None:
    story.decide(0, "rule", "offline", {"hold_minutes": 0, "channels": ["ops", "boss"]})
    story.down(0)
    ticks(story, 1, 2)
    (notice,), _ = sent(story)
    assert notice.channels == ("ops", "boss")


def test_reboots_are_one_alert_with_their_count(story: Story) -> None:
    for at in range(6):
        story.fact(at, "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        story.tick(at + 0.5)
    ticks(story, 6, 30)
    notices, others = sent(story)
    assert others == [("ops.alert.reboots.A", "raised")]
    assert [entry.count for notice in notices for entry in notice.raised] == [5]
    assert story.rows("SELECT count FROM alert WHERE rule = 'reboots'") == [(6,)]
