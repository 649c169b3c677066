"""Rules: defaults, decisions, scopes, quiet hours."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from csms.story import Story
from voltgate.config_csms import Csms
from voltgate.csms.alerts import rules
from voltgate.csms.alerts.part import Alerts
from voltgate.csms.alerts.rules import Kind, Quiet, parsed
from voltgate.csms.ledger.store import Database
from voltgate.csms.uptime.part import Uptime

GMT = ZoneInfo("UTC")


def test_there_are_nine_rules_from_the_start(open_database: Callable[[], Database]) -> None:
    story = Story(open_database(), Uptime(Csms()), Alerts(GMT, "ops"))
    with story.tx() as tx:
        found = rules.every(tx)
    assert [rule.id for rule in found] == sorted(kind.label for kind in Kind)
    assert len(found) == 9
    assert all(rule.enabled and rule.scope == "default" and rule.channels is None for rule in found)


def test_a_decision_replaces_a_default_and_an_empty_one_restores_it(
    open_database: Callable[[], Database],
) -> None:
    story = Story(open_database(), Uptime(Csms()), Alerts(GMT, "ops"))

    def offline() -> tuple[int, bool]:
        with story.tx() as tx:
            rule = next(rule for rule in rules.every(tx) if rule.id == "offline")
        return rule.hold // timedelta(minutes=1), rule.enabled

    story.decide(0, "rule", "offline", {"hold_minutes": 3, "enabled": False})
    assert offline() == (3, False)
    story.decide(1, "rule", "offline", {})
    assert offline() == (15, True)
    story.decide(2, "rule", "night", {"kind": "offline", "scope": "site:S"})
    story.decide(3, "rule", "wrong", {"kind": "weather"})
    with story.tx() as tx:
        assert {rule.id for rule in rules.every(tx)} == {kind.label for kind in Kind} | {"night"}


@pytest.mark.parametrize(
    ("id_", "body", "fault"),
    [
        ("mine", {}, "kind: must be one of offline, faulted"),
        ("notice", {"kind": "offline"}, "kind: must be one of"),
        ("offline", {"scope": "planet"}, "scope: must be"),
        ("offline", {"limit": -1}, "limit: must be a whole number"),
        ("offline", {"hold_minutes": "3"}, "hold_minutes: must be"),
        ("offline", {"renotify_minutes": True}, "renotify_minutes: must be"),
        ("offline", {"quiet": {"from": "22:00"}}, "quiet: must be"),
        ("offline", {"quiet": {"from": "25:00", "to": "6"}}, "quiet: must be"),
        ("offline", {"channels": "ops"}, "channels: must be"),
    ],
)
def test_what_is_refused(id_: str, body: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parsed(id_, body)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ("default", {"A", "B", ""}),
        ("site:S", {"A"}),
        ("charger:B", {"B"}),
        ("site:", set()),
    ],
)
def test_whom_a_rule_is_about(scope: str, covered: set[str]) -> None:
    rule = parsed("offline", {"scope": scope})
    sites = {"A": "S", "B": "T", "": ""}
    assert {charger for charger, site in sites.items() if rule.covers(charger, site)} == covered


@pytest.mark.parametrize(
    ("quiet", "hour", "covered"),
    [
        (("22:00", "06:00"), 20, False),
        (("22:00", "06:00"), 21, True),
        (("22:00", "06:00"), 4, True),
        (("22:00", "06:00"), 5, False),
        (("01:00", "03:00"), 1, True),
        (("01:00", "03:00"), 2, False),
    ],
)
def test_quiet_hours_are_local(quiet: tuple[str, str], hour: int, covered: bool) -> None:
    one = parsed("offline", {"quiet": {"from": quiet[0], "to": quiet[1]}}).quiet
    assert isinstance(one, Quiet)
    assert one.covers(datetime(2026, 3, 2, hour, tzinfo=UTC), ZoneInfo("Europe/Berlin")) is covered
