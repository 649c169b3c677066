"""A started bus against a real nats-server, with a turning wheel."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.client import Client

from jetstream import NatsServer
from voltgate import _core
from voltgate.config import Config, load
from voltgate.gateway.bus import streams, uplink
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.connect import BusError, connect
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, NotRead, NotStored, Reply, Stored
from voltgate.gateway.telemetry.metrics import Metrics

TX, EVENT = "ocpp.tx.v16.X.CP", "ocpp.event.v16.X.CP"


class Desk:
    """A started bus, a turning wheel, and the results of what was asked of it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.clock = Wheel(time.monotonic, time.time)
        self.metrics = Metrics()
        self.bus = Bus(config.nats, self.clock, self.metrics)
        self.causes: list[str] = []
        self.changes: list[tuple[bool, int]] = []
        """Whether NATS is connected, and the bytes that waited for it then."""
        self.bus.listen(self._changed, self.causes.append)

    async def store(
        self, subject: str, data: bytes = b"x", headers: dict[str, str] | None = None
    ) -> Ack | NotStored:
        """Publish to ``subject`` and wait for what becomes of it."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ticket = self.bus.ticket(lambda arg, result: future.set_result(result), None)
        command = _core.publish(subject, ticket.reply, list((headers or {}).items()), data)
        self.bus.store(ticket, command, subject.startswith("ocpp.tx."))
        result: Ack | NotStored = await future
        return result

    async def ask(self, subject: str, timeout: float = 5) -> Reply:
        """Ask on ``subject``."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ticket = self.bus.ticket(lambda arg, result: future.set_result(result), None)
        self.bus.ask(ticket, _core.publish(subject, ticket.reply, [], b"?"), timeout)
        result: Reply = await future
        return result

    async def read(self, stream: str, seq: int, subject: str | None = None) -> Stored | NotRead:
        """Read back from ``stream``."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.bus.read(stream, seq, subject, lambda arg, result: future.set_result(result), None)
        result: Stored | NotRead = await future
        return result

    @property
    def client(self) -> Client:
        """The nats-py client behind it: tests hurt it."""
        return self.bus._connection.client

    def _changed(self, connected: bool) -> None:
        self.changes.append((connected, uplink.waiting(self.client)))

    async def turn(self) -> None:
        """What the worker does all day."""
        while True:
            await asyncio.sleep(0.01)
            self.clock.advance()


@asynccontextmanager
async def desk(server: NatsServer, make_streams: bool = True, **sections: Any) -> AsyncIterator[Desk]:
    """A desk at ``server``; ``sections`` change the configuration."""
    nats = {"url": server.url, "publish_timeout": 1.5} | sections.pop("nats", {})
    config = load(nats=nats, **sections)
    client = await _connected(config)
    if make_streams:
        await streams.apply(client, config)
    await client.close()
    made = Desk(config)
    await made.bus.start()
    turning = asyncio.create_task(made.turn())
    try:
        yield made
    finally:
        turning.cancel()
        await made.bus.stop()


async def _connected(config: Config) -> Client:
    async with asyncio.timeout(10):
        while True:
            try:
                return await connect(config.nats)
            except BusError:
                await asyncio.sleep(0.01)  # the server is still starting
