"""A nats-server for each module, a console for each test."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from csms.console.desk import Books, Desk, desk
from e2e.house import Gateway, config, gateway
from jetstream import NatsServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Modules that say ``BOTH = True`` run on both databases, the others on SQLite."""
    if "books" in metafunc.fixturenames:
        both = getattr(metafunc.module, "BOTH", False)
        metafunc.parametrize("database", ["sqlite", "postgres"] if both else ["sqlite"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    running = NatsServer(tmp_path_factory.mktemp("jetstream"))
    yield running
    running.kill()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server that the test hurts."""
    server = NatsServer(tmp_path / "nats")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def house(server: NatsServer) -> Iterator[Gateway]:
    with gateway(config(server)) as running:
        yield running


@pytest.fixture
def books(database: str, new_database: Callable[[str], str]) -> Iterator[Books]:
    made = Books(new_database(database))
    yield made
    made.close()


@pytest.fixture
async def console(server: NatsServer, books: Books) -> AsyncIterator[Desk]:
    async with desk(server, books) as running:
        yield running
