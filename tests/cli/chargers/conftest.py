"""A registry of the tests' own, and commands that run on it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from cli.chargers.book import Kept, OnNats, Run
from cli.configuration import SMALL
from jetstream import NatsServer
from voltgate.cli import main


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A NATS with the streams, for all tests of this file."""
    folder = tmp_path_factory.mktemp("chargers")
    server = NatsServer(folder / "jetstream")
    assert main(["streams", "apply", "--config", str(written(folder, server))]) == 0
    yield server
    server.kill()


def written(folder: Path, server: NatsServer) -> Path:
    file = folder / "voltgate.toml"
    file.write_text(f"[nats]\nurl='{server.url}'\n{SMALL}")
    return file


@pytest.fixture
def config(nats_server: NatsServer, tmp_path: Path, on_nats: OnNats) -> Path:
    """A configuration whose streams are there, and empty."""

    async def purge(client: Client) -> None:
        for stream in ("KV_ocpp_chargers", "OCPP_LINKS"):
            await client.jsm().purge_stream(stream)

    on_nats(purge)
    return written(tmp_path, nats_server)


@pytest.fixture
def chargers(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command of the group: exit code, stdout, stderr."""
    capsys.readouterr()

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["chargers", *map(str, arguments), "--config", str(config)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def on_nats(nats_server: NatsServer) -> OnNats:
    """Do something with a plain client."""

    async def with_client(work: Callable[[Client], Awaitable[Any]]) -> Any:
        client = await nats.connect(nats_server.url)
        try:
            return await work(client)
        finally:
            await client.close()

    return lambda work: asyncio.run(with_client(work))


@pytest.fixture
def kept(on_nats: OnNats) -> Kept:
    """The record under a key of the bucket, as it is."""

    async def read(client: Client, key: str) -> Any:
        entry = await (await client.jetstream().key_value("ocpp_chargers")).get(key)
        return json.loads(entry.value or b"null")

    return lambda key: on_nats(lambda client: read(client, key))
