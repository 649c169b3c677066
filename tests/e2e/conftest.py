"""One nats-server and one gateway with short deadlines for all; whoever breaks things brings his own."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from e2e.crews import Crew, Crews, Links
from e2e.guarded import Guarded
from e2e.house import Gateway, config, gateway
from e2e.strangers import Backend, Facts, Responder, connected, settle

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Gateways and backends are users with the permissions of deploy/nats."""
    server = Guarded(tmp_path_factory.mktemp("jetstream"))
    yield server
    server.kill()
    assert server.violations() == []


@pytest.fixture(scope="session")
def house(nats_server: Guarded) -> Iterator[Gateway]:
    """The gateway most strangers meet."""
    with gateway(config(nats_server)) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A nats-server of the module's own: it is going to be killed, frozen or upgraded."""
    own = Guarded(tmp_path_factory.mktemp("own"))
    yield own
    own.kill()
    assert own.violations() == []


@pytest.fixture
async def client(nats_server: Guarded) -> AsyncIterator[Client]:
    client = await connected(nats_server.url)
    yield client
    await client.close()


@pytest.fixture
def identity() -> str:
    """A charger nobody has seen before."""
    return f"CP {next(_numbers)}"


@pytest.fixture
async def facts(nats_server: Guarded, identity: str) -> AsyncIterator[Facts]:
    operator = await connected(nats_server.url_of("operator"))
    heard = Facts(operator, identity)
    await heard.listen()
    yield heard
    await operator.close()


@pytest.fixture
async def backend(nats_server: Guarded, identity: str) -> AsyncIterator[Callable[..., Awaitable[Backend]]]:
    """``await backend(Authorize='{"idTagInfo":...}')`` answers these questions about the test's charger."""
    user = await connected(nats_server.url_of("backend"))

    async def make(**answers: bytes | str | Responder | None) -> Backend:
        made = Backend(user, identity, answers)
        await made.listen()
        return made

    yield make
    await user.close()


@pytest.fixture
def crews(tmp_path: Path, nats_server: Guarded) -> Iterator[Crews]:
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
