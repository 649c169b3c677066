"""Decisions as the database has them: what was decided about something at a time."""

from datetime import datetime
from typing import Any

import orjson

from voltgate.csms.ledger import times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.store import Tx


def keep(tx: Tx, decision: Decision, tick: datetime) -> None:
    """Add a revision."""
    tx.run(
        "INSERT INTO decision (kind, id, seq, valid_from, body, by, at, why, tick) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, id, seq) DO NOTHING",
        decision.kind, decision.id, decision.seq, times.text(decision.valid_from),
        orjson.dumps(decision.body).decode(), decision.by, times.text(decision.at), decision.why,
        times.text(tick),
    )  # fmt: skip


def is_any(tx: Tx, kind: str) -> bool:
    """Whether anything of a kind was ever decided."""
    return tx.one("SELECT 1 FROM decision WHERE kind = ? LIMIT 1", kind) is not None


def is_known(tx: Tx, kind: str, id_: str) -> bool:
    """Whether there is an earlier revision."""
    return tx.one("SELECT seq FROM decision WHERE kind = ? AND id = ?", kind, id_) is not None


def revision_of(tx: Tx, kind: str, id_: str, at: datetime) -> tuple[int, dict[str, Any]] | None:
    """(revision, body) of what is valid at a time: of several the last decided."""
    row = tx.one(
        "SELECT seq, body FROM decision WHERE kind = ? AND id = ? AND valid_from <= ? "
        "ORDER BY seq DESC LIMIT 1",
        kind, id_, times.text(at),
    )  # fmt: skip
    return None if row is None else (row[0], orjson.loads(row[1]))


def body_of(tx: Tx, kind: str, id_: str, at: datetime) -> dict[str, Any] | None:
    """The body of what is valid at a time."""
    found = revision_of(tx, kind, id_, at)
    return None if found is None else found[1]
