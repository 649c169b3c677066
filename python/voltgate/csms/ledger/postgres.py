"""PostgreSQL through psycopg 3 (extra ``voltgate[csms]``); the same statements as for SQLite."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any

import orjson

from voltgate.csms.ledger.store import ENQUEUE, LostError, Row, StoreError, Tx

try:
    import psycopg
except ImportError:
    raise StoreError("csms.database: PostgreSQL needs psycopg: pip install 'voltgate[csms]'") from None

# As SQLite's BEGIN IMMEDIATE: two ledgers on a new database do not make its tables together.
_ONE_WRITER = "SELECT pg_advisory_xact_lock(9480)"
_TYPES = {"INTEGER": "BIGINT", "BLOB": "BYTEA", "REAL": "DOUBLE PRECISION"}


@cache
def translated(sql: str) -> str:
    """A statement with PostgreSQL's placeholders and, in CREATE, its types."""
    words = sql.replace("%", "%%").replace("?", "%s")
    if re.match(r"\s*(CREATE|ALTER)", sql):
        words = re.sub(r"\b(INTEGER|BLOB|REAL)\b", lambda found: _TYPES[found[1]], words)
        # Text is compared by its bytes, as SQLite does.
        words = re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', words)
    return words


class PostgresTx:
    """See Tx."""

    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self._connection = connection

    def _execute(self, sql: str, args: tuple[object, ...]) -> "psycopg.Cursor[Row]":
        return self._connection.execute(translated(sql), args or None, prepare=True)

    def run(self, sql: str, *args: object) -> int:
        """See Tx."""
        return self._execute(sql, args).rowcount

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """See Tx."""
        with self._connection.cursor() as cursor:
            cursor.executemany(translated(sql), rows)

    def all(self, sql: str, *args: object) -> list[Row]:
        """See Tx."""
        return [tuple(map(_plain, row)) for row in self._execute(sql, args).fetchall()]

    def one(self, sql: str, *args: object) -> Row | None:
        """See Tx."""
        row = self._execute(sql, args).fetchone()
        return None if row is None else tuple(map(_plain, row))

    def send(self, id: str, subject: str, headers: Mapping[str, str], body: bytes) -> None:
        """See Tx."""
        self.run(ENQUEUE, id, subject, orjson.dumps(dict(headers)).decode(), body)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):  # a sum
        return int(value)
    return bytes(value) if isinstance(value, memoryview) else value


class Postgres:
    """See Database."""

    def __init__(self, url: str) -> None:
        try:
            self._connection = psycopg.connect(url, autocommit=True)
            self._connection.execute("SET synchronous_commit = on")
        except psycopg.Error as error:
            raise StoreError(f"csms.database: {str(error).strip().splitlines()[0]}") from None

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """See Database."""
        try:
            with self._connection.transaction():
                self._connection.execute(_ONE_WRITER)
                yield PostgresTx(self._connection)
        except psycopg.OperationalError as error:
            kind = LostError if self._connection.closed else StoreError
            raise kind(f"csms.database: {str(error).strip().splitlines()[0]}") from None

    def rows(self, table: str) -> Iterator[Row]:
        """See Database."""
        with self._connection.cursor(name="rows") as cursor:
            for row in cursor.execute(f"SELECT * FROM {table}"):
                yield tuple(map(_plain, row))

    def close(self) -> None:
        """See Database."""
        self._connection.close()
