"""From links and statuses to intervals."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from csms.story import Story, minutes, moment
from voltgate.csms.ledger import times
from voltgate.csms.ledger.store import Database
from voltgate.csms.uptime.outages import Outages, condition
from voltgate.csms.uptime.signs import Condition


@pytest.fixture
def story(open_database: Callable[[], Database]) -> Story:
    return Story(open_database(), Outages(timedelta(minutes=15)))


def outages(story: Story, charger: str = "A") -> list[tuple[object, ...]]:
    return [
        (evse, kind, minutes(begins), minutes(ends))
        for evse, kind, begins, ends in story.rows(
            "SELECT evse, kind, begins, ends FROM outage WHERE charger = ? ORDER BY begins, evse, kind",
            charger,
        )
    ]


def test_a_charger_that_hangs_up_is_offline_until_it_is_back(story: Story) -> None:
    story.up(0)
    story.down(10)
    assert outages(story) == [(0, "offline", 10, None)]
    story.down(12)
    story.up(30)
    story.up(31)
    assert outages(story) == [(0, "offline", 10, 30)]


@pytest.mark.parametrize("reason", ["drain", "gateway_lost", "outage"])
def test_a_gateway_that_goes_away_is_ours(story: Story, reason: str) -> None:
    story.down(10, reason=reason)
    story.up(20)
    assert outages(story) == [(0, "ours", 10, 20)]


def test_a_charger_that_does_not_return_when_others_do_is_offline(story: Story) -> None:
    for charger in "ABC":
        story.down(10, charger, "drain")
    story.up(12, "B")
    story.tick(26)
    assert outages(story) == [(0, "ours", 10, None)]
    story.tick(28)
    assert outages(story) == [(0, "ours", 10, 27), (0, "offline", 27, None)]
    story.up(60)
    assert outages(story) == [(0, "ours", 10, 27), (0, "offline", 27, 60)]
    assert outages(story, "B") == [(0, "ours", 10, 12)]


def test_the_split_does_not_depend_on_ticks(story: Story) -> None:
    for charger in "AB":
        story.down(10, charger, "drain")
    story.up(12, "B")
    story.up(60)
    assert outages(story) == [(0, "ours", 10, 27), (0, "offline", 27, 60)]


def test_alone_it_is_ours_for_a_day(story: Story) -> None:
    story.down(10, reason="outage")
    story.tick(10 + 24 * 60)
    assert outages(story) == [(0, "ours", 10, None)]
    story.tick(11 + 24 * 60)
    assert outages(story) == [(0, "ours", 10, 1450), (0, "offline", 1450, None)]


def test_a_fault_lasts_until_another_status(story: Story) -> None:
    story.status(0, "Faulted")
    story.status(5, "Faulted")
    story.status(7, "Unavailable")
    story.status(9, "Preparing")
    assert outages(story) == [(1, "faulted", 0, 7), (1, "unavailable", 7, 9)]


def test_the_time_of_a_fault_is_when_it_was_received(story: Story) -> None:
    """In 1.6 the timestamp may be the fault's; a status that is received later is later."""
    story.fact(
        5, "StatusNotification", {"connectorId": 1, "status": "Available", "timestamp": times.text(moment(5))}
    )
    story.fact(
        9, "StatusNotification", {"connectorId": 1, "status": "Faulted", "timestamp": times.text(moment(-60))}
    )
    assert outages(story) == [(1, "faulted", 9, None)]


def said_2x(story: Story, at: float, status: str, said: float, connector: int = 1) -> None:
    story.fact(
        at, "StatusNotification",
        {"timestamp": times.text(moment(said)), "connectorStatus": status, "evseId": 1,
         "connectorId": connector},
        version="ocpp2.0.1",
    )  # fmt: skip


def test_a_backlog_does_not_change_what_is_known_better(story: Story) -> None:
    said_2x(story, 60, "Available", 60)
    said_2x(story, 61, "Faulted", 10)
    assert outages(story) == []
    said_2x(story, 62, "Faulted", 62)
    assert outages(story) == [(1, "faulted", 62, None)]


def test_a_clock_that_was_set_back_is_not_a_backlog(story: Story) -> None:
    said_2x(story, 0, "Available", 3000)
    said_2x(story, 2, "Faulted", 2)
    assert outages(story) == [(1, "faulted", 2, None)]


def test_an_evse_works_while_one_of_its_connectors_does(story: Story) -> None:
    said_2x(story, 0, "Available", 0, connector=1)
    said_2x(story, 1, "Faulted", 1, connector=2)
    assert outages(story) == []
    said_2x(story, 2, "Unavailable", 2, connector=1)
    assert outages(story) == [(1, "faulted", 2, None)]


@pytest.mark.parametrize(
    ("connectors", "found"),
    [
        ({}, "usable"),
        ({1: "faulted"}, "faulted"),
        ({1: "faulted", 2: "usable"}, "usable"),
        ({1: "unavailable", 2: "unavailable"}, "unavailable"),
        ({0: "unavailable", 1: "usable"}, "unavailable"),
        ({0: "usable", 1: "faulted"}, "faulted"),
    ],
)
def test_the_condition_of_an_evse(connectors: dict[int, str], found: str) -> None:
    assert condition({number: Condition(word) for number, word in connectors.items()}) == found


def test_an_interval_of_no_length_is_none(story: Story) -> None:
    story.status(5, "Faulted")
    story.status(5, "Available")
    assert outages(story) == []
    story.status(5, "Faulted")
    assert outages(story) == [(1, "faulted", 5, None)]


def test_a_charger_is_known_since_its_first_sign(story: Story) -> None:
    story.status(3, "Available")
    story.up(9)
    first = story.rows("SELECT first FROM port WHERE evse = 0")
    assert first == [(times.text(moment(0) + timedelta(minutes=3)),)]
