"""Rules: which condition is worth a message, for whom, and when. The nine of :class:`Kind` are there from the
start, with defaults; a decision ``rule`` replaces the one of its id, or adds one.

Body: ``{"kind", "scope", "enabled", "limit", "hold_minutes", "renotify_minutes", "quiet": {"from": "22:00",
"to": "06:00"}, "channels": [ids]}``, all optional; ``kind`` is required where the id is none of the nine.
Without ``channels`` every channel gets the messages. A body ``{}`` restores a default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.store import Tx

RULE = "CREATE TABLE rule (id TEXT PRIMARY KEY, body TEXT NOT NULL)"

RESERVED = "notice"
"""No rule has this id: it is the subject of messages to channels."""
_MOST_MINUTES = 31 * 24 * 60


@dataclass(frozen=True, slots=True)
class Default:
    """``title``: of its messages. ``limit``: 0 where the condition has none."""

    title: str
    limit: int
    hold_minutes: int
    renotify_minutes: int = 24 * 60


class Kind(Enum):
    """The conditions (``conditions``); the unit of the limit."""

    OFFLINE = Default("Offline", 0, 15)
    FAULTED = Default("Faulted", 0, 5)
    STUCK = Default("Session does not end", 24, 0)  # hours
    HELD = Default("Session needs review", 0, 60)
    NO_SUCCESS = Default("No successful session", 5, 0)  # failed attempts in a row, at one port
    SUCCESS_RATE = Default("Success rate is low", 80, 0, 7 * 24 * 60)  # percent, over a week
    REBOOTS = Default("Reboots", 3, 0)  # within 24 hours
    COMMANDS = Default("Commands fail", 3, 0)  # in a row
    LEDGER = Default("The ledger or a stream needs attention", 80, 2, 60)  # percent of a stream's bytes

    @property
    def label(self) -> str:
        """Its name in bodies, and the id of its rule."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Quiet:
    """Local hours in which nothing is sent; what is still true afterwards is sent then."""

    begins: time
    ends: time

    def covers(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether a moment is within."""
        local = at.astimezone(zone).time()
        if self.begins <= self.ends:
            return self.begins <= local < self.ends
        return local >= self.begins or local < self.ends


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``channels``: None for every one."""

    id: str
    kind: Kind
    scope: str
    enabled: bool
    limit: Decimal
    hold: timedelta
    renotify: timedelta
    quiet: Quiet | None
    channels: tuple[str, ...] | None

    def covers(self, charger: str, site: str) -> bool:
        """Whether it is about this charger; what is about none is covered by ``default``."""
        return self.scope in ("default", f"site:{site}" if site else "", f"charger:{charger}")


def parsed(id_: str, body: Mapping[str, Any]) -> Rule:
    """The rule of a decision. Raises ValueError, with a text for the person who decides."""
    name = body.get("kind", id_)
    kind = next((one for one in Kind if one.label == name), None)
    if kind is None or id_ == RESERVED:
        raise ValueError(f"kind: must be one of {', '.join(one.label for one in Kind)}")
    scope = body.get("scope", "default")
    if scope != "default" and not str(scope).startswith(("site:", "charger:")):
        raise ValueError("scope: must be default, site:ID or charger:ID")
    channels = body.get("channels")
    if channels is not None and not (
        isinstance(channels, list) and all(isinstance(one, str) for one in channels)
    ):
        raise ValueError("channels: must be a list of ids")
    default = kind.value
    return Rule(
        id_,
        kind,
        str(scope),
        body.get("enabled", True) is not False,
        Decimal(_number(body, "limit", default.limit)),
        timedelta(minutes=_number(body, "hold_minutes", default.hold_minutes)),
        timedelta(minutes=_number(body, "renotify_minutes", default.renotify_minutes)),
        _quiet(body),
        None if channels is None else tuple(channels),
    )


def _number(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if type(value) is not int or not 0 <= value <= _MOST_MINUTES:
        raise ValueError(f"{name}: must be a whole number from 0 to {_MOST_MINUTES}")
    return value


def _quiet(body: Mapping[str, Any]) -> Quiet | None:
    if (quiet := body.get("quiet")) is None:
        return None
    try:
        return Quiet(time.fromisoformat(quiet["from"]), time.fromisoformat(quiet["to"]))
    except (KeyError, TypeError, ValueError):
        raise ValueError('quiet: must be {"from": "22:00", "to": "06:00"}') from None


def fold(tx: Tx, decision: Decision) -> None:
    """Store a decision; one that cannot be read leaves the default, or nothing."""
    tx.run("DELETE FROM rule WHERE id = ?", decision.id)
    try:
        parsed(decision.id, decision.body)
    except ValueError:
        return
    tx.run("INSERT INTO rule (id, body) VALUES (?, ?)", decision.id, orjson.dumps(decision.body).decode())


def every(tx: Tx) -> list[Rule]:
    """All in force, in the order of their ids."""
    bodies = {one.label: {} for one in Kind} | {
        id_: orjson.loads(body) for id_, body in tx.all("SELECT id, body FROM rule")
    }
    return [parsed(id_, body) for id_, body in sorted(bodies.items())]
