"""Databases of both kinds, each test with its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import postgres
from voltgate.csms.ledger import store
from voltgate.csms.ledger.store import Database


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A cluster of this process's own, which all tests share: nobody hurts it."""
    postgres.installed()
    server = postgres.PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Make a new, empty database, ``sqlite`` or ``postgres``, and give its URL."""

    def url(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / os.urandom(6).hex()}.db"
        server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
        return server.new_database()

    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """A new, empty database."""
    return new_database(request.param)


@pytest.fixture
def open_database(database_url: str) -> Iterator[Callable[[], Database]]:
    """Open the database, any number of times."""
    opened: list[Database] = []

    def one() -> Database:
        opened.append(store.opened(database_url))
        return opened[-1]

    yield one
    for database in opened:
        database.close()
