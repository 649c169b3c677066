"""A nats-server of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jetstream import NatsServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of this test's own: some of them kill it."""
    server = NatsServer(tmp_path / "store")
    yield server
    server.kill()
