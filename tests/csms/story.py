"""A story told to parts of the ledger: facts, decisions and ticks, folded as the ledger folds them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from voltgate.csms.ledger import store, times
from voltgate.csms.ledger.decisions import Decision
from voltgate.csms.ledger.facts import Fact
from voltgate.csms.ledger.store import Database, Part, Tx
from voltgate.csms.ledger.tables import TABLES

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
STREAMS = {"link": "OPS_STATE", "Authorize": "OCPP_EVENTS", "StatusNotification": "OPS_STATE"}


class Story:
    """Times are datetimes, or minutes after :data:`NOON`."""

    def __init__(self, database: Database, *parts: Part) -> None:
        store.prepare(database, [*TABLES, *(table for part in parts for table in part.tables)])
        self.database, self.parts, self.seq = database, parts, 0

    @contextmanager
    def tx(self) -> Iterator[Tx]:
        """One transaction."""
        with self.database.begin() as tx:
            yield tx

    def fact(
        self, at: datetime | float, action: str, body: Mapping[str, Any], charger: str = "A",
        version: str = "ocpp1.6", key: str | None = None, headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """One message of a charger."""
        self.seq += 1
        stream = STREAMS.get(action.removesuffix("Response"), "OCPP_COMMANDS" if headers else "OCPP_TX")
        fact = Fact(
            stream, self.seq, f"id-{self.seq}", f"ocpp.x.v16.{action}.{charger}", key or f"key-{self.seq}",
            charger, moment(at), "" if action == "link" else version, action, dict(body), headers or {},
        )  # fmt: skip
        with self.database.begin() as tx:
            tx.run(
                "INSERT INTO charger (id, token) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", charger, charger
            )
            for part in self.parts:
                part.fact(tx, fact)

    def up(self, at: datetime | float, charger: str = "A") -> None:
        """A charger connects."""
        self.fact(at, "link", {"state": "up"}, charger)

    def down(self, at: datetime | float, charger: str = "A", reason: str = "client") -> None:
        """A connection ends."""
        self.fact(at, "link", {"state": "down", "reason": reason}, charger)

    def status(self, at: datetime | float, status: str, evse: int = 1, charger: str = "A") -> None:
        """A StatusNotification of 1.6."""
        self.fact(
            at, "StatusNotification", {"connectorId": evse, "errorCode": "NoError", "status": status}, charger
        )

    def decide(self, at: datetime | float, kind: str, id_: str, body: Mapping[str, Any]) -> None:
        """A decision, folded before the next tick."""
        self.seq += 1
        decision = Decision(kind, id_, self.seq, times.EPOCH, "someone", moment(at), "", dict(body))
        with self.database.begin() as tx:
            text = times.text(moment(at))
            tx.run(
                "INSERT INTO decision (kind, id, seq, valid_from, body, by, at, why, tick)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                kind, id_, self.seq, times.text(times.EPOCH), orjson.dumps(body).decode(), "someone", text,
                "", text,
            )  # fmt: skip
            if kind == "charger":
                tx.run("UPDATE charger SET site = ? WHERE id = ?", body["site"], id_)
            for part in self.parts:
                part.decision(tx, decision)

    def tick(self, at: datetime | float) -> None:
        """The time passes."""
        with self.database.begin() as tx:
            for part in self.parts:
                part.tick(tx, moment(at))

    def session(self, id_: str, **columns: Any) -> None:
        """A row of ``session`` as the ledger writes it; times as elsewhere here. Marks its charger."""
        row: dict[str, Any] = {
            "charger": "A", "evse": 1, "connector": 1, "tx": id_, "token": "tag", "state": "open",
            "started": 0.0, "version": "ocpp1.6",
        } | columns  # fmt: skip
        row["heard"] = row.get("ended") or row["started"]
        row["first_heard"] = row["started"]
        moments = ("started", "ended", "first_energy", "plug_out", "heard", "first_heard", "settle_at")
        for name in moments:
            if row.get(name) is not None:
                row[name] = times.text(moment(row[name]))
        with self.database.begin() as tx:
            tx.run("DELETE FROM session WHERE id = ?", id_)
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            tx.run(f"INSERT INTO session (id, {names}) VALUES (?, {marks})", id_, *row.values())
        action = "StopTransaction" if row.get("ended") else "StartTransaction"
        self.fact(times.parsed(row["heard"]), action, {}, row["charger"])

    def rows(self, sql: str, *args: object) -> Sequence[tuple[Any, ...]]:
        """What a query finds."""
        with self.database.begin() as tx:
            return tx.all(sql, *args)


def moment(at: datetime | float) -> datetime:
    """Minutes after noon, or the time itself."""
    return at if isinstance(at, datetime) else NOON + timedelta(minutes=at)


def minutes(text: str | None) -> float | None:
    """A time of a table as minutes after noon."""
    return None if text is None else (times.parsed(text) - NOON) / timedelta(minutes=1)
