"""From a driver who was let in to a success, or to the stage at which it ended."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest

from csms.story import Story, minutes, moment
from voltgate.config_csms import Csms
from voltgate.csms.ledger.store import Database
from voltgate.csms.uptime import report
from voltgate.csms.uptime.attempts import Outcome, Stage, judged
from voltgate.csms.uptime.part import Uptime
from voltgate.csms.uptime.report import Funnel
from voltgate.csms.uptime.watch import Session


@pytest.fixture
def story(open_database: Callable[[], Database]) -> Story:
    return Story(open_database(), Uptime(Csms()))


def shown(story: Story, at: float, token: str = "tag", status: str = "Accepted") -> None:
    """A token at the reader."""
    story.fact(at, "Authorize", {"idTag": token}, key=f"auth-{at}")
    story.fact(at, "AuthorizeResponse", {"idTagInfo": {"status": status}}, key=f"auth-{at}")


def remote(story: Story, at: float, evse: int = 1, token: str = "tag") -> None:
    """A remote start that the charger accepted."""
    for action, body in (
        ("RemoteStartTransaction", {"connectorId": evse, "idTag": token}),
        ("RemoteStartTransactionResponse", {"status": "Accepted"}),
    ):
        story.fact(at, action, body, key=f"remote-{at}", headers={"ocpp-outcome": "result"})


def attempts(story: Story) -> list[tuple[object, ...]]:
    return [
        (minutes(at), stage, outcome, reason, session)
        for at, stage, outcome, reason, session in story.rows(
            "SELECT at, stage, outcome, reason, session FROM attempt ORDER BY at, id"
        )
    ]


def test_a_token_a_session_a_success(story: Story) -> None:
    shown(story, 0)
    story.tick(0.5)
    assert attempts(story) == [(0, "authorized", "open", "", "")]
    story.session("s", started=1.0)
    story.tick(2)
    assert attempts(story) == [(0, "started", "open", "", "s")]
    story.session("s", started=1.0, mwh=1)
    story.tick(3)
    assert attempts(story) == [(0, "energy", "open", "", "s")]
    story.session("s", started=1.0, mwh=5000, ended=30.0, state="ended", reason="EVDisconnected")
    story.tick(31)
    assert attempts(story) == [(0, "ended", "success", "EVDisconnected", "s")]


def test_a_refused_token_is_not_an_attempt(story: Story) -> None:
    shown(story, 0, status="Blocked")
    story.session("s", started=1.0, ended=1.0, state="ended", reason="DeAuthorized")
    story.tick(20)
    assert attempts(story) == []


def test_one_that_charged_without_leave_is_an_attempt(story: Story) -> None:
    story.session(
        "s", started=1.0, ended=9.0, state="ended", reason="DeAuthorized", mwh=7, flags="start_refused"
    )
    story.tick(20)
    assert attempts(story) == [(1, "energy", "failed", "DeAuthorized", "s")]


def test_a_remote_start_that_nothing_follows_is_a_failed_attempt(story: Story) -> None:
    remote(story, 0)
    story.tick(4)
    assert attempts(story) == [(0, "authorized", "open", "", "")]
    story.tick(5)
    assert attempts(story) == [(0, "authorized", "failed", "no_session", "")]


def test_with_a_cable_it_came_further(story: Story) -> None:
    remote(story, 0)
    story.status(1, "Preparing")
    story.tick(6)
    assert attempts(story) == [(0, "plugged", "failed", "no_session", "")]


def test_a_session_that_comes_late_belongs_to_its_attempt(story: Story) -> None:
    shown(story, 0)
    story.tick(6)
    story.session("s", started=2.0, ended=60.0, mwh=9, state="ended")
    story.tick(61)
    assert attempts(story) == [(0, "ended", "success", "", "s")]


def test_a_token_shown_again_is_one_attempt(story: Story) -> None:
    for at in (0, 1, 2):
        shown(story, at)
    story.session("s", started=2.5)
    story.tick(3)
    assert attempts(story) == [(0, "started", "open", "", "s")]


def test_a_token_that_ends_its_session_is_no_attempt(story: Story) -> None:
    shown(story, 0)
    story.session("s", started=1.0, mwh=9)
    story.tick(2)
    shown(story, 30)
    shown(story, 30.1, "another of the group")
    story.session("s", started=1.0, mwh=9, ended=30.2, state="ended", reason="Local")
    story.tick(31)
    story.tick(60)
    assert attempts(story) == [(0, "ended", "success", "Local", "s")]


def test_plugging_in_first_is_the_same_attempt(story: Story) -> None:
    """2.x: the session starts with the cable, and its token comes later."""
    story.session("s", started=0.0, token="")
    story.tick(1)
    assert attempts(story) == []
    shown(story, 2)
    story.session("s", started=0.0, token="tag")
    story.tick(3)
    assert attempts(story) == [(2, "started", "open", "", "s")]


def test_a_session_without_a_trial_begins_with_its_start(story: Story) -> None:
    story.session("s", started=1.0, ended=2.0, state="ended")
    story.tick(4)
    assert attempts(story) == [(1, "started", "failed", "no_energy", "s")]


def test_a_late_stop_makes_a_presumed_failure_a_success(story: Story) -> None:
    story.session("s", started=0.0, ended=5.0, state="presumed", mwh=9, flags="end_presumed")
    story.tick(6)
    assert attempts(story) == [(0, "energy", "failed", "end_presumed", "s")]
    story.session("s", started=0.0, ended=7.0, state="ended", mwh=9, reason="Local")
    story.tick(8)
    assert attempts(story) == [(0, "ended", "success", "Local", "s")]


def broken(story: Story) -> list[tuple[object, ...]]:
    rows = story.rows("SELECT evse, begins, ends FROM outage WHERE kind = 'broken' ORDER BY begins")
    return [(evse, minutes(begins), minutes(ends)) for evse, begins, ends in rows]


def failure(story: Story, number: int, at: float) -> None:
    story.session(f"f{number}", started=at, ended=at + 1, state="ended", reason="Local")


def test_three_failures_in_a_row_prove_a_port_broken_until_a_success(story: Story) -> None:
    failure(story, 1, 0)
    failure(story, 2, 10)
    story.tick(12)
    assert broken(story) == []
    failure(story, 3, 20)
    failure(story, 4, 30)
    story.tick(32)
    assert broken(story) == [(1, 21, None)]
    story.session("ok", started=40.0, ended=60.0, mwh=9, state="ended")
    story.tick(61)
    assert broken(story) == [(1, 21, 40)]


def test_failures_of_another_port_or_with_a_success_between_prove_nothing(story: Story) -> None:
    failure(story, 1, 0)
    story.session("b", evse=2, started=5.0, ended=6.0, state="ended")
    failure(story, 2, 10)
    story.session("ok", started=12.0, ended=13.0, mwh=9, state="ended")
    failure(story, 3, 20)
    story.tick(22)
    assert broken(story) == []


def test_what_was_proven_is_taken_back_when_an_attempt_succeeded_after_all(story: Story) -> None:
    failure(story, 1, 0)
    story.session("p", started=10.0, ended=11.0, mwh=9, state="presumed", flags="end_presumed")
    failure(story, 3, 20)
    story.tick(22)
    assert broken(story) == [(1, 21, None)]
    story.session("p", started=10.0, ended=15.0, mwh=9, state="ended", reason="Local")
    story.tick(23)
    assert broken(story) == []


def test_the_funnel_of_each_firmware(story: Story) -> None:
    failure(story, 1, 0)
    story.session("ok", started=12.0, ended=13.0, mwh=9, state="ended")
    remote(story, 20)
    story.tick(30)
    with story.tx() as tx:
        tx.run("UPDATE charger SET vendor = 'V', model = 'M', firmware = '2'")
    story.session("new", started=40.0, ended=43.0, mwh=9, state="ended", reason="PowerLoss")
    story.session("open", started=50.0)
    story.tick(60)
    with story.tx() as tx:
        found = report.funnel(tx, (moment(0), moment(100)))
    assert found == [
        Funnel("V", "M", "2", attempts=1, plugged=1, started=1, energy=1, successes=0),
        Funnel("", "", "", attempts=3, plugged=2, started=2, energy=1, successes=1),
    ]
    assert [round(one.rate, 1) for one in found] == [Decimal(0), Decimal("33.3")]


@pytest.mark.parametrize(
    ("mwh", "ended", "reason", "flags", "found"),
    [
        (0, None, "", "", (Stage.STARTED, Outcome.OPEN, "")),
        (1, None, "", "", (Stage.ENERGY, Outcome.OPEN, "")),
        (1, moment(9), "Local", "", (Stage.ENDED, Outcome.SUCCESS, "Local")),
        (1, moment(9), "", "", (Stage.ENDED, Outcome.SUCCESS, "")),
        (1, moment(9), "PowerLoss", "", (Stage.ENERGY, Outcome.FAILED, "PowerLoss")),
        (1, moment(9), "GroundFault", "", (Stage.ENERGY, Outcome.FAILED, "GroundFault")),
        (1, moment(9), "", "end_presumed", (Stage.ENERGY, Outcome.FAILED, "end_presumed")),
        (0, moment(9), "EVDisconnected", "", (Stage.STARTED, Outcome.FAILED, "EVDisconnected")),
        (0, moment(9), "", "no_energy", (Stage.STARTED, Outcome.FAILED, "no_energy")),
    ],
)
def test_how_far_a_session_came(
    mwh: int, ended: datetime | None, reason: str, flags: str, found: tuple[Stage, Outcome, str]
) -> None:
    session = Session(
        "s", "A", 1, "tag", moment(0), None, ended, None, reason, "ended", mwh, None, frozenset(flags.split())
    )
    assert judged(session) == found


def test_how_long_a_driver_may_take_to_plug_in_is_configured(open_database: Callable[[], Database]) -> None:
    story = Story(open_database(), Uptime(Csms(attempt_wait=60)))
    shown(story, 0)
    story.tick(1)
    assert attempts(story) == [(0, "authorized", "failed", "no_session", "")]
    story.session("late", started=2.0)
    story.tick(3)
    assert [row[1:3] for row in attempts(story)] == [("authorized", "failed"), ("started", "open")]
