"""Which sessions have changed since the last tick, in a fixed order.

Sessions are folded from several streams, so they are looked at at ticks only. Facts mark their charger; a
session that is not final is compared at every tick, because it can also change by the time or a decision.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Row, Tx

LATE = timedelta(hours=1)
"""By which the clocks of gateways, and delivery, can put the facts of a charger out of order."""

TRANSACTIONS = frozenset({"StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues"})

TOUCHED = "CREATE TABLE touched (charger TEXT PRIMARY KEY, since TEXT NOT NULL)"
# ``due``: not looked at before; a rebuild imports sessions of times that are still to come.
WATCHED = """CREATE TABLE watched (
    session TEXT PRIMARY KEY, seen TEXT NOT NULL, final INTEGER NOT NULL, due TEXT NOT NULL DEFAULT '')"""


@dataclass(frozen=True, slots=True)
class Session:
    """A row of the table ``session``, as far as it is needed here."""

    id: str
    charger: str
    evse: int
    token: str
    started: datetime | None
    first_energy: datetime | None
    ended: datetime | None
    plug_out: datetime | None
    reason: str
    state: str
    mwh: int
    cost: int | None
    flags: frozenset[str]


_COLUMNS = (
    "s.id, s.charger, s.evse, s.token, s.started, s.first_energy, s.ended, s.plug_out, s.reason, s.state,"
    " s.mwh, s.cost, s.flags, s.settle_at, w.seen, w.final"
)
# Two queries: an index with ``heard`` of open sessions would be written with every reading.
_TOUCHED = tuple(
    # CROSS JOIN keeps SQLite to this order; it would read every session there is.
    f"SELECT {_COLUMNS} FROM touched t CROSS JOIN session s LEFT JOIN watched w ON w.session = s.id"
    f" WHERE s.charger = t.charger AND {those} AND s.heard >= t.since AND COALESCE(w.due, '') <= ?"
    for those in ("s.state = 'open'", "s.state <> 'open'")
)
_OPEN = (
    f"SELECT {_COLUMNS} FROM watched w JOIN session s ON s.id = w.session WHERE w.final = 0 AND w.due <= ?"
)
_IMPORT = "INSERT INTO watched (session, seen, final, due) SELECT id, '', 0, first_heard FROM session"


class Watch:
    """Compares sessions with what was seen of them."""

    tables: tuple[str, ...] = (
        TOUCHED,
        WATCHED,
        "CREATE INDEX watched_open ON watched (due) WHERE final = 0",
        "CREATE INDEX session_by_heard ON session (charger, heard) WHERE state <> 'open'",
    )

    def __init__(self) -> None:
        self._touched = set[str]()  # since the last tick; a cache of the table

    def fact(self, tx: Tx, fact: Fact) -> None:
        """Mark the charger of a transaction message."""
        if fact.action.removesuffix("Response") in TRANSACTIONS and fact.charger not in self._touched:
            self._touched.add(fact.charger)
            tx.run(
                "INSERT INTO touched (charger, since) VALUES (?, ?) ON CONFLICT (charger) DO NOTHING",
                fact.charger, times.text(fact.at - LATE),
            )  # fmt: skip

    def decision(self, tx: Tx, decision: Decision) -> None:
        """Corrections and waivers change what was final; their id is the session's."""
        tx.run("UPDATE watched SET final = 0 WHERE session = ?", decision.id)

    def changed(self, tx: Tx, at: datetime) -> list[Session]:
        """Those that differ from what was seen; of imported ones each when its time has come."""
        if tx.one("SELECT 1 FROM watched") is None:
            tx.run(_IMPORT)
        rows = {row[0]: row for query in (*_TOUCHED, _OPEN) for row in tx.all(query, times.text(at))}
        self._touched.clear()
        tx.run("DELETE FROM touched")
        found = [row for row in rows.values() if _seen(tx, row)]
        return sorted((_session(row) for row in found), key=lambda one: (one.started or times.EPOCH, one.id))


def _seen(tx: Tx, row: Row) -> bool:
    """Remember a row; whether it differs from the last time: more energy does not, as long as it goes on."""
    *shown, settle_at, before, was_final = row
    state, mwh = shown[9:11]
    if state == "open":
        shown[10] = int(mwh > 0)
    now = "|".join(map(str, shown[2:]))
    final = int(state != "open" and settle_at is None)
    if (now, final) == (before, was_final):
        return False
    tx.run(
        "INSERT INTO watched (session, seen, final) VALUES (?, ?, ?)"
        " ON CONFLICT (session) DO UPDATE SET seen = excluded.seen, final = excluded.final, due = ''",
        row[0], now, final,
    )  # fmt: skip
    return bool(now != before)


def _session(row: Row) -> Session:
    id_, charger, evse, token, *moments, reason, state, mwh, cost, flags, _, _, _ = row
    started, first_energy, ended, plug_out = (times.parsed(one) if one else None for one in moments)
    return Session(
        id_, charger, evse, token, started, first_energy, ended, plug_out, reason, state, mwh, cost,
        frozenset(flags.split()),
    )  # fmt: skip
