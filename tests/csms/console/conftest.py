"""A nats-server for each module, a console for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from csms.console.desk import Books, Desk, desk
from jetstream import NatsServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    running = NatsServer(tmp_path_factory.mktemp("jetstream"))
    yield running
    running.kill()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    made = Books(f"sqlite:///{tmp_path / 'csms.db'}")
    yield made
    made.close()


@pytest.fixture
async def console(server: NatsServer, books: Books) -> AsyncIterator[Desk]:
    async with desk(server, books) as running:
        yield running
