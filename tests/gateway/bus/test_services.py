"""The gateway in the NATS service API, asked over a real nats-server."""

import asyncio
import json
from typing import Any

import nats
from nats.aio.client import Client
from nats.micro.service import ServiceInfo, ServiceStats

from desk import desk
from jetstream import NatsServer
from voltgate.gateway.bus.services import Services, service_of
from voltgate.service_api import BURST


def json_of(data: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(data)
    return body


async def ask(client: Client, subject: str) -> bytes:
    return (await client.request(subject, b"", timeout=5)).data


async def test_an_instance_is_found_and_its_stats_are_sums_of_the_metrics(server: NatsServer) -> None:
    async with desk(server, make_streams=False) as at:
        Services(at.bus, at.clock, service_of("host-1", at.config.nats, at.metrics, lambda: 3))
        at.metrics.commands.add("Reset", "result", count=2)
        at.metrics.commands.add("Reset", "timeout")
        for seconds in (0.5, 1.0):
            at.metrics.command_seconds.cell().observe(seconds)
        client = await nats.connect(server.url)
        info = ServiceInfo.from_dict(json_of(await ask(client, "$SRV.INFO.voltgate.host-1")))
        assert [(one.name, one.subject, one.queue_group) for one in info.endpoints] == [
            ("send", "ocpprpc.send.*.*", "voltgate"),
            ("link", "ocpprpc.link.*.*", "voltgate"),
        ]
        send, link = ServiceStats.from_dict(json_of(await ask(client, "$SRV.STATS"))).endpoints
        assert (send.num_requests, send.num_errors, send.processing_time) == (3, 1, 1_500_000_000)
        assert link.num_requests == 3
        await client.close()


async def test_each_of_several_instances_answers_and_none_shares_the_requests(server: NatsServer) -> None:
    async with desk(server, make_streams=False) as one, desk(server, make_streams=False) as two:
        for at, name in ((one, "a"), (two, "b")):
            Services(at.bus, at.clock, service_of(name, at.config.nats, at.metrics, int))
        client = await nats.connect(server.url)
        inbox, heard = client.new_inbox(), asyncio.Queue[str]()

        async def hear(message: nats.aio.msg.Msg) -> None:
            heard.put_nowait(json_of(message.data)["id"])

        await client.subscribe(inbox, cb=hear)
        await client.publish("$SRV.PING.voltgate", b"", reply=inbox)
        assert {await asyncio.wait_for(heard.get(), 10) for _ in range(2)} == {"a", "b"}
        await client.close()


async def test_a_flood_is_counted_and_the_rest_is_not_answered(server: NatsServer) -> None:
    async with desk(server, make_streams=False) as at:
        Services(at.bus, at.clock, service_of("host-1", at.config.nats, at.metrics, int))
        client = await nats.connect(server.url)
        await ask(client, "$SRV.PING")
        for _ in range(10 * BURST):
            await client.publish("$SRV.STATS", b"", reply="_INBOX.x")
        refused = at.metrics.bus_garbage.cell("service")
        async with asyncio.timeout(20):
            while not refused[0]:
                await asyncio.sleep(0.01)
        await client.publish("$SRV.PING", b"")
        await client.flush()
        assert (at.bus.connections, at.bus.connected) == (1, True)
        await client.close()
