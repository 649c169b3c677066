"""CDR documents of ``OPS_CDR``: invoices with all that a session was derived from, and credits.

The streams of facts forget after some weeks; the document does not. It holds the rows of the session, and its
raw facts (compressed), from which the bill can be computed again.
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import orjson

from voltgate.csms.ledger import sources, tables
from voltgate.csms.ledger.facts import token
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import Source

# Tables whose rows a document brings along, with the column that names the session.
ROWS = {"session": "id", "alias": "session", "said": "session", "sample": "session", "line": "session"}


@dataclass(frozen=True, slots=True)
class Cdr:
    """The head of a document. ``cost`` in 1/10,000 of the minor unit, with tax; ``issued``: its tick."""

    id: str
    number: str
    site: str
    session: str
    charger: str
    revision: int
    kind: str
    cost: int
    currency: str
    mwh: int
    issued: str


_COLUMNS = ", ".join(field.name for field in fields(Cdr))


def of_session(tx: Tx, session: str, facts: Sequence[Source], inputs: dict[str, Any]) -> dict[str, Any]:
    """The content of an invoice, from rows that are written already."""
    rows = {}
    for table, column in ROWS.items():
        picked = [name for name in tables.columns(table) if name != "body"]
        found = tx.all(f"SELECT {', '.join(picked)} FROM {table} WHERE {column} = ?", session)
        rows[table] = {"columns": picked, "rows": sorted(map(list, found), key=repr)}
    packed = zlib.compress(
        orjson.dumps(sources.entries(sorted(facts, key=lambda one: (one.stream, one.seq))))
    )
    return {"rows": rows, "inputs": inputs, "facts": base64.b64encode(packed).decode()}


def publish(tx: Tx, cdr: Cdr, content: dict[str, Any], prefix: str) -> None:
    """Keep a document and put it into the outbox; its message id is the CDR's."""
    body = orjson.dumps({"cdr": asdict(cdr)} | content, option=orjson.OPT_SORT_KEYS)
    keep(tx, cdr, body)
    headers = {"ce-specversion": "1.0", "ce-id": cdr.id, "ce-source": "/csms", "ce-type": "ops.cdr"}
    headers |= {"ce-time": cdr.issued, "ce-datacontenttype": "application/json"}
    tx.send(cdr.id, f"{prefix}.cdr.{token(cdr.charger)}", headers, body)


def keep(tx: Tx, cdr: Cdr, body: bytes) -> None:
    """The row of a document."""
    marks = ", ".join("?" * (len(fields(Cdr)) + 1))
    tx.run(
        f"INSERT INTO cdr ({_COLUMNS}, document) VALUES ({marks}) ON CONFLICT (id) DO NOTHING",
        *(getattr(cdr, field.name) for field in fields(Cdr)), body,
    )  # fmt: skip


def of(tx: Tx, session: str) -> list[Cdr]:
    """The documents of a session, in their order."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM cdr WHERE session = ?", session)
    return sorted((Cdr(*row) for row in rows), key=lambda one: (one.revision, one.kind != "invoice"))


def facts(tx: Tx, cdr: str) -> list[dict[str, Any]]:
    """The raw facts of an invoice."""
    found = document(tx, cdr)
    return [] if found is None else unpacked(found)


def document(tx: Tx, cdr: str) -> dict[str, Any] | None:
    """A document by its id."""
    row = tx.one("SELECT document FROM cdr WHERE id = ?", cdr)
    found: dict[str, Any] | None = None if row is None else orjson.loads(row[0])
    return found


def unpacked(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The raw facts in a document."""
    found: list[dict[str, Any]] = orjson.loads(zlib.decompress(base64.b64decode(document["facts"])))
    return found


def restore(tx: Tx, cdr: Cdr, document: dict[str, Any]) -> None:
    """Write the rows of an invoice in place of those of an earlier revision."""
    for table, column in ROWS.items():
        tx.run(f"DELETE FROM {table} WHERE {column} = ?", cdr.session)
        found = document["rows"][table]
        marks = ", ".join("?" * len(found["columns"]))
        for row in found["rows"]:
            tx.run(f"INSERT INTO {table} ({', '.join(found['columns'])}) VALUES ({marks})", *row)


def count_number(tx: Tx, cdr: Cdr) -> None:
    """Numbers go on after those of documents."""
    year, last = map(int, cdr.number.rsplit("-", 2)[1:])
    tx.run(
        "INSERT INTO number (site, year, last) VALUES (?, ?, ?) ON CONFLICT (site, year) DO UPDATE "
        "SET last = CASE WHEN number.last < excluded.last THEN excluded.last ELSE number.last END",
        cdr.site, year, last,
    )  # fmt: skip
