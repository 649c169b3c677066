"""Outages: from links and statuses to intervals, as they happen (the streams forget, the table does not).

    link up ----------------> no interval of the link is open
      | down, by the charger or its network          | down, by a gateway, NATS or a backend
      v                                              v
    offline  <---- a while after the first `up` ----- ours
                   of any charger, at the latest OURS_MOST after the `down`

    status Faulted, Unavailable of a port -> faulted, unavailable, until another status of the port
    three failed attempts in a row -> broken, until a success (``attempts`` opens and ends it)

Links and statuses are of one stream (``OPS_STATE``), so their order is the same in a rebuild. A row with
EVSE 0 is of the charger with all of its ports; rows of different kinds can overlap (``nevi`` merges them).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Tx
from voltgate.csms.uptime import exclusions
from voltgate.csms.uptime.signs import BACKLOG, Condition, Down, Status, Up, signs

OURS_MOST = timedelta(hours=24)
"""The same where no other charger shows that the service is back; a longer outage is a decision."""


class Kind(StrEnum):
    """Of an outage."""

    OFFLINE = "offline"
    OURS = "ours"
    FAULTED = "faulted"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"


OUTAGE = """CREATE TABLE outage (
    charger TEXT NOT NULL, evse INTEGER NOT NULL, kind TEXT NOT NULL, begins TEXT NOT NULL, ends TEXT,
    reason TEXT NOT NULL DEFAULT '', back TEXT, PRIMARY KEY (charger, evse, kind, begins))"""

PORT = """CREATE TABLE port (
    charger TEXT NOT NULL, evse INTEGER NOT NULL, connector INTEGER NOT NULL, condition TEXT NOT NULL,
    said TEXT NOT NULL DEFAULT '', first TEXT NOT NULL, PRIMARY KEY (charger, evse, connector))"""

_LINK = (Kind.OFFLINE, Kind.OURS)


def begin(  # noqa: PLR0913, PLR0917 - the columns
    tx: Tx, charger: str, evse: int, kind: Kind, at: str, reason: str = ""
) -> None:
    """Open an interval."""
    tx.run(
        "INSERT INTO outage (charger, evse, kind, begins, reason) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (charger, evse, kind, begins) DO UPDATE SET ends = NULL",
        charger, evse, str(kind), at, reason,
    )  # fmt: skip


def end(tx: Tx, charger: str, evse: int, kind: Kind, at: str) -> None:
    """End the open interval of a kind, if there is one."""
    tx.run("DELETE FROM outage WHERE charger = ? AND evse = ? AND kind = ? AND ends IS NULL AND begins >= ?",
           charger, evse, str(kind), at)  # fmt: skip
    tx.run("UPDATE outage SET ends = ? WHERE charger = ? AND evse = ? AND kind = ? AND ends IS NULL",
           at, charger, evse, str(kind))  # fmt: skip


Appeared = Callable[[Tx, str, int], None]


class Outages:
    """See Part."""

    tables: tuple[str, ...] = (
        OUTAGE,
        PORT,
        exclusions.EXCLUSION,
        "CREATE INDEX outage_open ON outage (kind, back) WHERE ends IS NULL",
        "CREATE INDEX outage_by_end ON outage (charger, ends)",
    )

    def __init__(self, ours_last: timedelta, appeared: Appeared = lambda _tx, _charger, _evse: None) -> None:
        """``ours_last``: who has not returned by then, while others have, is offline for its own reasons.

        ``appeared``: called for a connector that is heard of for the first time.
        """
        self._ours_last, self._appeared = ours_last, appeared

    def fact(self, tx: Tx, fact: Fact) -> None:
        """See Part."""
        for sign in signs(fact):
            match sign:
                case Up():
                    self._up(tx, fact)
                case Down():
                    self._down(tx, fact, sign)
                case Status():
                    self._status(tx, fact, sign)

    def tick(self, tx: Tx, at: datetime) -> None:
        """See Part: what is no longer ours is the charger's."""
        for charger, begins, back in tx.all(
            "SELECT charger, begins, back FROM outage WHERE kind = 'ours' AND ends IS NULL"
        ):
            self._no_longer_ours(tx, charger, begins, back, at)

    def decision(self, tx: Tx, decision: Decision) -> None:
        """See Part."""
        if decision.kind == "exclusion":
            exclusions.fold(tx, decision)

    # -- links ----------------------------------------------------------------------------------------------

    def _up(self, tx: Tx, fact: Fact) -> None:
        _known(tx, fact)
        at = times.text(fact.at)
        for begins, back in tx.all(
            "SELECT begins, back FROM outage WHERE charger = ? AND evse = 0 AND kind = 'ours'"
            " AND ends IS NULL",
            fact.charger,
        ):
            self._no_longer_ours(tx, fact.charger, begins, back, fact.at)
        for kind in _LINK:
            end(tx, fact.charger, 0, kind, at)
        tx.run("UPDATE outage SET back = ? WHERE kind = 'ours' AND ends IS NULL AND back IS NULL", at)

    def _down(self, tx: Tx, fact: Fact, down: Down) -> None:
        _known(tx, fact)
        is_down = tx.one(
            "SELECT 1 FROM outage WHERE charger = ? AND evse = 0 AND kind IN ('offline', 'ours')"
            " AND ends IS NULL",
            fact.charger,
        )
        if not is_down:
            kind = Kind.OURS if down.ours else Kind.OFFLINE
            begin(tx, fact.charger, 0, kind, times.text(fact.at), down.reason)

    def _no_longer_ours(self, tx: Tx, charger: str, begins: str, back: str | None, at: datetime) -> None:
        """Split an open interval at the time from which it is the charger's."""
        until = times.parsed(back) + self._ours_last if back else times.parsed(begins) + OURS_MOST
        if until < at:
            end(tx, charger, 0, Kind.OURS, times.text(until))
            begin(tx, charger, 0, Kind.OFFLINE, times.text(until), "not_returned")

    # -- statuses -------------------------------------------------------------------------------------------

    def _status(self, tx: Tx, fact: Fact, status: Status) -> None:
        said = "" if status.said is None else times.text(status.said)
        before = tx.one(
            "SELECT said FROM port WHERE charger = ? AND evse = ? AND connector = ?",
            fact.charger, status.evse, status.connector,
        )  # fmt: skip
        queued = status.said is not None and fact.at - status.said > BACKLOG
        if queued and before is not None and said < before[0]:
            return
        _known(tx, fact)
        if before is None:
            self._appeared(tx, fact.charger, status.evse)
        tx.run(
            "INSERT INTO port (charger, evse, connector, condition, said, first) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (charger, evse, connector) DO UPDATE"
            " SET condition = excluded.condition, said = excluded.said",
            fact.charger, status.evse, status.connector, str(status.condition), said, times.text(fact.at),
        )  # fmt: skip
        rows = tx.all(
            "SELECT connector, condition FROM port WHERE charger = ? AND evse = ?", fact.charger, status.evse
        )
        now = condition({connector: Condition(word) for connector, word in rows})
        for kind in (Kind.FAULTED, Kind.UNAVAILABLE):
            is_open = tx.one(
                "SELECT 1 FROM outage WHERE charger = ? AND evse = ? AND kind = ? AND ends IS NULL",
                fact.charger, status.evse, str(kind),
            )  # fmt: skip
            if is_open and now != kind.value:
                end(tx, fact.charger, status.evse, kind, times.text(fact.at))
            elif not is_open and now == kind.value:
                begin(tx, fact.charger, status.evse, kind, times.text(fact.at))


def condition(connectors: dict[int, Condition]) -> Condition:
    """Of an EVSE: its own (connector 0), else usable as long as one of its connectors is."""
    own = connectors.get(0, Condition.USABLE)
    rest = [one for connector, one in connectors.items() if connector]
    if own is not Condition.USABLE or not rest or Condition.USABLE in rest:
        return own
    return Condition.FAULTED if Condition.FAULTED in rest else Condition.UNAVAILABLE


def _known(tx: Tx, fact: Fact) -> None:
    """The charger exists since its first sign; its uptime counts from there."""
    tx.run(
        "INSERT INTO port (charger, evse, connector, condition, first) VALUES (?, 0, 0, 'usable', ?)"
        " ON CONFLICT (charger, evse, connector) DO NOTHING",
        fact.charger, times.text(fact.at),
    )  # fmt: skip
