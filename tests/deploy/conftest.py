"""The compose file's network on loopback, once for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack import GATEWAYS, Stack, needs, stack
from e2e.secured import Pki


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """NATS, streams, gateways, backend and HAProxy of the compose file."""
    needs("haproxy", "apt install haproxy")
    folder = tmp_path_factory.mktemp("stack")
    pki = Pki.made_in(folder)
    server = folder / "server.pem"
    server.write_text("".join(Path(file).read_text() for file in pki.servers.issue("haproxy").pair))
    with stack(folder, {"server.pem": server, "chargers.pem": Path(pki.chargers.file)}) as started:
        started.start("backend", "haproxy")
        for gateway in GATEWAYS:
            started.until_ready(gateway)
        yield started
