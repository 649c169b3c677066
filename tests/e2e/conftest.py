"""One nats-server and one gateway with short deadlines for all; whoever breaks things brings his own."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from e2e.crews import Crew, Crews, Links
from e2e.house import Gateway, config, gateway
from e2e.strangers import Backend, Facts, Responder, connected, settle
from jetstream import NatsServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("jetstream"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def house(nats_server: NatsServer) -> Iterator[Gateway]:
    """The gateway most strangers meet."""
    with gateway(config(nats_server)) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server of the module's own: it is going to be killed, frozen or upgraded."""
    own = NatsServer(tmp_path_factory.mktemp("own"))
    yield own
    own.kill()


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await connected(nats_server.url)
    yield client
    await client.close()


@pytest.fixture
def identity() -> str:
    """A charger nobody has seen before."""
    return f"CP {next(_numbers)}"


@pytest.fixture
async def facts(client: Client, identity: str) -> Facts:
    heard = Facts(client, identity)
    await heard.listen()
    return heard


@pytest.fixture
def backend(client: Client, identity: str) -> Callable[..., Awaitable[Backend]]:
    """``await backend(Authorize='{"idTagInfo":...}')`` answers these questions about the test's charger."""

    async def make(**answers: bytes | str | Responder | None) -> Backend:
        made = Backend(client, identity, answers)
        await made.listen()
        return made

    return make


@pytest.fixture
def crews(tmp_path: Path, nats_server: NatsServer) -> Iterator[Crews]:
    """Make one of the test's own."""
    made: list[Crew] = []

    def make(**settings: Any) -> Crew:
        made.append(Crew(tmp_path, nats_server, **settings))
        return made[-1]

    yield make
    for crew in made:
        crew.end()


@pytest.fixture
async def links(client: Client) -> Links:
    heard = Links()
    await client.subscribe("ocpp.link.*", cb=heard.hear)
    await settle(client)
    return heard


@pytest.fixture
async def dialled() -> AsyncIterator[AsyncExitStack]:
    """Chargers hang up at the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack
