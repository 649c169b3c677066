"""The NATS servers of fault tests: kill, freeze, restart, and no survivors of the test.

Three of them as a cluster are at work in tests/e2e/test_cluster_away.py.
"""

import subprocess
import sys
from pathlib import Path

import nats
import psutil
import pytest
from nats.aio.client import Client
from nats.errors import NoServersError

from jetstream import ONCE, PATIENCE, NatsServer


async def store(url: str) -> int:
    """Make or find a stream, and store a message."""

    async def quiet(error: Exception) -> None:
        del error

    client: Client = await nats.connect(url, error_cb=quiet, **ONCE)
    try:
        await client.jetstream().add_stream(name="S", subjects=["s"])
        return (await client.jetstream().publish("s", b"")).seq
    finally:
        await client.close()


async def test_a_server_keeps_port_and_store_however_it_ended(nats_server: NatsServer) -> None:
    assert await store(nats_server.url) == 1
    nats_server.kill()
    assert not nats_server.runs
    with pytest.raises(NoServersError):
        await store(nats_server.url)
    nats_server.start()
    assert await store(nats_server.url) == 2
    nats_server.stop()
    nats_server.start()
    nats_server.freeze()
    assert nats_server.runs
    assert not nats_server.answers
    nats_server.thaw()
    assert await store(nats_server.url) == 3


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Even when that is killed."""
    source = f"import pathlib, jetstream; print(jetstream.NatsServer(pathlib.Path({str(tmp_path)!r}))"
    command = [sys.executable, "-c", f"{source}.process.pid, flush=True); input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdin=pipe, stdout=pipe) as starter:
        assert starter.stdout is not None
        server = psutil.Process(int(starter.stdout.readline()))
        assert server.name() == "nats-server"
        starter.kill()
    server.wait(PATIENCE)
