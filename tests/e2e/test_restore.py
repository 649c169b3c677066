"""NATS is restored from a backup: its streams end earlier than what the gateway and its followers have seen.

What was acknowledged after the backup is gone with it; what goes on, goes on from the chargers that are here.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from e2e.house import Gateway, config, own_gateway
from e2e.outages import meter, ready
from e2e.strangers import Charger, Facts, connected, dial, token, until
from jetstream import NatsServer
from processes import Voltgate
from proxy import Proxy
from voltgate.cli import main

LATE = 8  # links that are stored after the backup


class Backup:
    """A nats-server whose store is copied, and put back."""

    def __init__(self, folder: Path) -> None:
        self._copy, self._store = folder / "backup", folder / "nats"
        self.server = NatsServer(self._store)

    def take(self) -> None:
        """Copy the store of a server that was stopped for it."""
        self.server.stop()
        shutil.copytree(self._store / "jetstream", self._copy)
        self.server.start()

    def restore(self) -> None:
        """Put the copy in the place of the store, which is lost."""
        self.server.kill()
        shutil.rmtree(self._store / "jetstream")
        shutil.copytree(self._copy, self._store / "jetstream")
        self.server.start()


@pytest.fixture
async def dialled() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@asynccontextmanager
async def backed_up(folder: Path) -> AsyncIterator[tuple[Backup, Proxy, Gateway]]:
    """A gateway behind a wire that can be cut, and the server at its end."""
    backup = await asyncio.to_thread(Backup, folder)
    wire = Proxy(backup.server.port)
    try:
        nats = {"url": wire.nats, "ping_interval": 1.0, "publish_timeout": 3.0}
        async with own_gateway(config(backup.server, nats=nats, limits={"ping_interval": 600})) as running:
            yield backup, wire, running
    finally:
        wire.stop()
        backup.server.kill()


async def commanded(client: Client, identity: str, charger: Charger) -> str:
    """The outcome of a command that the charger accepts."""
    subject = f"ocpprpc.send.ClearCache.{token(identity)}"
    commanding = asyncio.ensure_future(client.request(subject, b"{}", timeout=20))
    message_id = json.loads(await charger.hear())[1]
    await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
    return ((await commanding).headers or {})["ocpp-outcome"]


async def up(port: int, identity: str, client: Client, dialled: AsyncExitStack) -> Charger:
    """A charger whose link is stored."""
    charger = await dialled.enter_async_context(dial(port, identity))
    await Facts(client, identity).kept_link(state="up")
    return charger


async def test_what_is_connected_is_announced_again_and_what_was_lost_is_stored_again(
    tmp_path: Path, dialled: AsyncExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links, commands, resends, records and `tail --since`."""
    async with backed_up(tmp_path) as (backup, _, running):
        file = tmp_path / "voltgate.toml"
        file.write_text(f'[nats]\nurl = "{backup.server.url}"\n')
        assert await asyncio.to_thread(main, ["chargers", "add", "known", "--config", str(file)]) == 0
        client = await connected(backup.server.url)
        early = await up(running.port, "early", client, dialled)
        assert await early.ask(meter("0")) == '[3,"0",{}]'
        await client.close()
        await asyncio.to_thread(backup.take)
        await ready(running)

        client = await connected(backup.server.url)
        tail = Voltgate(tmp_path, "tail", "tx", "--since", "1h", "--json", "--config", str(file))
        try:
            for number in range(LATE):
                late = await up(running.port, f"late {number}", client, dialled)
            lost = meter("1")
            assert await late.ask(lost) == '[3,"1",{}]'
            identity = f"late {LATE - 1}"
            await asyncio.to_thread(tail.until, lambda: len(tail.out.splitlines()) == 2, "both are printed")
            assert await asyncio.to_thread(main, ["chargers", "disable", "known", "--config", str(file)]) == 0
            await client.close()
            await asyncio.to_thread(backup.restore)
            await ready(running)

            client = await connected(backup.server.url)
            for number in range(LATE):
                await Facts(client, f"late {number}").kept_link(state="up")
            assert await commanded(client, identity, late) == "result"
            assert await commanded(client, "early", early) == "result"
            assert await late.ask(lost.replace('"1"', '"2"', 1)) == '[3,"2",{}]'
            assert len(await Facts(client, identity).stored("TX")) == 1, "it is no duplicate any more"
            await asyncio.to_thread(tail.until, lambda: len(tail.out.splitlines()) == 3, "tail goes on")
            await up(running.port, "known", client, dialled)  # its record is enabled again
            await client.close()
        finally:
            tail.process.kill()
            tail.process.wait()
    capsys.readouterr()


async def test_a_restored_stream_that_has_grown_meanwhile_is_noticed(
    tmp_path: Path, dialled: AsyncExitStack
) -> None:
    """Other gateways were faster: it does not end earlier any more. A connection of before is no rival."""
    async with backed_up(tmp_path) as (backup, wire, running):
        client = await connected(backup.server.url)
        subject = f"ocpp.link.{token('moved')}"
        old = {"state": "up", "session": "old", "gateway": "another", "at": "2026-01-01T00:00:00.000Z"}
        await client.jetstream().publish(subject, json.dumps(old).encode())
        await client.close()
        await asyncio.to_thread(backup.take)
        await ready(running)

        client = await connected(backup.server.url)
        moved = await up(running.port, "moved", client, dialled)
        for number in range(LATE):
            late = await up(running.port, f"late {number}", client, dialled)
        await client.close()
        wire.refuse()
        wire.reset()
        await asyncio.to_thread(backup.restore)
        client = await connected(backup.server.url)
        for number in range(3 * LATE):
            link = {"state": "up", "session": f"s{number}", "gateway": "another"}
            await client.jetstream().publish(f"ocpp.link.other-{number}", json.dumps(link).encode())
        wire.accept()
        await ready(running)
        for identity in ("moved", *(f"late {number}" for number in range(LATE))):
            link = (await Facts(client, identity).kept_link(state="up", gateway=running.worker.name)).json
            assert link["gateway"] == running.worker.name
        assert await commanded(client, "moved", moved) == "result"
        assert await commanded(client, f"late {LATE - 1}", late) == "result"
        assert running.metric("voltgate_disconnects_total") == 0
        await until(lambda: running.metric("voltgate_connections") == LATE + 1)
        await client.close()
