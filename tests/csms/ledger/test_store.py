"""Both databases behave the same: transactions, types, the outbox, migrations."""

from collections.abc import Callable

import pytest

from voltgate.csms.ledger import store
from voltgate.csms.ledger.store import Database, StoreError
from voltgate.csms.ledger.tables import TABLES

Open = Callable[[], Database]


def test_a_new_database_has_every_table_and_preparing_again_changes_nothing(open_database: Open) -> None:
    database = open_database()
    for _ in range(2):
        store.prepare(database, TABLES)
    with database.begin() as tx:
        assert tx.all("SELECT COUNT(*) FROM session") == [(0,)]
        assert tx.all("SELECT number FROM migration") == [(len(store.MIGRATIONS),)]


def test_an_exception_rolls_the_transaction_back(open_database: Open) -> None:
    database = open_database()
    store.prepare(database, TABLES)

    def fail() -> None:
        with database.begin() as tx:
            tx.run("INSERT INTO position (stream, created, seq) VALUES (?, ?, ?)", "S", "now", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.begin() as tx:
        assert tx.one("SELECT seq FROM position") is None


def test_rows_written_are_counted_and_integers_have_64_bits(open_database: Open) -> None:
    database = open_database()
    store.prepare(database, TABLES)
    most = (1 << 63) - 1
    with database.begin() as tx:
        assert tx.run("INSERT INTO position (stream, created, seq) VALUES (?, ?, ?)", "S", "now", most) == 1
        assert tx.run("UPDATE position SET seq = ? WHERE stream = ? AND seq = ?", 3, "S", 2) == 0
        assert tx.one("SELECT seq FROM position WHERE stream = ?", "S") == (most,)


def test_an_outbox_row_is_there_once_however_often_it_is_sent(open_database: Open) -> None:
    database = open_database()
    store.prepare(database, TABLES)
    with database.begin() as tx:
        for _ in range(2):
            tx.send("id", "ops.cdr.A", {"h": "1"}, b"\x00body")
        assert tx.all("SELECT id, subject, headers, body FROM outbox") == [
            ("id", "ops.cdr.A", '{"h":"1"}', b"\x00body")
        ]


def test_text_is_ordered_by_its_bytes(open_database: Open) -> None:
    database = open_database()
    store.prepare(database, TABLES)
    with database.begin() as tx:
        for name in ("b", "B", "a", "é", "_"):
            tx.run("INSERT INTO position (stream, created, seq) VALUES (?, ?, ?)", name, "", 0)
        assert [name for (name,) in tx.all("SELECT stream FROM position ORDER BY stream")] == [
            "B", "_", "a", "b", "é",
        ]  # fmt: skip


def test_a_database_of_a_later_release_is_refused(open_database: Open) -> None:
    database = open_database()
    store.prepare(database, TABLES)
    with database.begin() as tx:
        tx.run("INSERT INTO migration (number) VALUES (?)", len(store.MIGRATIONS) + 1)
    with pytest.raises(StoreError, match="later release"):
        store.prepare(database, TABLES)


def test_a_file_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(StoreError, match=r"csms.database: /nowhere/x.db"):
        store.opened("sqlite:////nowhere/x.db")


def test_a_migration_changes_a_database_once_and_keeps_its_rows(
    open_database: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database()
    store.prepare(database, TABLES)
    with database.begin() as tx:
        tx.run("INSERT INTO charger (id, token) VALUES (?, ?)", "CP1", "CP1")
    later = (*store.MIGRATIONS, ("ALTER TABLE charger ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",))
    monkeypatch.setattr(store, "MIGRATIONS", later)
    for _ in range(2):
        store.prepare(database, TABLES)
    with database.begin() as tx:
        assert tx.all("SELECT id, note FROM charger") == [("CP1", "none")]
        assert tx.one("SELECT MAX(number) FROM migration") == (len(later),)
