"""The database: SQLite by default, PostgreSQL by its URL; one writer, and the words its tables are made with.

Everything of one batch is one transaction: effects, positions and outbox rows. SQL is the subset that both
databases share, with ``?`` as the placeholder; ``INTEGER`` has 64 bits and ``BLOB`` holds bytes on both. All
calls come from the ledger's one writer thread: a batch takes tens of milliseconds, which the event loop of
the console must not wait for, and a hop per statement would cost more than the statement.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import orjson

from voltgate.csms.ledger.decisions import Decision

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from voltgate.csms.ledger.facts import Fact

Row = tuple[Any, ...]
BUSY_SECONDS = 10.0
# A batch changes thousands of pages, most of them again and again: 64 MB of them go into the file together.
PRAGMAS = (
    "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-49152",
    "wal_autocheckpoint=16000",
)  # fmt: skip


# Tables that get a row for each reading, with nothing long in it: one tree of pages instead of two.
BY_KEY = frozenset({"sample"})


class StoreError(Exception):
    """The database cannot be used; the text says what to do."""


class LostError(StoreError):
    """The connection to the database has ended: what was not committed is folded again over another one."""


class FencedError(Exception):
    """Another ledger writes to this database."""


class Tx(Protocol):
    """Inside one transaction of the one writer."""

    def run(self, sql: str, *args: object) -> int:
        """Execute; the number of rows that were written."""

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute once for each row."""

    def all(self, sql: str, *args: object) -> list[Row]:
        """Every row of a query."""

    def one(self, sql: str, *args: object) -> Row | None:
        """The first row of a query; None: it has none."""

    def send(self, id: str, subject: str, headers: Mapping[str, str], body: bytes) -> None:
        """Publish after the commit, at least once; readers deduplicate by ``id``."""


class Part(Protocol):
    """What folds facts into tables of its own.

    Its state is in its tables. A cache is allowed: after a rollback the ledger goes on with new parts. It
    reads no clock: time comes from facts and ticks. Between two ticks it must not join streams: the order of
    facts of different streams is not the same in a rebuild.
    """

    tables: tuple[str, ...]
    """CREATE statements of its tables and indexes, portable."""

    def fact(self, tx: Tx, fact: "Fact") -> None:
        """Fold one fact."""

    def tick(self, tx: Tx, at: datetime) -> None:
        """Act on the time; every stream is folded to the tick's positions."""

    def decision(self, tx: Tx, decision: Decision) -> None:
        """Fold one decision, at a tick, before :meth:`tick`."""


class Database(Protocol):
    """An open database."""

    def begin(self) -> "AbstractContextManager[Tx]":
        """One transaction; an exception rolls it back."""

    def rows(self, table: str) -> Iterator[Row]:
        """Every row of a table, one after the other, in any order; inside :meth:`begin`."""

    def close(self) -> None:
        """Close it."""


OUTBOX = """CREATE TABLE outbox (
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL)"""
ENQUEUE = "INSERT INTO outbox (id, subject, headers, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"


class SqliteTx:
    """See Tx."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute, self._many = connection.execute, connection.executemany

    def run(self, sql: str, *args: object) -> int:
        """See Tx."""
        return self._execute(sql, args).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """See Tx."""
        self._many(sql, rows)

    def all(self, sql: str, *args: object) -> list[Row]:
        """See Tx."""
        return self._execute(sql, args).fetchall()

    def one(self, sql: str, *args: object) -> Row | None:
        """See Tx."""
        row: Row | None = self._execute(sql, args).fetchone()
        return row

    def send(self, id: str, subject: str, headers: Mapping[str, str], body: bytes) -> None:
        """See Tx."""
        self.run(ENQUEUE, id, subject, orjson.dumps(dict(headers)).decode(), body)


class Sqlite:
    """A file, in WAL mode: readers do not wait. A tail lost with the machine is folded again."""

    def __init__(self, path: str) -> None:
        try:
            self._connection = sqlite3.connect(
                path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            for pragma in PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise StoreError(f"csms.database: {path}: {error}") from None
        self.path = path

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """See Database."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTx(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:  # no room, locked by another process, not ours
            raise StoreError(f"csms.database: {self.path}: {error}") from None

    def rows(self, table: str) -> Iterator[Row]:
        """See Database."""
        yield from self._connection.execute(f"SELECT * FROM {table}")

    def backup(self, target: Path) -> None:
        """Write a consistent copy while the ledger works. ``target`` must not exist."""
        self._connection.execute("VACUUM INTO ?", (str(target),))

    def close(self) -> None:
        """See Database."""
        self._connection.close()


def opened(url: str) -> Database:
    """The database of ``csms.database``. Raises StoreError."""
    if url.startswith("sqlite:///"):
        return Sqlite(sqlite_path(url))
    from voltgate.csms.ledger.postgres import Postgres  # noqa: PLC0415 - psycopg is needed for it alone

    return Postgres(url)


def existing(url: str) -> Database:
    """The same; a file that is not there is not made. Raises StoreError."""
    return Sqlite(existing_file(url)) if url.startswith("sqlite:///") else opened(url)


def existing_file(url: str) -> str:
    """The file of a ``sqlite:///`` URL. Raises StoreError where there is none."""
    path = sqlite_path(url)
    if not Path(path).is_file():
        raise StoreError(
            f"csms.database: {path}: no such file (that of `voltgate dev` is csms.db in its data folder:"
            " VOLTGATE_CSMS__DATABASE=sqlite:///voltgate-data/csms.db)"
        )
    return path


def sqlite_path(url: str) -> str:
    """The file of ``sqlite:///file`` (relative) or ``sqlite:////file``."""
    return unquote(url.removeprefix("sqlite:///"))


def sqlite_ddl(statement: str) -> str:
    """A CREATE statement in SQLite's words: types are checked, and short rows are kept by their key."""
    table = table_name(statement)
    if not table:
        return statement
    return f"{statement} STRICT" + (", WITHOUT ROWID" if table in BY_KEY else "")


# -- migrations -------------------------------------------------------------------------------------------

MIGRATIONS: tuple[tuple[str, ...], ...] = ()
"""Of released schemas: statements that lead from one to the next. A new database has the last at once."""


def prepare(database: Database, tables: Sequence[str]) -> None:
    """Make the tables, or bring those of an earlier release up to date. Raises StoreError."""
    ddl = sqlite_ddl if isinstance(database, Sqlite) else str
    with database.begin() as tx:
        tx.run("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY)")
        (done,) = tx.one("SELECT COALESCE(MAX(number), -1) FROM migration") or (-1,)
        if done > len(MIGRATIONS):
            raise StoreError(
                f"csms.database was written by a later release (migration {done}): use that release"
            )
        if done < 0:
            for statement in (OUTBOX, *tables):
                tx.run(ddl(statement))
            tx.run("INSERT INTO migration (number) VALUES (?)", len(MIGRATIONS))
        for number in range(max(done, 0), len(MIGRATIONS)) if done >= 0 else ():
            for statement in MIGRATIONS[number]:
                tx.run(ddl(statement))
            tx.run("INSERT INTO migration (number) VALUES (?)", number + 1)


def table_name(statement: str) -> str:
    """The table that a CREATE TABLE makes; "" for an index."""
    found = re.match(r"\s*CREATE TABLE (\w+)", statement)
    return found[1] if found else ""
