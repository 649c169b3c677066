"""CDR documents of ``OPS_CDR``: invoices with all that a session was derived from, and credits.

The streams of facts forget after some weeks; the document does not. It holds the rows of the session, and its
raw facts, from which the bill can be computed again. Both are compressed. A document beyond ``MOST``, one of
thousands of facts, is published in parts: NATS takes messages of 1 MiB.
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import orjson

from voltgate.csms.ledger import sources, tables
from voltgate.csms.ledger.facts import Message, token
from voltgate.csms.ledger.store import Tx
from voltgate.csms.ledger.told import Source

MOST = 900_000  # bytes of a message
PART = "ops-part"  # header ``2/3`` of the second of three; their bodies joined are the document

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
    entries = sources.entries(sorted(facts, key=lambda one: (one.stream, one.seq)))
    return {"rows": packed(rows), "inputs": inputs, "facts": packed(entries)}


def packed(value: Any) -> str:
    """JSON, compressed, as text."""
    return base64.b64encode(zlib.compress(orjson.dumps(value))).decode()


def opened(text: str) -> Any:
    """The inverse of :func:`packed`."""
    return orjson.loads(zlib.decompress(base64.b64decode(text)))


def publish(tx: Tx, cdr: Cdr, content: dict[str, Any], prefix: str) -> None:
    """Keep a document and put it into the outbox: under the CDR's id, a second part with ``#2`` behind it."""
    body = orjson.dumps({"cdr": asdict(cdr)} | content, option=orjson.OPT_SORT_KEYS)
    keep(tx, cdr, body)
    headers = {"ce-specversion": "1.0", "ce-id": cdr.id, "ce-source": "/csms", "ce-type": "ops.cdr"}
    headers |= {"ce-time": cdr.issued, "ce-datacontenttype": "application/json"}
    subject, count = f"{prefix}.cdr.{token(cdr.charger)}", -(-len(body) // MOST)
    if count == 1:
        tx.send(cdr.id, subject, headers, body)
        return
    for part in range(count):
        named = headers | {PART: f"{part + 1}/{count}"}
        tx.send(f"{cdr.id}#{part + 1}", subject, named, body[part * MOST : (part + 1) * MOST])


class Parts:
    """Joins the parts of documents, in whatever order they come."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, bytes]] = {}

    def document(self, message: Message) -> bytes | None:
        """The document that a message completes, mostly alone; None: parts are missing."""
        part = message.headers.get(PART)
        if part is None:
            return message.data
        number, count = map(int, part.split("/"))
        id_ = message.headers["ce-id"]
        parts = self._waiting.setdefault(id_, {})
        parts[number] = message.data
        if len(parts) < count:
            return None
        del self._waiting[id_]
        return b"".join(parts[one] for one in sorted(parts))


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
    found: list[dict[str, Any]] = opened(document["facts"])
    return found


def restore(tx: Tx, cdr: Cdr, document: dict[str, Any]) -> None:
    """Write the rows of an invoice in place of those of an earlier revision."""
    rows = opened(document["rows"])
    for table, column in ROWS.items():
        tx.run(f"DELETE FROM {table} WHERE {column} = ?", cdr.session)
        found = rows[table]
        marks = ", ".join("?" * len(found["columns"]))
        tx.many(f"INSERT INTO {table} ({', '.join(found['columns'])}) VALUES ({marks})", found["rows"])


def count_number(tx: Tx, cdr: Cdr) -> None:
    """Numbers go on after those of documents."""
    year, last = map(int, cdr.number.rsplit("-", 2)[-2:])
    tx.run(
        "INSERT INTO number (site, year, last) VALUES (?, ?, ?) ON CONFLICT (site, year) DO UPDATE "
        "SET last = CASE WHEN number.last < excluded.last THEN excluded.last ELSE number.last END",
        cdr.site, year, last,
    )  # fmt: skip
