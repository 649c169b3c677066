"""The same facts, whatever happens to the process between them: one database."""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from csms.ledger import test_traps as traps
from csms.ledger.world import CREATED, KEY, STREAMS, Said, World
from voltgate.config_csms import Csms
from voltgate.csms.ledger import store, ticks
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.books import Books, parts_of
from voltgate.csms.ledger.facts import Message
from voltgate.csms.ledger.store import Database, FencedError, Row, Tx

KILLS = 1000


class Killed(Exception):
    """The process ends here."""


@dataclass
class Watched:
    """A database; ``before`` is called with each statement of its transactions."""

    database: Database
    before: Callable[[Tx, str, tuple[object, ...]], None]

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        with self.database.begin() as tx:
            yield _Watched(tx, self.before)

    def rows(self, table: str) -> Iterator[Row]:
        return self.database.rows(table)

    def close(self) -> None:
        self.database.close()


class _Watched:
    """See Tx."""

    def __init__(self, tx: Tx, before: Callable[[Tx, str, tuple[object, ...]], None]) -> None:
        self._tx, self._before = tx, before

    def run(self, sql: str, *args: object) -> int:
        self._before(self._tx, sql, args)
        return self._tx.run(sql, *args)

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        for args in rows:
            self.run(sql, *args)

    def all(self, sql: str, *args: object) -> list[Row]:
        self._before(self._tx, sql, args)
        return self._tx.all(sql, *args)

    def one(self, sql: str, *args: object) -> Row | None:
        self._before(self._tx, sql, args)
        return self._tx.one(sql, *args)

    def send(self, id: str, subject: str, headers: Mapping[str, str], body: bytes) -> None:
        self._before(self._tx, store.ENQUEUE, (id, subject, "", body))
        self._tx.send(id, subject, headers, body)


class Mortal(Watched):
    """A database whose process is killed at a statement."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, self._count)
        self.left = -1
        """Statements until the end; never, if negative."""

    def _count(self, *_: object) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


def sins() -> list[Said]:
    """Every trap at once, each at a charger of its own."""
    facts: list[Said] = []
    for number, param in enumerate(traps.cases()):
        case, version = param.values
        said = traps.said(case, version)
        if all((one.at.year, one.at.month) == (2026, 5) for one in said):
            facts += [
                replace(
                    one,
                    charger=f"{one.charger}-{number}",
                    connection=f"{one.connection}-{number}",
                    key=f"{one.key}-{number}" if one.key else "",
                )
                for one in said
            ]
    return sorted(facts, key=lambda one: one.at)


def batches(world: World, facts: list[Said], seed: int) -> Iterator[list[Message] | Message]:
    """Messages in random batches, and a tick a minute."""
    chance = random.Random(seed)
    waiting = [*facts]
    at = waiting[0].at - timedelta(seconds=1)
    last = waiting[-1].at + timedelta(minutes=10)
    while at < last:
        due = [said for said in waiting if said.at < at]
        waiting = waiting[len(due) :]
        while due:
            size = chance.choice((1, 2, 5, 50, 500))
            yield [world.fact(said) for said in due[:size]]
            due = due[size:]
        yield world.message("OPS_TICK", "ops.tick", {}, ticks.encoded(at, {}), at)
        at += timedelta(minutes=5)


def opened(database: Database) -> Books:
    books = Books(database, Settings(Csms()), KEY)
    for stream in STREAMS:
        books.begin_at(stream, CREATED)
    return books


def fed(books: Books, one: list[Message] | Message) -> None:
    if isinstance(one, Message):
        books.tick(one, [])
    else:
        books.fold(one)


@pytest.mark.parametrize("created", ["", CREATED])
def test_a_ledger_that_was_slow_to_begin_does_not_set_another_back(tmp_path: Path, created: str) -> None:
    """It has read the positions of a new database, or of a stream before it was made anew."""
    url, anew = f"sqlite:///{tmp_path}/csms.db", "2026-06-01T00:00:00.000Z"
    if created:
        opened(store.opened(url)).close()
    slow, quick = (Books(store.opened(url), Settings(Csms()), KEY) for _ in range(2))
    for stream in STREAMS:
        quick.begin_at(stream, anew)
    world = World()
    quick.fold([world.fact(said) for said in sins() if said.stream == "OCPP_TX"])
    with pytest.raises(FencedError):
        slow.begin_at("OCPP_TX", anew)
    assert Books(store.opened(url), Settings(Csms()), KEY).begin_at("OCPP_TX", anew) > 0


def test_a_thousand_kills_make_the_database_of_one_clean_run(tmp_path: Path) -> None:
    facts = sins()
    clean = opened(store.opened(f"sqlite:///{tmp_path}/clean.db"))
    for one in batches(World(), facts, 1):
        fed(clean, one)
    chance = random.Random(2)
    mortal = Mortal(store.opened(f"sqlite:///{tmp_path}/killed.db"))
    books, kills = opened(mortal), 0
    for one in batches(World(), facts, 3):
        statements = 4
        while True:
            mortal.left = chance.randrange(statements)
            try:
                fed(books, one)
                break
            except Killed:
                kills += 1
                statements *= 2  # until it gets through
                mortal.left = -1
                books = opened(mortal)
    mortal.left = -1
    assert kills >= KILLS
    assert books.digest() == clean.digest()
    mortal.close()
    clean.close()


def test_a_rebuild_from_documents_and_facts_makes_the_database_of_the_first_run(tmp_path: Path) -> None:
    facts = sins()
    first = opened(store.opened(f"sqlite:///{tmp_path}/first.db"))
    for one in batches(World(), facts, 1):
        fed(first, one)
    with first.begin() as tx:
        documents = [body for (body,) in tx.all("SELECT document FROM cdr ORDER BY issued, revision, kind")]
    assert len(documents) > 50
    second = opened(store.opened(f"sqlite:///{tmp_path}/second.db"))
    for body in documents:
        second.take_documents([body])
    for one in batches(World(), facts, 2):
        fed(second, one)
    assert contents(second) == contents(first)
    assert second.digest() == first.digest()


def contents(books: Books) -> dict[str, list[str]]:
    with books.begin() as tx:
        names = tx.all("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: sorted(map(repr, tx.all(f"SELECT * FROM {name}")))
            for (name,) in names
            if name not in ("position", "outbox")
        }


def test_both_databases_hold_the_same(tmp_path: Path, database_url: str) -> None:
    digests = []
    for url in (f"sqlite:///{tmp_path}/first.db", database_url):
        books = opened(store.opened(url))
        for one in batches(World(), sins(), 1):
            fed(books, one)
        digests.append(books.digest())
        books.close()
    assert digests[0] == digests[1]


def test_what_was_folded_by_another_ledger_fences(database_url: str) -> None:
    one, two = opened(store.opened(database_url)), opened(store.opened(database_url))
    world = World()
    facts = [world.fact(said) for said in sins()[:2]]
    one.fold(facts[:1])
    with pytest.raises(FencedError, match="another ledger"):
        two.fold(facts)
    one.fold(facts[1:])
    one.close()
    two.close()


def test_what_no_database_can_store_stops_no_ledger(database_url: str) -> None:
    """A charger may send any integer and NUL in text: the schemas allow both."""
    at, big, nul = datetime(2026, 5, 1, 10, tzinfo=UTC), 2**64 - 1, "a\0b"
    evse = {"id": big, "connectorId": 1}
    event = {"component": {"name": "Connector", "evse": evse}, "variable": {"name": "AvailabilityState"}}
    info = {"transactionId": nul}
    facts: list[tuple[str, str, dict[str, Any]]] = [
        ("v16", "BootNotification", {"chargePointVendor": nul, "chargePointModel": nul}),
        ("v16", "StatusNotification", {"connectorId": big, "status": nul, "errorCode": nul}),
        ("v201", "StatusNotification", {"evseId": 1e30, "connectorId": big, "connectorStatus": "Occupied"}),
        ("v201", "NotifyEvent", {"eventData": [event | {"actualValue": "Available"}]}),
        ("v201", "TransactionEvent", {"eventType": "Started", "seqNo": 0, "transactionInfo": info}),
        ("v201", "TransactionEvent", {"eventType": "Ended", "seqNo": 2**31 - 1, "transactionInfo": info}),
    ]
    world = World(database_url)
    world.decide("site", nul, {"name": nul, "max_power_w": big}, at)
    world.run(
        [Said(at, action, body, version, charger=nul) for version, action, body in facts],
        at + timedelta(minutes=5),
    )
    with world.books.begin() as tx:
        (row,) = tx.all("SELECT id, vendor FROM charger")
        assert row == ("a\ufffdb", "a\ufffdb")
        assert (2**63 - 1,) in tx.all("SELECT evse FROM connector")
    assert "sequence_gap" in world.sessions()[0]["flags"]
    world.books.close()


GROWS = (
    "session",
    "alias",
    "asked",
    "said",
    "sample",
    "line",
    "cdr",
    "status",
    "clock",
    "attempt",
    "slot",
    "day",
    "outage",
)
ONCE = {
    "SELECT stream, MAX(seq) FROM said WHERE body IS NULL GROUP BY stream",
    "INSERT INTO watched (session, seen, final, due) SELECT id, '', 0, first_heard FROM session",
}
"""At the start of a ledger."""


def test_no_statement_reads_the_whole_of_a_table_that_grows(tmp_path: Path) -> None:
    """Else a ledger becomes slower with each session, and is behind for ever in the end."""
    plans: dict[str, list[str]] = {}

    def explained(tx: Tx, sql: str, args: tuple[object, ...]) -> None:
        if sql not in plans and re.match("SELECT|WITH|INSERT|UPDATE|DELETE", sql):
            plans[sql] = [row[3] for row in tx.all(f"EXPLAIN QUERY PLAN {sql}", *args)]

    books = opened(Watched(store.opened(f"sqlite:///{tmp_path}/books.db"), explained))
    for one in batches(World(), sins(), seed=1):
        fed(books, one)
    assert len(plans) > 150
    partial = {
        one.split()[2]
        for part in parts_of(Settings(Csms()))
        for one in part.tables
        if re.search("INDEX.* WHERE ", one)
    }
    bad = {}
    for sql, plan in plans.items():
        names = {*GROWS, *(short for table in GROWS for short in re.findall(rf"\b{table} ([a-z])\b", sql))}
        for step in plan:
            found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?$", step)
            if found and found[1] in names and found[2] not in partial and sql not in ONCE:
                bad[sql] = plan
    assert bad == {}
