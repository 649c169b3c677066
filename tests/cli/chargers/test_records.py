"""Reading a bucket in a cluster: the server that has the consumer is seldom the one that is asked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from e2e.strangers import connected
from jetstream import Cluster
from voltgate.cli.chargers.records import kept


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.kill()


async def test_a_consumer_that_its_own_server_does_not_know_yet_is_asked_again(cluster: Cluster) -> None:
    """Without that, one read in forty fails here: 200 reads do not all succeed by chance."""
    await cluster.ready()
    client = await connected(cluster.urls[0])
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="S", subjects=["s.*"], num_replicas=3))
    await asyncio.gather(*(jetstream.publish(f"s.{number}", b"") for number in range(8)))
    await cluster.whole("S")
    for _ in range(200):
        assert len([message async for message in kept(client, "S", "s.*")]) == 8
    await client.close()
