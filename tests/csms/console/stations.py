"""A gateway, a backend and a charger that remembers its commands, for tests of what a console sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats

from e2e.house import Gateway
from jetstream import NatsServer
from scripted_csms import wait_until
from voltgate.backend import service
from voltgate.charger import Behaviour, Charger, Endpoint, Settings
from voltgate.charger.messages import Payload

VERSIONS = ("v16", "v201", "v21")


class Station(Charger):
    """Remembers its commands; ``answers``: what it answers in place of what it would."""

    __slots__ = ("answers", "heard")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.heard: list[tuple[str, Payload]] = []
        self.answers: dict[str, Payload] = {}

    def command(self, action: str, payload: Payload) -> Payload:
        self.heard.append((action, payload))
        return self.answers[action] if action in self.answers else super().command(action, payload)


@asynccontextmanager
async def backend(server: NatsServer) -> AsyncIterator[None]:
    client, stop = await nats.connect(server.url), asyncio.Event()
    running = asyncio.create_task(service.run(client, stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await client.close()


@asynccontextmanager
async def station(house: Gateway, version: str, identity: str) -> AsyncIterator[Station]:
    """A charger that is ready for commands."""
    endpoint = Endpoint(url=f"ws://127.0.0.1:{house.port}/ocpp")
    behaviour = Behaviour(connectors=2, meter_interval=3600)
    charger = Station(Settings(identity=identity, version=version, endpoints=[endpoint], behaviour=behaviour))
    charger.start()
    try:
        await wait_until(lambda: charger.ready)
        yield charger
    finally:
        await charger.stop()
