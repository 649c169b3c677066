"""The facts of sessions as rows of ``said`` and ``parked``, and as entries of documents."""

from collections.abc import Iterable
from typing import Any

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Row, Tx
from voltgate.csms.ledger.told import Source

_COLUMNS = "stream, seq, id, key, subject, at, connection, version, action, body"


def of_fact(fact: Fact) -> Source:
    """A fact as a source."""
    return Source(
        fact.stream, fact.seq, fact.id, fact.key or "", fact.subject, fact.at,
        fact.headers.get("ocpp-session", ""), fact.version, fact.action, fact.body,
    )  # fmt: skip


def keep(tx: Tx, session: str, charger: str, source: Source) -> bool:
    """Add it to what a session is derived from; False: it has been there."""
    written = tx.run(
        "INSERT INTO said (stream, seq, session, id, key, charger, at, connection, version, action, "
        "subject, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        source.stream, source.seq, session, source.id, source.key, charger, times.text(source.at),
        source.connection, source.version, source.action, source.subject, orjson.dumps(source.body),
    )  # fmt: skip
    return written > 0


def kept(tx: Tx, session: str) -> list[Source]:
    """What a session is derived from, in the order of the stream. Settled sessions have no bodies here."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM said WHERE session = ? AND body IS NOT NULL", session)
    return sorted(map(_of_row, rows), key=lambda one: (one.stream, one.seq))


def park(tx: Tx, charger: str, alias: str, source: Source) -> None:
    """Keep a fact whose session is not known."""
    tx.run(
        "INSERT INTO parked (stream, seq, charger, alias, at, source) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (stream, seq) DO NOTHING",
        source.stream, source.seq, charger, alias, times.text(source.at), orjson.dumps(entry(source)),
    )  # fmt: skip


def unpark(tx: Tx, charger: str, alias: str) -> list[Source]:
    """Take out the facts that wait for a name, in the order of the stream."""
    rows = tx.all("SELECT source FROM parked WHERE charger = ? AND alias = ?", charger, alias)
    if rows:
        tx.run("DELETE FROM parked WHERE charger = ? AND alias = ?", charger, alias)
    return sorted((of_entry(orjson.loads(one)) for (one,) in rows), key=lambda one: (one.stream, one.seq))


def entry(source: Source) -> dict[str, Any]:
    """A fact as an object of JSON."""
    return {
        "stream": source.stream, "seq": source.seq, "id": source.id, "key": source.key,
        "subject": source.subject, "at": times.text(source.at), "connection": source.connection,
        "version": source.version, "action": source.action, "body": source.body,
    }  # fmt: skip


def of_entry(found: dict[str, Any]) -> Source:
    """The fact of an entry."""
    return Source(**(found | {"at": times.parsed(found["at"])}))


def entries(sources: Iterable[Source]) -> list[dict[str, Any]]:
    """Facts as entries of a document."""
    return [entry(source) for source in sources]


def _of_row(row: Row) -> Source:
    stream, seq, id_, key, subject, at, connection, version, action, body = row
    return Source(
        stream, seq, id_, key, subject, times.parsed(at), connection, version, action, orjson.loads(body)
    )
