"""What a fact says about a charger's ports, in each version."""

from datetime import UTC, datetime
from typing import Any

import pytest

from voltgate.csms.ledger.facts import Fact
from voltgate.csms.uptime.signs import OURS, Condition, Down, Sign, Status, Up, signs
from voltgate.gateway.reasons import Reason

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def said(action: str, body: dict[str, Any]) -> list[Sign]:
    return list(signs(Fact("S", 1, "id", "s", None, "A", AT, "", action, body, {})))


def event(evse: dict[str, int] | None, value: str, variable: str = "AvailabilityState") -> dict[str, Any]:
    component = {"name": "Connector"} if evse is None else {"name": "Connector", "evse": evse}
    return {
        "eventId": 1, "timestamp": "2026-03-02T11:59:00Z", "trigger": "Delta", "actualValue": value,
        "component": component, "variable": {"name": variable},
        "eventNotificationType": "HardWiredNotification",
    }  # fmt: skip


AGO = datetime(2026, 3, 2, 11, 59, tzinfo=UTC)
STATUS_2X = {"timestamp": "2026-03-02T11:59:00Z", "connectorStatus": "Faulted", "evseId": 2, "connectorId": 1}


@pytest.mark.parametrize(
    ("action", "body", "found"),
    [
        ("link", {"state": "up"}, [Up()]),
        ("link", {"state": "down", "reason": "client"}, [Down("client", ours=False)]),
        ("link", {"state": "down", "reason": "drain"}, [Down("drain", ours=True)]),
        ("link", {"state": "down", "reason": "gateway_lost"}, [Down("gateway_lost", ours=True)]),
        ("link", {"state": "sideways"}, []),
        ("StatusNotification", {"connectorId": 2, "status": "Faulted", "timestamp": "2020-01-01T00:00:00Z"},
         [Status(2, 1, Condition.FAULTED, None)]),
        ("StatusNotification", {"connectorId": 0, "status": "Unavailable"},
         [Status(0, 0, Condition.UNAVAILABLE, None)]),
        ("StatusNotification", {"connectorId": 1, "status": "Charging"},
         [Status(1, 1, Condition.USABLE, None)]),
        ("StatusNotification", STATUS_2X, [Status(2, 1, Condition.FAULTED, AGO)]),
        ("StatusNotification", {"connectorId": "x"}, []),
        ("NotifyEvent", {"eventData": [event({"id": 1, "connectorId": 2}, "Unavailable")]},
         [Status(1, 2, Condition.UNAVAILABLE, AGO)]),
        ("NotifyEvent", {"eventData": [event({"id": 1}, "Occupied"), event(None, "Faulted")]},
         [Status(1, 0, Condition.USABLE, AGO), Status(0, 0, Condition.FAULTED, AGO)]),
        ("NotifyEvent", {"eventData": [event({"id": 1}, "true", "Problem"), "no event"]}, []),
        ("MeterValues", {"connectorId": 1, "status": "Faulted"}, []),
    ],
)  # fmt: skip
def test_signs(action: str, body: dict[str, Any], found: list[Sign]) -> None:
    assert said(action, body) == found


def test_what_is_ours_are_reasons_that_the_gateway_writes() -> None:
    assert {reason.label for reason in Reason} | {"gateway_lost"} >= OURS
    charger_s_own = {
        "client",
        "silent",
        "protocol",
        "too_big",
        "binary",
        "not_utf8",
        "fragments",
        "slow_reader",
    }
    assert not OURS & charger_s_own
