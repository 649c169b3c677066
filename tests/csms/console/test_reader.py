"""Reading from both databases: nothing is written, and a database that comes later, or back, is read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voltgate.csms.console.reader import Reader, ReadTx
from voltgate.csms.ledger.store import Database, Sqlite, StoreError


@pytest.fixture
def reader(database_url: str) -> Iterator[Reader]:
    made = Reader(database_url, threads=2)
    yield made
    made.close()


async def test_what_is_committed_is_read(reader: Reader, open_database: Callable[[], Database]) -> None:
    with open_database().begin() as tx:
        tx.run("CREATE TABLE t (a INTEGER, b TEXT)")
        tx.run("INSERT INTO t (a, b) VALUES (?, ?)", 1, "100 %")
    assert await reader.all("SELECT a, b FROM t WHERE b LIKE '%%' OR a = ?", 7) == [(1, "100 %")]
    assert await reader.one("SELECT a FROM t WHERE a = ?", 2) is None
    assert await reader.run(lambda query: ReadTx(query).one("SELECT b FROM t")) == ("100 %",)


async def test_nothing_is_written(reader: Reader, open_database: Callable[[], Database]) -> None:
    with open_database().begin() as tx:
        tx.run("CREATE TABLE t (a INTEGER)")
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        await reader.all("INSERT INTO t (a) VALUES (1)")
    with pytest.raises(TypeError):
        await reader.run(lambda query: ReadTx(query).run("DELETE FROM t"))
    assert await reader.all("SELECT a FROM t") == []


async def test_a_table_that_is_not_there_yet(reader: Reader, open_database: Callable[[], Database]) -> None:
    database = open_database()
    with pytest.raises(StoreError):
        await reader.all("SELECT a FROM t")
    with database.begin() as tx:
        tx.run("CREATE TABLE t (a INTEGER)")
    assert await reader.all("SELECT a FROM t") == []


async def test_a_file_that_comes_later_and_is_replaced(
    tmp_path: Path,
) -> None:
    """A rebuild puts another file in its place."""
    reader = Reader(f"sqlite:///{tmp_path}/csms.db", threads=1)
    with pytest.raises(StoreError, match="ledger"):
        await reader.all("SELECT 1")
    for number, name in enumerate(("csms.db", "other.db")):
        database = Sqlite(str(tmp_path / name))
        with database.begin() as tx:
            tx.run("CREATE TABLE t (a INTEGER)")
            tx.run("INSERT INTO t (a) VALUES (?)", number)
        database.close()
        (tmp_path / name).replace(tmp_path / "csms.db")
        assert await reader.all("SELECT a FROM t") == [(number,)]
    reader.close()
