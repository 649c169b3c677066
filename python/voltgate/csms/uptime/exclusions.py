"""Exclusions: time that is not counted against a port, by a decision with a reason of a closed list.

Body of a decision ``exclusion``: ``{"scope": "default"|"site:ID"|"charger:ID", "reason", "evse", "from",
"to",
"daily": {"from": "22:00", "to": "06:00", "days": [1, 7]}}``. Without ``evse``: every port; without ``from``
and ``to``: since ever, for ever; ``daily``: only within these local hours (of these ISO weekdays), as opening
hours need it. A body ``{}`` takes the exclusion back.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.store import Tx
from voltgate.csms.uptime.spans import Span, common, merged

EXCLUSION = """CREATE TABLE exclusion (
    id TEXT PRIMARY KEY, scope TEXT NOT NULL, evse INTEGER, body TEXT NOT NULL)"""


class Reason(StrEnum):
    """Why time is excluded. All but ``network`` and ``ours`` are those of 23 CFR 680.116(b)(3)."""

    UTILITY = "utility"
    NETWORK = "network"
    VANDALISM = "vandalism"
    DISASTER = "disaster"
    VEHICLE = "vehicle"
    MAINTENANCE = "maintenance"
    CLOSED = "closed"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Daily:
    """Local hours; ``ends`` at or before ``begins``: on the next day."""

    begins: time
    ends: time
    days: frozenset[int]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What a decision excludes. ``scope``: ``default``, ``site:ID``, ``charger:ID``."""

    scope: str
    reason: Reason
    evse: int | None
    begins: datetime | None
    ends: datetime | None
    daily: Daily | None

    def covers(self, charger: str, site: str, evse: int) -> bool:
        """Whether it is about this port."""
        return self.scope in ("default", f"site:{site}", f"charger:{charger}") and self.evse in (None, evse)

    def spans(self, start: datetime, end: datetime, zone: ZoneInfo) -> list[Span]:
        """Its time within a window."""
        start, end = max(start, self.begins or start), min(end, self.ends or end)
        if start >= end:
            return []
        return (
            [(start, end)]
            if self.daily is None
            else common([(start, end)], _hours(self.daily, start, end, zone))
        )


def _hours(daily: Daily, start: datetime, end: datetime, zone: ZoneInfo) -> list[Span]:
    """Local wall-clock hours as spans: an hour that a change of the clocks removes is not there."""
    first, last = start.astimezone(zone).date() - timedelta(days=1), end.astimezone(zone).date()
    over_midnight = timedelta(days=1 if daily.ends <= daily.begins else 0)

    def instant(day: date, at: time) -> datetime:
        return datetime.combine(day, at, zone).astimezone(UTC)

    days = (first + timedelta(days=count) for count in range((last - first).days + 1))
    return merged(
        (instant(day, daily.begins), instant(day + over_midnight, daily.ends))
        for day in days
        if day.isoweekday() in daily.days
    )


def parsed(body: dict[str, Any]) -> Exclusion:
    """The exclusion of a decision's body. Raises ValueError, with a text for the person who decides."""
    scope = body.get("scope", "default")
    if scope != "default" and not str(scope).startswith(("site:", "charger:")):
        raise ValueError("scope: must be default, site:ID or charger:ID")
    try:
        reason = Reason(body["reason"])
    except (KeyError, ValueError):
        raise ValueError(f"reason: must be one of {', '.join(Reason)}") from None
    evse = body.get("evse")
    if evse is not None and (type(evse) is not int or evse < 1):
        raise ValueError("evse: must be a number from 1 on")
    begins, ends = (_time(body, name) for name in ("from", "to"))
    if begins and ends and ends <= begins:
        raise ValueError("to: must be later than from")
    if begins is None and "daily" not in body:
        raise ValueError("from: is required without daily hours")
    return Exclusion(str(scope), reason, evse, begins, ends, _daily(body))


def _time(body: dict[str, Any], name: str) -> datetime | None:
    value = body.get(name)
    if value is None:
        return None
    if (found := times.of_charger(value)) is None:
        raise ValueError(f"{name}: must be an RFC 3339 time")
    return found


def _daily(body: dict[str, Any]) -> Daily | None:
    if (daily := body.get("daily")) is None:
        return None
    try:
        begins, ends = time.fromisoformat(daily["from"]), time.fromisoformat(daily["to"])
        days = frozenset(int(day) for day in daily.get("days", range(1, 8)))
    except (KeyError, TypeError, ValueError):
        raise ValueError('daily: must be {"from": "22:00", "to": "06:00", "days": [1, 7]}') from None
    if not days <= frozenset(range(1, 8)):
        raise ValueError("daily.days: must be ISO weekdays, 1 (Monday) to 7")
    return Daily(begins, ends, days)


def fold(tx: Tx, decision: Decision) -> None:
    """Store a decision; one that cannot be read is not in force, and one without a body is taken back."""
    tx.run("DELETE FROM exclusion WHERE id = ?", decision.id)
    try:
        exclusion = parsed(decision.body)
    except ValueError:
        return
    tx.run(
        "INSERT INTO exclusion (id, scope, evse, body) VALUES (?, ?, ?, ?)",
        decision.id, exclusion.scope, exclusion.evse, orjson.dumps(decision.body).decode(),
    )  # fmt: skip


def every(tx: Tx) -> list[Exclusion]:
    """All that are in force, in a fixed order."""
    return [parsed(orjson.loads(body)) for (body,) in tx.all("SELECT body FROM exclusion ORDER BY id")]
