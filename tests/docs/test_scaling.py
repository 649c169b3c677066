"""The recipes of docs/scaling.md: each block is taken from the page and given to a real nats-server.

Changed are addresses, folders and passwords, and the number of copies: one server has one.
"""

import asyncio
import json
import os
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NoMessage

from e2e.house import config, gateway
from e2e.outages import meter
from e2e.strangers import connected, dial, token
from jetstream import NatsServer, free_port
from voltgate.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
LEAF = (Path(__file__).parents[2] / "deploy" / "nats" / "leaf.conf").read_text()
SECOND = 1_000_000_000


def recipe(name: str) -> str:
    """The block of the page."""
    (block,) = re.findall(rf"^<!-- recipe: {name} -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


def settings(name: str) -> dict[str, Any]:
    """The block of a stream or consumer, for one server."""
    found: dict[str, Any] = json.loads(recipe(name))
    return found | ({"num_replicas": 1} if "num_replicas" in found else {})


async def api(client: Client, subject: str, body: Any = None, domain: str = "") -> dict[str, Any]:
    """An answer of JetStream without an error."""
    prefix = f"$JS.{domain}.API" if domain else "$JS.API"
    reply = await client.request(f"{prefix}.{subject}", json.dumps(body or {}).encode(), timeout=10)
    answer: dict[str, Any] = json.loads(reply.data)
    assert "error" not in answer, answer
    return answer


async def until(holds: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until the coroutine that ``holds`` makes returns something true."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.02)


Start = Callable[..., NatsServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers from configurations; they end with the test."""
    running = []

    def started(name: str, text: str) -> NatsServer:
        folder = tmp_path / name
        folder.mkdir()
        file = folder / "nats.conf"
        file.write_text(text.replace("/var/lib/nats", str(folder / "store")))
        running.append(NatsServer(folder, ["-c", str(file)]))
        return running[-1]

    yield started
    for server in running:
        server.kill()


@pytest.fixture
def applied(tmp_path: Path) -> Callable[..., None]:
    """`voltgate streams apply`."""

    def apply(url: str, domain: str = "") -> None:
        file = tmp_path / "voltgate.toml"
        file.write_text(f'[nats]\nurl = "{url}"\ndomain = "{domain}"\n')
        assert main(["streams", "apply", "--config", str(file)]) == 0

    return apply


@pytest.fixture
def alone(start: Start, applied: Callable[..., None]) -> NatsServer:
    """A server with the streams."""
    server = start("alone", 'jetstream { store_dir: "/var/lib/nats" }\n')
    applied(server.url)
    return server


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Client]:
    client = await connected(url)
    try:
        yield client
    finally:
        await client.close()


def test_tenants_with_the_same_charger_see_nothing_of_each_other(
    start: Start, applied: Callable[..., None]
) -> None:
    accounts = re.sub(r"\$(\w+)_PASSWORD", r"p\1", recipe("tenants"))
    server = start("tenants", f'jetstream {{ store_dir: "/var/lib/nats" }}\n{accounts}')
    north, south = (server.url.replace("//", f"//{name.lower()}:p{name}@") for name in ("NORTH", "SOUTH"))
    applied(north)
    applied(south)

    async def course() -> None:
        async with client_of(north) as first, client_of(south) as second:
            with (
                gateway(config(server, nats={"url": north})) as one,
                gateway(config(server, nats={"url": south})) as other,
            ):
                async with dial(one.port, "CP1") as charger, dial(other.port, "CP1") as twin:
                    assert await charger.ask(meter("1")) == '[3,"1",{}]'
                    assert await twin.ask(meter("2")) == '[3,"2",{}]'
                    assert await twin.ask(meter("3")) == '[3,"3",{}]'
                    for client, count in ((first, 1), (second, 2)):
                        state = (await api(client, "STREAM.INFO.OCPP_TX"))["state"]
                        assert state["messages"] == count
                    assert not charger.socket.close_code, "the twin is not a newer connection of it"

    asyncio.run(course())


async def test_partitions_keep_each_charger_in_order_in_one_of_them(alone: NatsServer) -> None:
    async with client_of(alone.url) as client:
        await api(client, "STREAM.CREATE.OCPP_SHARDS", settings("shards"))
        one = settings("shard")
        for shard in range(8):
            mine = one | {
                "durable_name": f"billing-{shard}",
                "filter_subject": one["filter_subject"].replace("0", str(shard)),
            }
            body = {"stream_name": "OCPP_SHARDS", "config": mine}
            await api(client, f"CONSUMER.DURABLE.CREATE.OCPP_SHARDS.billing-{shard}", body)
        chargers = [f"CP{number}" for number in range(40)]
        jetstream = client.jetstream()
        for number in range(5):
            for charger in chargers:
                await jetstream.publish(f"ocpp.tx.v16.MeterValues.{charger}", str(number).encode())
        await until(lambda: _has(client, "OCPP_SHARDS", 200))
        seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for shard in range(8):
            pages = await jetstream.pull_subscribe_bind(f"billing-{shard}", "OCPP_SHARDS")
            with suppress(NoMessage):
                while True:
                    (message,) = await pages.fetch(1, timeout=0.5)
                    seen[message.subject.rpartition(".")[2]].append((shard, int(message.data)))
                    await message.ack_sync()
        assert set(seen) == set(chargers)
        for charger, got in seen.items():
            assert [number for _, number in got] == [0, 1, 2, 3, 4], charger
            assert len({shard for shard, _ in got}) == 1, charger
        assert len({got[0][0] for got in seen.values()}) > 4, "they are spread"


async def _has(client: Client, stream: str, messages: int, domain: str = "") -> bool:
    return bool((await api(client, f"STREAM.INFO.{stream}", domain=domain))["state"]["messages"] >= messages)


async def test_a_message_that_nobody_acknowledges_is_found_by_its_advisory(alone: NatsServer) -> None:
    async with client_of(alone.url) as client:
        await api(client, "STREAM.CREATE.OCPP_DEAD", settings("dead"))
        jetstream = client.jetstream()
        ack = await jetstream.publish("ocpp.tx.v16.MeterValues.CP1", b"poison")
        wanted = {"durable_name": "billing", "ack_policy": "explicit", "ack_wait": SECOND, "max_deliver": 2}
        body = {"stream_name": "OCPP_TX", "config": wanted}
        await api(client, "CONSUMER.DURABLE.CREATE.OCPP_TX.billing", body)
        pages = await jetstream.pull_subscribe_bind("billing", "OCPP_TX")
        for _ in range(2):
            (message,) = await pages.fetch(1, timeout=5)
            await message.nak()
        with pytest.raises(NoMessage):
            await pages.fetch(1, timeout=1.5)
        await until(lambda: _has(client, "OCPP_DEAD", 1))
        stored = await jetstream.get_msg("OCPP_DEAD", seq=1)
        advisory = json.loads(stored.data or b"")
        assert (advisory["stream"], advisory["stream_seq"], advisory["consumer"]) == (
            "OCPP_TX",
            ack.seq,
            "billing",
        )
        assert (await jetstream.get_msg("OCPP_TX", seq=advisory["stream_seq"])).data == b"poison"


def hub_and_leaf(start: Start, domain: str) -> tuple[NatsServer, NatsServer]:
    """A hub, and the shipped leaf with ``domain``."""
    leaves = free_port()
    text = (
        'server_name: hub\njetstream { domain: hub, store_dir: "/var/lib/nats" }\n'
        f'leafnodes {{ host: "127.0.0.1", port: {leaves} }}\n'
    )
    hub = start("hub", text)
    leaf = LEAF.replace("nats-leaf://hub.example:7422", f"nats-leaf://127.0.0.1:{leaves}")
    leaf = leaf.replace("site1", domain).replace("port: 4222\n", "")
    return hub, start(domain, leaf)


async def test_the_hub_reads_what_a_site_has_stored(start: Start, applied: Callable[..., None]) -> None:
    """With TEST_FULL=1 (make test-full) also what it stored while the hub was away: that takes 40 s."""
    hub, site = hub_and_leaf(start, "site1")
    await asyncio.to_thread(applied, site.url, "site1")
    async with client_of(site.url) as at_site:
        async with client_of(hub.url) as at_hub:
            await until(lambda: _answers(at_hub, "site1"))
            await api(at_hub, "STREAM.CREATE.SITE1_TX", settings("site"), "hub")
            await at_site.jetstream(domain="site1").publish("ocpp.tx.v16.MeterValues.CP1", b"1")
            await until(lambda: _has(at_hub, "SITE1_TX", 1, "hub"))
        if os.environ.get("TEST_FULL") != "1":
            return
        hub.stop()
        await at_site.jetstream(domain="site1").publish("ocpp.tx.v16.MeterValues.CP1", b"2")
        hub.start()
        async with client_of(hub.url) as at_hub:
            # JetStream looks for a lost source at growing intervals.
            await until(lambda: _has(at_hub, "SITE1_TX", 2, "hub"), 120)


async def _answers(client: Client, domain: str) -> bool:
    with suppress(NoRespondersError, NoMessage):
        return bool(await api(client, "INFO", domain=domain))
    return False


async def test_mirrors_take_over_with_all_that_they_have(start: Start, applied: Callable[..., None]) -> None:
    """Facts, and the records without which no charger may connect."""
    hub, standby = hub_and_leaf(start, "standby")
    await asyncio.to_thread(applied, hub.url, "hub")
    mirrors = [
        json.loads(json.dumps(settings("mirror")).replace("OCPP_TX", name))
        for name in ("OCPP_TX", "KV_ocpp_chargers")
    ]
    async with client_of(standby.url) as client:
        await until(lambda: _answers(client, "hub"))
        for mirror in mirrors:
            await api(client, f"STREAM.CREATE.{mirror['name']}", mirror, "standby")
        async with client_of(hub.url) as first:
            for number in range(3):
                await first.jetstream(domain="hub").publish(f"ocpp.tx.v16.MeterValues.CP{number}", b"{}")
            await api(first, "$KV.ocpp_chargers.CP9", {"enabled": True}, "hub")
        await until(lambda: _has(client, "OCPP_TX", 3, "standby"))
        await until(lambda: _has(client, "KV_ocpp_chargers", 1, "standby"))
        hub.kill()
        for mirror in mirrors:
            promoted = {key: value for key, value in mirror.items() if key != "mirror"}
            await api(client, f"STREAM.UPDATE.{mirror['name']}", promoted, "standby")
        await asyncio.to_thread(applied, standby.url, "standby")
        known = config(standby, nats={"domain": "standby"}, registry={"required": True})
        with gateway(known) as running:
            async with dial(running.port, "CP9") as charger:
                assert await charger.ask(meter("1")) == '[3,"1",{}]'
        assert await _has(client, "OCPP_TX", 4, "standby")


async def test_regions_of_a_supercluster_share_commands_and_streams_stay_in_one(
    start: Start, applied: Callable[..., None]
) -> None:
    """Two servers in the east and one in the west: JetStream needs three."""
    ports = {name: free_port() for name in ("east-1", "east-2", "west-1")}
    routes = {"east": free_port(), "west": free_port()}
    servers = {}
    for name, port in ports.items():
        region = name.partition("-")[0]
        block = recipe("supercluster").replace("name: east\n", f"name: {region}\n", 1)
        block = block.replace("0.0.0.0:7222", f"127.0.0.1:{port}")
        for other, at in ports.items():
            block = block.replace(f"{other}:7222", f"127.0.0.1:{at}")
        listen = free_port() if name == "east-2" else routes[region]
        cluster = (
            f'name: {region}, listen: "127.0.0.1:{listen}", routes: ["nats://127.0.0.1:{routes[region]}"]'
        )
        jetstream = f'server_name: {name}\njetstream {{ store_dir: "/var/lib/nats" }}\n'
        servers[name] = start(name, f"{jetstream}cluster {{ {cluster} }}\n{block}")
    east, west = servers["east-2"], servers["west-1"]
    async with client_of(east.url) as client, client_of(west.url) as far:
        await until(lambda: _answers(client, ""))
        await asyncio.to_thread(applied, east.url)
        assert (await api(client, "STREAM.INFO.OCPP_TX"))["cluster"]["name"] == "east"
        with gateway(config(west)) as running:
            async with dial(running.port, "CP1") as charger:
                assert await charger.ask(meter("1")) == '[3,"1",{}]', "stored in the east"

                async def command() -> str:
                    while True:
                        with suppress(NoRespondersError):  # the subscription is on its way
                            reply = await client.request(
                                f"ocpprpc.send.ClearCache.{token('CP1')}", b"{}", timeout=20
                            )
                            return (reply.headers or {})["ocpp-outcome"]

                commanding = asyncio.ensure_future(command())
                message_id = json.loads(await charger.hear())[1]
                await charger.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
                assert await commanding == "result"
        assert await _has(far, "OCPP_TX", 1)
