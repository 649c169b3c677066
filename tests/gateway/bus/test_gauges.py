"""What is asked of NATS for metrics: its round trip, its address, and how far consumers are behind."""

import asyncio
from collections.abc import Callable
from typing import Any

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from prometheus_client.samples import Sample

from desk import TX, Desk, desk
from jetstream import NatsServer
from voltgate.gateway.bus import gauges
from voltgate.gateway.bus.gauges import Gauges


def seen(at: Desk, name: str) -> list[Sample]:
    (family,) = (family for family in at.metrics.families() if family.name == name)
    return family.family({}).samples


def measuring(at: Desk) -> Gauges:
    """Of the bus; its task has had no time to do the same."""
    found: Gauges = at.bus._gauges
    return found


async def until(at: Desk, holds: Callable[[], object]) -> None:
    """Measure until something holds."""
    async with asyncio.timeout(30):
        while not holds():
            await measuring(at).measure()
            await asyncio.sleep(0.01)  # a measure does not wait where NATS is away


async def test_the_round_trip_and_the_server(server: NatsServer) -> None:
    async with desk(server) as at:
        await measuring(at).measure()
        (rtt,) = seen(at, "voltgate_bus_rtt_seconds")
        assert 0 < rtt.value < 5
        (info,) = seen(at, "voltgate_bus_info")
        assert info.labels["server"] == f"127.0.0.1:{server.port}"
        assert info.labels["version"].count(".") == 2
        assert [one.value for one in seen(at, "voltgate_bus_reconnects_total")] == [0]
        assert [one.value for one in seen(at, "voltgate_bus_pending_bytes")] == [0]


async def test_a_server_that_does_not_answer_has_no_round_trip(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the pong of the ping that was not answered in time ends no connection."""
    monkeypatch.setattr(gauges, "_PATIENCE", 0.2)
    async with desk(server, nats={"ping_interval": 60}) as at:
        await measuring(at).measure()
        server.freeze()
        await measuring(at).measure()
        assert seen(at, "voltgate_bus_rtt_seconds") == []
        await measuring(at).measure()
        server.thaw()
        await until(at, lambda: seen(at, "voltgate_bus_rtt_seconds"))
        assert at.changes == []
        assert [one.value for one in seen(at, "voltgate_bus_reconnects_total")] == [0]


async def test_a_reconnect_counts_and_the_ping_before_it_is_forgotten(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauges, "_PATIENCE", 0.2)
    async with desk(server) as at:
        server.freeze()
        await measuring(at).measure()
        server.kill()
        await until(at, lambda: not at.bus.connected)
        assert seen(at, "voltgate_bus_info") == []
        server.start()
        await until(at, lambda: seen(at, "voltgate_bus_rtt_seconds"))
        assert [one.value for one in seen(at, "voltgate_bus_reconnects_total")] == [1]


async def test_consumers_that_are_watched(server: NatsServer) -> None:
    names: dict[str, Any] = {"watched_consumers": ["OCPP_TX/billing", "OCPP_TX/missing"]}
    async with desk(server, nats=names) as at:
        client = await nats.connect(server.url)
        await client.jsm().add_consumer(
            "OCPP_TX", ConsumerConfig(durable_name="billing", ack_policy=AckPolicy.EXPLICIT)
        )
        for number in range(3):
            await at.store(TX, str(number).encode())
        await measuring(at).measure()
        (pending,) = seen(at, "voltgate_consumer_pending_messages")
        assert (pending.labels, pending.value) == ({"stream": "OCPP_TX", "consumer": "billing"}, 3)

        reader = await client.jetstream().pull_subscribe_bind("billing", "OCPP_TX")
        (message,) = await reader.fetch(1)
        await measuring(at).measure()
        assert seen(at, "voltgate_consumer_pending_messages")[0].value == 3, "it has not acknowledged"
        await message.ack_sync()
        await measuring(at).measure()
        assert seen(at, "voltgate_consumer_pending_messages")[0].value == 2

        await client.jsm().delete_consumer("OCPP_TX", "billing")
        await measuring(at).measure()
        assert seen(at, "voltgate_consumer_pending_messages") == []
        await client.close()
