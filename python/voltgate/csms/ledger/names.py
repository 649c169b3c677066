"""Names of sessions: what facts call them, which may repeat and may be several.

``id:`` transaction ids, ``key:`` ocpp-keys of starts, ``start:`` what makes two starts of 1.6 the same.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from voltgate.csms.ledger import times
from voltgate.csms.ledger.session import State
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import Source, Told

_EARLY = timedelta(seconds=120)  # a message may be this much older than its session's start


@dataclass(frozen=True, slots=True)
class Known:
    """The part of a session's row that placing needs."""

    id: str
    state: State
    started: str | None
    ended: str | None
    flags: str


def known(tx: Tx, id_: str) -> Known:
    """The session with this id. Raises LookupError."""
    row = tx.one("SELECT id, state, started, ended, flags FROM session WHERE id = ?", id_)
    if row is None:
        raise LookupError(id_)
    return Known(row[0], State(row[1]), *row[2:])


def last(tx: Tx, charger: str, alias: str, source: Source, one: Told) -> Known | None:
    """The session with a name. Names repeat: the last that had started when the message was made."""
    return named(tx, charger, alias, source, one)[0]


def named(tx: Tx, charger: str, alias: str, source: Source, one: Told) -> tuple[Known | None, bool]:
    """The same, and whether several have this name. A message that one of them has already is repeated."""
    rows = tx.all(
        "SELECT s.id, s.state, s.started, s.ended, s.flags FROM alias a JOIN session s ON s.id = a.session "
        "WHERE a.charger = ? AND a.alias = ? ORDER BY s.first_heard, s.id",
        charger, alias,
    )  # fmt: skip
    found = [Known(row[0], State(row[1]), *row[2:]) for row in rows]
    if len(found) > 1:
        has = "SELECT 1 FROM said WHERE session = ? AND id = ?"
        at = times.text((one.at or _latest(one) or one.received) + _EARLY)
        begun = [known for known in found if known.started is None or known.started <= at]
        having = [known for known in found if tx.one(has, known.id, source.id) is not None]
        found = having or begun or found
    return (found[-1] if found else None), len(rows) > 1


def _latest(one: Told) -> datetime | None:
    return max((point.at for point in one.points if point.at is not None), default=None)


def give(tx: Tx, charger: str, alias: str, session: str) -> None:
    """Give a session a name."""
    tx.run(
        "INSERT INTO alias (charger, alias, session) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        charger, alias, session,
    )  # fmt: skip
