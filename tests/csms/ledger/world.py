"""Books without NATS: facts with the headers that the gateway gives them, ticks on the minute."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from voltgate.config_csms import Csms
from voltgate.csms.ledger import decisions, store, ticks, times
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.books import Books
from voltgate.csms.ledger.facts import Message, token
from voltgate.csms.ledger.pseudonyms import Pseudonyms
from voltgate.csms.tariffs import money

KEY = Pseudonyms(b"world")
CREATED = "2026-01-01T00:00:00.000Z"
STREAMS = ("OCPP_TX", "OPS_STATE", "OCPP_COMMANDS", "OCPP_EVENTS", "OPS_SET", "OPS_TICK")
_TX = {"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"}
_COMMANDS = {"GetTransactionStatus", "RemoteStartTransaction", "RequestStartTransaction"}


@dataclass(frozen=True)
class Said:
    """One fact as a test writes it. ``at``: receipt. ``key``, ``id``: where the test decides them."""

    at: datetime
    action: str
    body: dict[str, Any]
    version: str = "v16"
    charger: str = "CP1"
    connection: str = "c1"
    key: str = ""
    id: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def stream(self) -> str:
        name = self.action.removesuffix("Response")
        if name in _TX:
            return "OCPP_TX"
        if name in _COMMANDS:
            return "OCPP_COMMANDS"
        return "OCPP_EVENTS" if name == "Authorize" else "OPS_STATE"

    def business_key(self) -> str:
        """As in docs/contract.md 3.3."""
        if self.key:
            return self.key
        data = orjson.dumps(self.body)
        if self.action == "TransactionEvent":
            info = self.body["transactionInfo"]["transactionId"]
            return f"{self.charger}/{info}/{self.body['seqNo']}/{self.body['eventType']}"
        if self.stream == "OCPP_TX":
            made = f"{self.charger}/{self.action}/{hashlib.sha256(data).hexdigest()[:32]}"
            late = any(year in data.decode() for year in ("202", "203"))
            return made if late else f"{made}/{self.connection}"
        return (
            f"{self.charger}/{self.connection}/{hashlib.sha256(data + str(self.at).encode()).hexdigest()[:8]}"
        )


class World:
    """A ledger in virtual time."""

    def __init__(self, url: str = "sqlite:///:memory:", batch: int = 500, **csms: Any) -> None:
        self.csms = Csms(**csms)
        self.books = Books(store.opened(url), Settings(self.csms), KEY)
        for stream in STREAMS:
            self.books.begin_at(stream, CREATED)
        self._seq: Counter[str] = Counter()
        self._batch = batch
        self._decided: list[Message] = []
        self.documents: list[bytes] = []

    def message(
        self, stream: str, subject: str, headers: dict[str, str], body: bytes, at: datetime
    ) -> Message:
        self._seq[stream] += 1
        return Message(stream, self._seq[stream], subject, headers, body, at.timestamp())

    def fact(self, said: Said) -> Message:
        data, key = orjson.dumps(said.body), said.business_key()
        kind = {"OCPP_TX": "tx", "OCPP_COMMANDS": "command"}.get(said.stream, "event")
        subject = f"ocpp.{kind}.{said.version}.{said.action}.{token(said.charger)}"
        if said.action == "link":
            subject = f"ops.link.{token(said.charger)}"
        msg_id = hashlib.sha256(f"{key}\n".encode() + data).hexdigest()[:32]
        if said.action.endswith("Response"):
            msg_id += "/response"
        headers = {
            "ce-id": f"{said.connection}/{self._seq[said.stream]}/{said.stream}",
            "ce-time": times.text(said.at),
            "ocpp-session": said.connection,
            "ocpp-key": key,
        } | said.headers
        if said.stream in ("OCPP_TX", "OCPP_COMMANDS"):
            headers["Nats-Msg-Id"] = said.id or msg_id
        return self.message(said.stream, subject, headers, data, said.at)

    def decide(
        self,
        kind: str,
        id_: str,
        body: dict[str, Any],
        at: datetime,
        why: str = "",
        valid_from: datetime | None = None,
    ) -> None:
        data = decisions.encoded(by="ann", at=at, body=body, why=why, valid_from=valid_from)
        self._decided.append(self.message("OPS_SET", decisions.subject("ops", kind, id_), {}, data, at))

    def fold(self, facts: Iterable[Said]) -> None:
        messages = [self.fact(said) for said in facts]
        for first in range(0, len(messages), self._batch):
            self.books.fold(messages[first : first + self._batch])

    def tick(self, at: datetime) -> None:
        body = ticks.encoded(at, self.books.positions)
        self.books.tick(self.message("OPS_TICK", "ops.tick", {}, body, at), self._decided)
        self._decided = []

    def run(self, facts: Sequence[Said], until: datetime, every: timedelta = timedelta(minutes=1)) -> None:
        """Fold facts in the order of receipt, with ticks between them."""
        waiting = sorted(facts, key=lambda said: said.at)
        at = (waiting[0].at if waiting else until) - timedelta(seconds=1)
        while at <= until:
            self.fold([said for said in waiting if said.at < at])
            waiting = [said for said in waiting if said.at >= at]
            self.tick(at)
            at += every
        self.fold(waiting)

    def sessions(self) -> list[dict[str, Any]]:
        """Sessions in the order of their first fact, as a person reads them."""
        names = (
            "id", "charger", "evse", "connector", "tx", "token", "started", "first_energy", "ended",
            "plug_out", "reason", "state", "mwh", "method", "peak_w", "soc_from", "soc_to", "charging_s",
            "idle_s", "cost", "currency", "flags", "revision", "tariff",
        )  # fmt: skip
        with self.books.begin() as tx:
            rows = tx.all(f"SELECT {', '.join(names)} FROM session ORDER BY first_heard, started, id")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for one in found:
            one["wh"] = one["mwh"] / 1000
            one["flags"] = one["flags"].split()
            one["cost"] = None if one["cost"] is None else money.text(one["cost"], one["currency"])
        return found

    def cdrs(self) -> list[tuple[str, str, str, int]]:
        """(number, kind, cost, revision) of every document."""
        with self.books.begin() as tx:
            rows = tx.all("SELECT number, kind, cost, currency, revision FROM cdr ORDER BY number")
        return [(number, kind, money.text(cost, cur), rev) for number, kind, cost, cur, rev in rows]
