"""Alerts: a row for each condition that is true somewhere, and one message for many rows.

    condition true             held for `hold_minutes`          in a notice
    --------------> pending ----------------------> raised --------------> raised, notified
                       | no longer true                | no longer true        | no longer true
                       v                               v                       v
                    (nothing)                  OPS_ALERT: cleared     cleared, in a notice, then (nothing)

A rule waits ``GROUP`` from its first new row before it sends a notice, so that a storm is one message, and
while it is quiet. What is muted stays raised, and is sent when the mute ends. After ``renotify_minutes`` a
notice repeats whatever is still raised. Everything acts at ticks.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import orjson

from voltgate.csms.alerts import conditions, rules
from voltgate.csms.alerts.conditions import Found
from voltgate.csms.alerts.notices import Entry, Notice
from voltgate.csms.alerts.rules import RESERVED, Rule
from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.facts import Fact, token
from voltgate.csms.ledger.store import Row, Tx
from voltgate.csms.uptime.places import Places

GROUP = timedelta(seconds=60)
"""How long a rule collects before it sends; with ticks once a minute, two of them."""

ALERT = """CREATE TABLE alert (
    rule TEXT NOT NULL, subject TEXT NOT NULL, charger TEXT NOT NULL, evse INTEGER NOT NULL,
    since TEXT NOT NULL, count INTEGER NOT NULL, state TEXT NOT NULL, changed TEXT NOT NULL, notified TEXT,
    muted TEXT NOT NULL DEFAULT '', PRIMARY KEY (rule, subject))"""

MUTE = "CREATE TABLE mute (id TEXT PRIMARY KEY, until TEXT NOT NULL)"

_SPACE = uuid.UUID("3a2d2c43-98a6-5a5a-8f0d-3a0a67b54d1e")


@dataclass(slots=True)
class Alert:
    """A row. ``changed``: when its state did. ``notified``: when a notice had it last."""

    subject: str
    charger: str
    evse: int
    since: str
    count: int
    state: str
    changed: str
    notified: str | None
    muted: str

    @property
    def entry(self) -> Entry:
        """In a notice."""
        return Entry(self.subject, self.charger, self.evse, self.since, self.count)


class Alerts:
    """See Part. Stands behind sessions and uptime in the ledger's list of parts."""

    tables: tuple[str, ...] = (ALERT, MUTE, rules.RULE, *conditions.TABLES)

    def __init__(self, zone: ZoneInfo, prefix: str) -> None:
        """``zone``: of quiet hours of rules whose site names none; ``prefix``: of subjects."""
        self._zone, self._prefix = zone, prefix

    def fact(self, tx: Tx, fact: Fact) -> None:
        """See Part."""
        conditions.fact(tx, fact)

    def decision(self, tx: Tx, decision: Decision) -> None:
        """See Part."""
        if decision.kind == "rule":
            rules.fold(tx, decision)
        elif decision.kind == "mute":
            until = times.of_charger(decision.body.get("until"))
            tx.run("DELETE FROM mute WHERE id = ?", decision.id)
            if until is not None:
                tx.run("INSERT INTO mute (id, until) VALUES (?, ?)", decision.id, times.text(until))

    def tick(self, tx: Tx, at: datetime) -> None:
        """See Part."""
        conditions.forget(tx, at)
        tx.run("DELETE FROM mute WHERE until <= ?", times.text(at))
        places = Places(tx, self._zone)
        known = [rule for rule in rules.every(tx) if rule.enabled]
        for (gone,) in tx.all("SELECT DISTINCT rule FROM alert"):
            if gone not in {rule.id for rule in known}:
                tx.run("DELETE FROM alert WHERE rule = ?", gone)
        for rule in known:
            found = [
                one
                for one in conditions.of(rule.kind)(tx, at, rule.limit)
                if rule.covers(one.charger, places.of(one.charger).site)
            ]
            _Turn(tx, rule, at, self._prefix).run(found, places.zone_of(rule.scope))


class _Turn:
    """One rule at one tick."""

    def __init__(self, tx: Tx, rule: Rule, at: datetime, prefix: str) -> None:
        self._tx, self._rule, self._at, self._prefix = tx, rule, at, prefix
        self._now = times.text(at)
        self._mutes: dict[str, str] = {row[0]: row[1] for row in tx.all("SELECT id, until FROM mute")}
        self._alerts = {
            row[0]: Alert(*row)
            for row in tx.all(
                "SELECT subject, charger, evse, since, count, state, changed, notified, muted FROM alert"
                " WHERE rule = ? ORDER BY subject",
                rule.id,
            )
        }
        self._before = {subject: _row(alert) for subject, alert in self._alerts.items()}

    def run(self, found: Sequence[Found], zone: ZoneInfo) -> None:
        """Compare with the rows, send a notice when it is time, and write the rows."""
        true = {one.subject: one for one in found}
        for subject, one in sorted(true.items()):
            self._true(subject, one)
        for subject in [subject for subject in self._alerts if subject not in true]:
            self._false(subject)
        for subject, alert in self._alerts.items():
            mutes = (self._rule.id, f"{self._rule.id}/{subject}")
            alert.muted = max((self._mutes.get(mute, "") for mute in mutes), default="")
        if self._rule.quiet is None or not self._rule.quiet.covers(self._at, zone):
            self._notify()
        self._write()

    def _true(self, subject: str, found: Found) -> None:
        since = times.text(min(found.since, self._at))
        alert = self._alerts.get(subject)
        if alert is None:
            alert = self._alerts[subject] = Alert(
                subject, found.charger, found.evse, since, found.count, "pending", self._now, None, ""
            )
        alert.count = found.count
        if alert.state != "raised" and self._at - times.parsed(since) >= self._rule.hold:
            alert.state, alert.changed, alert.since = "raised", self._now, since
            self._publish(alert, "raised")

    def _false(self, subject: str) -> None:
        alert = self._alerts[subject]
        if alert.state == "raised":
            alert.state, alert.changed = "cleared", self._now
            self._publish(alert, "cleared")
        if alert.notified is None or alert.state == "pending":
            del self._alerts[subject]

    def _notify(self) -> None:
        heard = [alert for alert in self._alerts.values() if not alert.muted]
        new = [alert for alert in heard if alert.state == "raised" and alert.notified is None]
        over = [alert for alert in heard if alert.state == "cleared"]
        still = [alert for alert in heard if alert.state == "raised" and alert.notified is not None]
        waited = any(self._at - times.parsed(alert.changed) >= GROUP for alert in (*new, *over))
        again = bool(self._rule.renotify) and any(
            self._at - times.parsed(alert.notified or "") >= self._rule.renotify for alert in still
        )
        if not waited and not again:
            return
        repeated = still if again else []
        raised, said, cleared = (tuple(alert.entry for alert in group) for group in (new, repeated, over))
        id_ = str(uuid.uuid5(_SPACE, f"{self._rule.id}/{self._now}"))
        kind = self._rule.kind
        notice = Notice(
            id_, self._rule.id, kind.label, kind.value.title, self._at, raised, said, cleared,
            self._rule.channels,
        )  # fmt: skip
        self._tx.send(
            f"{self._now}/{notice.id}",
            f"{self._prefix}.alert.{RESERVED}.{token(self._rule.id)}.{notice.id}",
            # Stored once, also by a ledger that folds the same ticks again.
            {"ce-time": self._now, "Nats-Expected-Last-Subject-Sequence": "0"},
            notice.json(),
        )
        for alert in (*new, *repeated):
            alert.notified = self._now
        for alert in over:
            del self._alerts[alert.subject]

    def _publish(self, alert: Alert, state: str) -> None:
        body = alert.entry.json() | {
            "state": state, "rule": self._rule.id, "kind": self._rule.kind.label, "at": self._now,
        }  # fmt: skip
        self._tx.send(
            f"{self._now}/{uuid.uuid5(_SPACE, f'{self._rule.id}/{alert.subject}/{self._now}/{state}')}",
            f"{self._prefix}.alert.{token(self._rule.id)}.{token(alert.subject)}",
            {"ce-time": self._now},
            orjson.dumps(body),
        )

    def _write(self) -> None:
        for subject in self._before.keys() - self._alerts.keys():
            self._tx.run("DELETE FROM alert WHERE rule = ? AND subject = ?", self._rule.id, subject)
        for subject, alert in self._alerts.items():
            if self._before.get(subject) == (row := _row(alert)):
                continue
            self._tx.run(
                "INSERT INTO alert (rule, subject, charger, evse, since, count, state, changed, notified,"
                " muted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (rule, subject) DO UPDATE SET"
                " since = excluded.since, count = excluded.count, state = excluded.state,"
                " changed = excluded.changed, notified = excluded.notified, muted = excluded.muted",
                self._rule.id, *row,
            )  # fmt: skip


def _row(alert: Alert) -> Row:
    return (
        alert.subject, alert.charger, alert.evse, alert.since, alert.count, alert.state, alert.changed,
        alert.notified, alert.muted,
    )  # fmt: skip
