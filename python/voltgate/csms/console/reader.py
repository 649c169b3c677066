"""The ledger's tables, read-only, in a few threads: one connection each, so the event loop never waits.

A query is one statement in the SQL that both databases share (``ledger/store``). Long answers are read in
pieces, each a query of its own: nothing keeps the writer's log from being reused.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from voltgate.csms.ledger.store import Row, StoreError, sqlite_path

T = TypeVar("T")
Query = Callable[..., list[Row]]
"""``query(sql, *args)``: every row."""
THREADS = 4
BUSY_SECONDS = 5.0


class ReadTx:
    """A Tx that only reads; each query sees what is committed then."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def all(self, sql: str, *args: object) -> list[Row]:
        """See Tx."""
        return self._query(sql, *args)

    def one(self, sql: str, *args: object) -> Row | None:
        """See Tx."""
        rows = self._query(sql, *args)
        return rows[0] if rows else None

    def run(self, sql: str, *args: object) -> int:
        """Not here."""
        raise TypeError("a console does not write to the ledger's tables")

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Not here."""
        raise TypeError("a console does not write to the ledger's tables")

    def send(self, id: str, subject: str, headers: Mapping[str, str], body: bytes) -> None:
        """Not here."""
        raise TypeError("a console does not write to the ledger's tables")


class _Connection(Protocol):
    def all(self, sql: str, args: tuple[object, ...]) -> list[Row]: ...
    def close(self) -> None: ...


class _Sqlite:
    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()
        self._connect()

    def _connect(self) -> None:
        try:
            self._file = self._path.stat()
            self._connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=ro",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"csms.database: {self._path}: {error}: is the ledger running?") from None

    def all(self, sql: str, args: tuple[object, ...]) -> list[Row]:
        try:
            if not os.path.samestat(self._path.stat(), self._file):  # a rebuild has replaced it
                self._connection.close()
                self._connect()
            return self._connection.execute(sql, args).fetchall()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"csms.database: {error}") from None

    def close(self) -> None:
        self._connection.close()


class _Postgres:
    def __init__(self, url: str) -> None:
        from voltgate.csms.ledger.postgres import translated  # noqa: PLC0415 - says if psycopg is missing

        self._translated, self._url = translated, url
        self._connection = self._connected()

    def _connected(self) -> Any:
        import psycopg  # noqa: PLC0415

        try:
            connection = psycopg.connect(self._url, autocommit=True)
            connection.execute("SET default_transaction_read_only = on")
        except psycopg.Error as error:
            raise StoreError(f"csms.database: {str(error).strip().splitlines()[0]}") from None
        return connection

    def all(self, sql: str, args: tuple[object, ...]) -> list[Row]:
        import psycopg  # noqa: PLC0415

        if self._connection.closed:
            self._connection = self._connected()
        try:
            rows: list[Row] = self._connection.execute(self._translated(sql), args or None).fetchall()
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError):
                self._connection.close()  # the server was restarted: the next query connects again
            raise StoreError(f"csms.database: {str(error).strip().splitlines()[0]}") from None
        return rows

    def close(self) -> None:
        self._connection.close()


class Reader:
    """The database of ``csms.database``. Queries raise StoreError while it cannot be read."""

    def __init__(self, url: str, threads: int = THREADS) -> None:
        self._url = url
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="console-reader")
        self._mine = threading.local()
        self._open: list[_Connection] = []

    async def run(self, work: Callable[[Query], T]) -> T:
        """Do ``work`` in a thread, with the queries that it makes one after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, self._all)

    async def all(self, sql: str, *args: object) -> list[Row]:
        """Every row of a query."""
        return await self.run(lambda query: query(sql, *args))

    async def one(self, sql: str, *args: object) -> Row | None:
        """The first row of a query; None: it has none."""
        rows = await self.all(sql, *args)
        return rows[0] if rows else None

    def _all(self, sql: str, *args: object) -> list[Row]:
        connection: _Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._connect()
            self._open.append(connection)
        return connection.all(sql, args)

    def _connect(self) -> _Connection:
        if not self._url.startswith("sqlite:///"):
            return _Postgres(self._url)
        return _Sqlite(sqlite_path(self._url))

    def close(self) -> None:
        """Wait for open queries and close the connections."""
        self._threads.shutdown()
        for connection in self._open:
            connection.close()
