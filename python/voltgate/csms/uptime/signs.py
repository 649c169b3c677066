"""What a fact says about whether a charger and its ports can be used.

1.6 names a connector and its status; 2.x names EVSE and connector, in StatusNotification or, by the device
model, as ``AvailabilityState`` in NotifyEvent. What is not said here is not known: "Available" does not
prove that a port works, attempts do (``attempts``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Fact

BACKLOG = timedelta(seconds=60)
"""An event that is older when it is received was queued."""

OURS = frozenset(
    {
        "gateway_lost", "outage", "drain", "rebalanced", "aged", "kicked", "record_changed", "not_stored",
        "unanswered", "bad_reply", "backend_failed", "internal",
    }
)  # fmt: skip
"""Reasons of a ``down`` that a gateway, NATS or a backend brought about (docs/contract.md 3.6)."""


class Condition(StrEnum):
    """Of a connector, an EVSE or a charger."""

    USABLE = "usable"
    FAULTED = "faulted"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Up:
    """The charger is connected."""


@dataclass(frozen=True, slots=True)
class Down:
    """The charger is not connected. ``ours``: it did not end the connection, and nor did its network."""

    reason: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Status:
    """``evse`` 0: the charger; ``connector`` 0: the EVSE. ``said``: the charger's own time.

    ``said`` is None in 1.6: its timestamp may be the time of the fault, so the order of receipt counts.
    """

    evse: int
    connector: int
    condition: Condition
    said: datetime | None


Sign = Up | Down | Status

_CONDITIONS = {"Faulted": Condition.FAULTED, "Unavailable": Condition.UNAVAILABLE}


def signs(fact: Fact) -> Iterator[Sign]:
    """The signs of a fact, in its order; most facts have none."""
    match fact.action:
        case "link":
            yield from _link(fact.body)
        case "StatusNotification":
            yield from _notified(fact.body)
        case "NotifyEvent":
            for event in fact.body.get("eventData") or ():
                yield from _event(event)


def _link(body: dict[str, Any]) -> Iterator[Sign]:
    if body.get("state") == "up":
        yield Up()
    elif body.get("state") == "down":
        reason = str(body.get("reason") or "")
        yield Down(reason, reason in OURS)


def _notified(body: dict[str, Any]) -> Iterator[Sign]:
    if "connectorStatus" in body:
        yield Status(
            _number(body.get("evseId")),
            _number(body.get("connectorId")),
            _condition(body["connectorStatus"]),
            times.of_charger(body.get("timestamp")),
        )
    elif "status" in body:
        connector = _number(body.get("connectorId"))
        yield Status(connector, min(connector, 1), _condition(body["status"]), None)


def _event(event: Any) -> Iterator[Sign]:
    if not isinstance(event, dict) or (event.get("variable") or {}).get("name") != "AvailabilityState":
        return
    evse = (event.get("component") or {}).get("evse") or {}
    yield Status(
        _number(evse.get("id")),
        _number(evse.get("connectorId")),
        _condition(event.get("actualValue")),
        times.of_charger(event.get("timestamp")),
    )


def _condition(status: object) -> Condition:
    return _CONDITIONS.get(str(status), Condition.USABLE)


def _number(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0
