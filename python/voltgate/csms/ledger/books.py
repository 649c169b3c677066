"""The books: facts, ticks and decisions go in, rows and outbox entries come out. No NATS, no clock.

Every batch is one transaction that begins with a compare-and-set of the positions: of two ledgers on one
database the one that comes second is fenced. After a rollback the parts are made anew, and so are their
caches.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import structlog

from voltgate.csms.alerts import conditions
from voltgate.csms.alerts.part import Alerts
from voltgate.csms.ledger import decided, decisions, documents, facts, store, ticks, times
from voltgate.csms.ledger.acting import Acting, Settings
from voltgate.csms.ledger.asks import Asks
from voltgate.csms.ledger.chargers import Chargers
from voltgate.csms.ledger.documents import Cdr
from voltgate.csms.ledger.facts import Message, UnreadableError
from voltgate.csms.ledger.pseudonyms import Pseudonyms
from voltgate.csms.ledger.sessions import Sessions
from voltgate.csms.ledger.store import Database, FencedError, Part, Row, Tx
from voltgate.csms.ledger.ticks import Position, Tick
from voltgate.csms.tariffs.payments import Payments
from voltgate.csms.uptime.part import Uptime

log = structlog.get_logger()


def parts_of(settings: Settings) -> list[Part]:
    """Every part, in the order in which they act at a tick."""
    zone = ZoneInfo(settings.csms.timezone)
    uptime, alerts = Uptime(settings.csms), Alerts(zone, settings.prefix)
    return [Chargers(), Sessions(settings), Payments(), uptime, alerts]


class Books:
    """The ledger's side of one database. Calls must not overlap."""

    def __init__(self, database: Database, settings: Settings, pseudonyms: Pseudonyms) -> None:
        self._database, self._settings, self._pseudonyms = database, settings, pseudonyms
        self._parts = parts_of(settings)
        store.prepare(database, [table for part in self._parts for table in part.tables])
        self.positions: dict[str, Position] = {}
        with database.begin() as tx:
            for stream, created, seq in tx.all("SELECT stream, created, seq FROM position"):
                self.positions[stream] = Position(created, seq)

    def begin_at(self, stream: str, created: str) -> int:
        """The last sequence folded of a stream; a stream made anew begins at 0. Raises FencedError."""
        have = self.positions.get(stream)
        if have is not None and have.created == created:
            return have.seq
        with self._database.begin() as tx:
            if have is None:
                begun = tx.run(
                    "INSERT INTO position (stream, created, seq) VALUES (?, ?, 0) "
                    "ON CONFLICT (stream) DO NOTHING",
                    stream, created,
                )  # fmt: skip
            else:
                begun = tx.run(
                    "UPDATE position SET created = ?, seq = 0 WHERE stream = ? AND created = ? AND seq = ?",
                    created, stream, have.created, have.seq,
                )  # fmt: skip
            if not begun:
                raise FencedError(f"another ledger writes to this database ({stream} is its own by now)")
        if have is not None:
            log.warning("stream.replaced", stream=stream, created=created, folded=have.seq)
        self.positions[stream] = Position(created, 0)
        return 0

    def fold(self, messages: Sequence[Message]) -> None:
        """Fold facts, in one transaction. Raises FencedError."""
        if not messages:
            return
        with self._writing(messages) as tx:
            for message in messages:
                self._fact(tx, message)

    def _fact(self, tx: Tx, message: Message) -> None:
        try:
            fact = facts.decoded(message, self._pseudonyms)
        except UnreadableError as error:
            log.warning("fact.skipped", stream=message.stream, seq=message.seq, reason=str(error))
            return
        for part in self._parts:
            part.fact(tx, fact)

    def tick(self, tick: Message, decided_: Sequence[Message]) -> None:
        """Act at a tick: decisions first. Every stream must be folded to the tick's positions."""
        with self._writing([*decided_, tick]) as tx:
            now = ticks.decoded(tick)
            for message in decided_:
                self._decide(tx, message, now)
            conditions.measure(tx, now.gauges)
            for part in self._parts:
                part.tick(tx, now.at)
            tx.run("DELETE FROM tick")
            tx.run("INSERT INTO tick (seq, at) VALUES (?, ?)", now.seq, times.text(now.at))

    def last_tick(self) -> datetime:
        """The time of the last tick; long ago where there was none."""
        with self._database.begin() as tx:
            row = tx.one("SELECT at FROM tick")
        return times.EPOCH if row is None else times.parsed(row[0])

    def _decide(self, tx: Tx, message: Message, now: Tick) -> None:
        try:
            first = decisions.decoded(message, first=False)
            decision = decisions.decoded(message, not decided.is_known(tx, first.kind, first.id))
        except UnreadableError as error:
            log.warning("decision.skipped", seq=message.seq, reason=str(error))
            return
        decided.keep(tx, decision, now.at)
        for part in self._parts:
            part.decision(tx, decision)

    def skip(self, tick: Message) -> None:
        """Pass over a message of ``OPS_TICK`` that is not a tick, or one that cannot be folded any more."""
        with self._writing([tick]):
            pass

    @contextmanager
    def _writing(self, messages: Sequence[Message]) -> Iterator[Tx]:
        """A transaction that moves positions first: a second ledger waits there, and is fenced."""
        try:
            with self._database.begin() as tx:
                moved = self._advance(tx, messages)
                yield tx
        except BaseException:
            self._parts = parts_of(self._settings)  # no cache survives a rollback
            raise
        self.positions.update(moved)

    def _advance(self, tx: Tx, messages: Sequence[Message]) -> dict[str, Position]:
        moved: dict[str, Position] = {}
        for message in messages:
            moved[message.stream] = Position(self.positions[message.stream].created, message.seq)
        for stream, position in moved.items():
            seq = self.positions[stream].seq
            if not tx.run(
                "UPDATE position SET seq = ? WHERE stream = ? AND created = ? AND seq = ?",
                position.seq, stream, position.created, seq,
            ):  # fmt: skip
                raise FencedError(f"another ledger writes to this database ({stream} is not at {seq})")
        return moved

    # -- the outbox -----------------------------------------------------------------------------------------

    def outbox(self, most: int) -> list[Row]:
        """Entries that are not published yet: id, subject, headers, body."""
        with self._database.begin() as tx:
            return tx.all("SELECT id, subject, headers, body FROM outbox ORDER BY id LIMIT ?", most)

    def published(self, ids: Iterable[str]) -> None:
        """These are stored."""
        with self._database.begin() as tx:
            for id_ in ids:
                tx.run("DELETE FROM outbox WHERE id = ?", id_)

    # -- rebuild --------------------------------------------------------------------------------------------

    def take_documents(self, bodies: Iterable[bytes]) -> None:
        """Take documents of ``OPS_CDR`` as they are: the facts of their sessions are not folded again."""
        with self._database.begin() as tx:
            for body in bodies:
                document = orjson.loads(body)
                cdr = Cdr(**document["cdr"])
                documents.keep(tx, cdr, body)
                if cdr.kind == "invoice":
                    documents.restore(tx, cdr, document)
                documents.count_number(tx, cdr)

    def digest(self) -> str:
        """A hash of everything that was derived; neither the outbox nor the positions are."""
        total = 0  # of the hashes of all rows: the same in any order, and without keeping a row
        with self._database.begin():
            for table in self._tables():
                for row in self._database.rows(table):
                    made = hashlib.sha256(f"{table} {row!r}".encode())
                    total += int.from_bytes(made.digest())
        return f"{total % (1 << 256):064x}"

    def _tables(self) -> list[str]:
        found = [store.table_name(one) for part in self._parts for one in part.tables]
        return [name for name in found if name not in ("", "position")]

    def answer(self, what: str, question: dict[str, Any], at: datetime) -> dict[str, Any]:
        """The reply to a question of a backend. Raises UnanswerableError."""
        with self._database.begin() as tx:
            return Asks(Acting(tx, at, self._settings), self._pseudonyms).answer(what, question)

    def begin(self) -> AbstractContextManager[Tx]:
        """One transaction of a reader."""
        return self._database.begin()

    def close(self) -> None:
        """Close the database."""
        self._database.close()
