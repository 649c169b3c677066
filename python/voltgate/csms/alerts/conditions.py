"""Conditions: where each kind of rule is true at a tick, from the tables of the ledger.

Reboots and commands are counted here, because nothing else keeps them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from voltgate.csms.alerts.rules import Kind
from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Tx

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
ENOUGH = 20
"""Attempts in a week below which a rate says nothing."""
LAG = 60
"""Seconds that the ledger may be behind."""

# Reasons of a 2.x BootNotification that somebody wanted; 1.6 names none.
_WANTED = frozenset({"FirmwareUpdate", "RemoteReset", "ScheduledReset", "Triggered"})
_FAILURES = frozenset({"error", "bad_result", "timeout", "lost"})

BOOT = """CREATE TABLE boot (
    charger TEXT NOT NULL, at TEXT NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (stream, seq))"""

FAILING = """CREATE TABLE failing (
    charger TEXT PRIMARY KEY, failures INTEGER NOT NULL, since TEXT NOT NULL)"""

GAUGE = "CREATE TABLE gauge (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"

TABLES = (
    BOOT,
    FAILING,
    GAUGE,
    "CREATE INDEX boot_by_time ON boot (at, charger)",
    "CREATE INDEX session_review ON session (heard) WHERE state = 'review'",
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where a condition is true. ``evse`` 0: the charger; ``name``: what it is about where it is none."""

    charger: str
    evse: int
    since: datetime
    count: int = 1
    name: str = ""

    @property
    def subject(self) -> str:
        """The name in messages, unique within a rule: no identity has a colon."""
        return self.name or (f"{self.charger}:{self.evse}" if self.evse else self.charger)


Condition = Callable[[Tx, datetime, Decimal], Iterator[Found]]


def fact(tx: Tx, fact: Fact) -> None:
    """Count reboots and failed commands."""
    outcome = fact.headers.get("ocpp-outcome")
    if fact.action == "BootNotification" and fact.body.get("reason") not in _WANTED:
        tx.run(
            "INSERT INTO boot (charger, at, stream, seq) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (stream, seq) DO NOTHING",
            fact.charger, times.text(fact.at), fact.stream, fact.seq,
        )  # fmt: skip
    elif outcome == "result":
        tx.run("DELETE FROM failing WHERE charger = ?", fact.charger)
    elif outcome in _FAILURES:
        tx.run(
            "INSERT INTO failing (charger, failures, since) VALUES (?, 1, ?)"
            " ON CONFLICT (charger) DO UPDATE SET failures = failing.failures + 1",
            fact.charger, times.text(fact.at),
        )  # fmt: skip


def measure(tx: Tx, gauges: Mapping[str, int]) -> None:
    """Take the gauges of a tick."""
    tx.run("DELETE FROM gauge")
    for name, value in gauges.items():
        tx.run("INSERT INTO gauge (name, value) VALUES (?, ?)", name, value)


def forget(tx: Tx, at: datetime) -> None:
    """Delete what no condition needs any more."""
    tx.run("DELETE FROM boot WHERE at < ?", times.text(at - DAY))


def of(kind: Kind) -> Condition:
    """The condition of a kind of rule."""
    return _CONDITIONS[kind]


def _offline(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    yield from _open_outages(tx, "offline")


def _faulted(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    yield from _open_outages(tx, "faulted")


def _open_outages(tx: Tx, kind: str) -> Iterator[Found]:
    for charger, evse, begins in tx.all(
        "SELECT charger, evse, begins FROM outage WHERE kind = ? AND ends IS NULL", kind
    ):
        yield Found(charger, evse, times.parsed(begins))


def _stuck(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    for charger, evse, started in tx.all(
        "SELECT charger, evse, MIN(started) FROM session WHERE state = 'open' AND started <= ?"
        " GROUP BY charger, evse",
        times.text(at - timedelta(hours=int(limit))),
    ):
        yield Found(charger, evse, times.parsed(started))


def _held(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    for charger, evse, heard, count in tx.all(
        "SELECT charger, evse, MIN(heard), COUNT(*) FROM session WHERE state = 'review'"
        " GROUP BY charger, evse"
    ):
        yield Found(charger, evse, times.parsed(heard), count)


# MATERIALIZED: the last week is found by its time, where grouping at once would read the whole table.
def _no_success(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    for charger, evse, first, count in tx.all(
        "WITH failed AS MATERIALIZED (SELECT charger, evse, at FROM attempt"
        " WHERE outcome = 'failed' AND evse > 0 AND at >= ?)"
        " SELECT a.charger, a.evse, MIN(a.at), COUNT(*) FROM failed a WHERE a.at > COALESCE((SELECT b.at"
        " FROM attempt b WHERE b.charger = a.charger AND b.evse = a.evse AND b.outcome = 'success'"
        " ORDER BY b.at DESC LIMIT 1), '') GROUP BY a.charger, a.evse HAVING COUNT(*) >= ?",
        times.text(at - WEEK), max(int(limit), 1),
    ):  # fmt: skip
        yield Found(charger, evse, times.parsed(first), count)


def _success_rate(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    first = (at - WEEK).date().isoformat()
    for charger, tries, successes in tx.all(
        "WITH week AS MATERIALIZED (SELECT charger, attempts, successes FROM day WHERE date >= ?)"
        " SELECT charger, SUM(attempts), SUM(successes) FROM week GROUP BY charger"
        " HAVING SUM(attempts) >= ? AND SUM(successes) * 100 < SUM(attempts) * ?",
        first, ENOUGH, int(limit),
    ):  # fmt: skip
        yield Found(charger, 0, at, int(tries) - int(successes))


def _reboots(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    for charger, first, count in tx.all(
        "SELECT charger, MIN(at), COUNT(*) FROM boot WHERE at >= ? GROUP BY charger HAVING COUNT(*) > ?",
        times.text(at - DAY), int(limit),
    ):  # fmt: skip
        yield Found(charger, 0, times.parsed(first), count)


def _commands(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    for charger, failures, since in tx.all(
        "SELECT charger, failures, since FROM failing WHERE failures >= ?", max(int(limit), 1)
    ):
        yield Found(charger, 0, times.parsed(since), failures)


def _ledger(tx: Tx, at: datetime, limit: Decimal) -> Iterator[Found]:
    """Gauges of the tick: ``lag`` in seconds, and of each stream the percent of its bytes."""
    for name, value in tx.all("SELECT name, value FROM gauge"):
        if name == "lag":
            if value > LAG:
                yield Found("", 0, at, value, "lag")
        elif value >= limit:
            yield Found("", 0, at, value, name)


_CONDITIONS: dict[Kind, Condition] = {
    Kind.OFFLINE: _offline,
    Kind.FAULTED: _faulted,
    Kind.STUCK: _stuck,
    Kind.HELD: _held,
    Kind.NO_SUCCESS: _no_success,
    Kind.SUCCESS_RATE: _success_rate,
    Kind.REBOOTS: _reboots,
    Kind.COMMANDS: _commands,
    Kind.LEDGER: _ledger,
}
