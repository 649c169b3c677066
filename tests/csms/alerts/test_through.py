"""From links on a real NATS, through the ledger, to a real HTTP server; a second run repeats nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
import orjson
import pytest
from nats.aio.client import Client

from csms.alerts.receiver import receiver
from csms.keeping import derived, rows, running, until
from jetstream import PATIENCE, NatsServer
from voltgate.config import Config
from voltgate.config_csms import Csms
from voltgate.csms.ledger import decisions, rebuild, store, times
from voltgate.csms.ledger import streams as ours
from voltgate.gateway.bus import streams

CHARGERS = [f"CP{number:02}" for number in range(50)]


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    made = await nats.connect(nats_server.url)
    await streams.apply(made, Config())
    await ours.create(made, Config())
    yield made
    await made.close()


def configured(folder: Path, name: str) -> Config:
    return Config(csms=Csms(database=f"sqlite:///{folder / name}.db", tick_seconds=0.2))


async def link(client: Client, charger: str, state: str) -> None:
    now = times.text(datetime.now(UTC))
    body = {"state": state, "reason": None if state == "up" else "client", "epoch": 1, "at": now}
    headers = {"ce-id": f"{charger}/{state}/{now}", "ce-time": now}
    await client.jetstream().publish(f"ops.link.{charger}", orjson.dumps(body), headers=headers)


async def test_what_an_earlier_run_has_published_leaves_the_outbox(client: Client, tmp_path: Path) -> None:
    """Also when the server does not remember its id any more."""
    config = configured(tmp_path, "csms")
    async with running(client, config):
        await until(lambda: rows(config, "SELECT seq FROM tick"))
    await client.jetstream().publish("ops.alert.notice.offline.1", b"first")
    database = store.opened(config.csms.database)
    with database.begin() as tx:
        tx.send("later", "ops.alert.notice.offline.1", {"Nats-Expected-Last-Subject-Sequence": "0"}, b"again")
    database.close()
    async with running(client, config):
        await until(lambda: not rows(config, "SELECT id FROM outbox"))
    message = await client.jsm().get_last_msg("OPS_ALERT", "ops.alert.notice.offline.1")
    assert message.data == b"first"


async def consumers(client: Client) -> int:
    return (await client.jsm().stream_info("OPS_ALERT")).state.consumer_count


async def test_a_storm_reaches_its_channel_as_one_message_and_once(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voltgate.csms.alerts.part.GROUP", timedelta(seconds=3))
    config = configured(tmp_path, "live")
    rule = decisions.encoded(by="ann", at=datetime.now(UTC), body={"hold_minutes": 0})
    async with receiver() as server:
        body = orjson.dumps({"kind": "webhook", "url": server.url, "secret": "s"})
        await client.jetstream().publish("ops.person.channel.ops", body)
        async with running(client, config):
            async with asyncio.timeout(PATIENCE):
                while await consumers(client) == 0:
                    await asyncio.sleep(0.05)
            await client.jetstream().publish(decisions.subject("ops", "rule", "offline"), rule)
            for state in ("up", "down"):
                await asyncio.gather(*(link(client, charger, state) for charger in CHARGERS))
            await until(lambda: server.taken)
        other = configured(tmp_path, "other")
        made = await rebuild.rebuild(client, other, asyncio.Event())
        assert made.digest == await derived(client, config)
        anew = configured(tmp_path, "anew")  # a ledger without a database folds and publishes everything
        async with running(client, anew):
            await link(client, "CP00", "up")
            await until(lambda: len(server.taken) > 1)
    raised, cleared = (orjson.loads(body) for _, body in server.taken)
    assert [one["charger"] for one in raised["raised"]] == CHARGERS
    assert (cleared["raised"], [one["charger"] for one in cleared["cleared"]]) == ([], ["CP00"])
