"""A connection to a nats-server of the test's own."""

from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client

from jetstream import NatsServer


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url


@pytest.fixture
async def nc(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    yield client
    await client.close()
