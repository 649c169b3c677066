"""Copies of the database: backup, restore, and the place of one that is made anew.

SQLite by its own means; PostgreSQL by ``pg_dump`` and ``pg_restore``, which must be of the server's version.
After a restore the ledger folds what the streams have behind the copy's positions.
"""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voltgate.csms.ledger import store
from voltgate.csms.ledger.store import Sqlite, StoreError


def backup(url: str, target: Path) -> None:
    """Write a consistent copy while the ledger works. Raises StoreError."""
    if target.exists():
        raise StoreError(f"{target}: exists")
    if not url.startswith("sqlite:"):
        _tool("pg_dump", "--format=custom", f"--file={target}", f"--dbname={url}")
        return
    database = Sqlite(store.existing_file(url))
    try:
        database.backup(target)
    except sqlite3.Error as error:
        raise StoreError(f"{target}: {error}") from None
    finally:
        database.close()


def restore(url: str, source: Path) -> None:
    """Put a copy in place of the database; the ledger must be stopped. Raises StoreError."""
    if not source.is_file():
        raise StoreError(f"{source}: no such file")
    if not url.startswith("sqlite:"):
        _tool("pg_restore", "--clean", "--if-exists", "--no-owner", f"--dbname={url}", str(source))
        return
    path = store.sqlite_path(url)
    copy = Path(f"{path}.restored")
    shutil.copyfile(source, copy)
    _replace(Path(path), copy)


@contextmanager
def anew(url: str) -> Iterator[str]:
    """The URL of an empty database, which takes the place of the other; PostgreSQL is emptied at once."""
    if not url.startswith("sqlite:"):
        _empty(url)
        yield url
        return
    path = Path(store.sqlite_path(url))
    fresh = Path(f"{path}.rebuilt")
    _remove(fresh)
    yield f"sqlite:///{fresh}"
    _replace(path, fresh)


def _replace(path: Path, by: Path) -> None:
    _remove(path)
    by.replace(path)


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with suppress(FileNotFoundError):
            name.unlink()


def _empty(url: str) -> None:
    database = store.opened(url)
    try:
        with database.begin() as tx:
            tables = tx.all("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            for (name,) in tables:
                tx.run(f'DROP TABLE "{name}" CASCADE')
    finally:
        database.close()


def _tool(name: str, *arguments: str) -> None:
    program = shutil.which(name)
    if program is None:
        raise StoreError(f"{name} is not installed (Debian package postgresql-client)")
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StoreError(f"{name}: {last}")
