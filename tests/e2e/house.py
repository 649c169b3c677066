"""What the strangers come to: a real nats-server in its own process, the real gateway in its own thread.

The gateway's uvloop is its own, so a slow test cannot make it look slow, and one gateway serves many tests.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

import uvloop
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from e2e.guarded import Guarded, as_operator
from e2e.tap import Checker, tap
from jetstream import NatsServer
from voltgate.config import Config, load
from voltgate.gateway import admin
from voltgate.gateway.bus import streams
from voltgate.gateway.bus.connect import connect
from voltgate.gateway.worker import Worker

T = TypeVar("T")
PATIENCE = 30.0  # seconds until a condition that should hold counts as failed


class Gateway:
    """One worker with its admin server. Chargers dial ``port``."""

    def __init__(self, config: Config, make_streams: bool = True) -> None:
        self.config = config
        self.worker: Worker
        self.admin_url = ""
        self.ports: list[int] = []
        self.faults: list[dict[str, Any]] = []  # what no code of ours caught
        self.published: Checker
        """What it published, held against the AsyncAPI document."""
        self._make_streams = make_streams
        self._loop: asyncio.AbstractEventLoop
        self._up: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()
        self._up.result(2 * PATIENCE)  # streams, then the start

    @property
    def nats(self) -> Client:
        """The nats-py client of its bus: tests hurt it."""
        return self.worker.bus._connection.client  # noqa: SLF001

    def _run(self) -> None:
        try:
            uvloop.run(self._serve())
        except BaseException as error:
            if self._up.done():
                raise
            self._up.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self.faults.append(context))
        if self._make_streams:
            await self._apply()
        self.published = tap().open(self.config)
        self.worker = Worker(self.config)
        runner = await admin.start(self.config.admin, self.worker.metrics, self.worker.checks)
        self.admin_url = "http://127.0.0.1:{1}".format(*runner.addresses[0])
        serving = asyncio.ensure_future(self.worker.run())
        while not serving.done() and len(self.worker.addresses) < len(self.config.listeners):
            await asyncio.sleep(0.01)
        self.ports = [int(address.rpartition(":")[2]) for address in self.worker.addresses]
        if not serving.done():
            self._up.set_result(None)
        try:
            await serving
        finally:
            await runner.cleanup()
            tap().close()

    async def _apply(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:  # the server may still be starting
            try:
                client = await connect(as_operator(self.config).nats)
                try:
                    await streams.apply(client, self.config)
                finally:
                    await client.close()
                return
            except Exception:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.05)

    @property
    def port(self) -> int:
        return self.ports[0]

    def metric(self, name: str, **labels: str) -> float:
        """A sample as a scrape would show it; 0 where there is none."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self.worker.metrics)
        values = [
            sample.value
            for family in registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(values)

    async def counts(self, value: float, name: str, **labels: str) -> None:
        """Wait until a sample has this value: what is counted may be visible to a client before it is."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self.metric(name, **labels) != value:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{name} {labels} is {self.metric(name, **labels)}, not {value}") from None

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work`` on the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)

    def sigterm(self) -> None:
        """What the command line does on SIGTERM."""
        with suppress(RuntimeError):  # it has stopped already
            self._loop.call_soon_threadsafe(self.worker.stop)

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the gateway did not stop"

    def stop(self) -> None:
        if self._thread.is_alive():
            self.sigterm()
            self.sigterm()  # the second one ends at once
        self.join()
        assert not self.faults, self.faults
        tap().settle()
        assert not self.published.faults, self.published.faults[:10]
        assert self.metric("voltgate_disconnects_total", reason="internal") == 0


def config(server: NatsServer, *listeners: dict[str, Any], **sections: Any) -> Config:
    """A configuration with short deadlines; a section given here adds to and beats the one below."""
    open_door = {"host": "127.0.0.1", "port": 0, "allow_unauthenticated": True}
    defaults: dict[str, Any] = {
        "nats": {"url": server.url, "publish_timeout": 2.0, "ask_grace": 0.3, "ask_timeout": 1.5},
        "registry": {"required": False},
        "drain": {"grace": 0.0},
        "admin": {"port": 0},
        "validation": "strict",  # what most tests are about is refused or not at all
    }
    if "stream_prefix" in sections.get("nats", {}):
        # Streams of its own on a server that others share: it reserves what they may hold.
        size = 64 << 20
        defaults["streams"] = {"tx_max_bytes": size, "events_max_bytes": size, "commands_max_bytes": size}
    for name, section in sections.items():
        defaults[name] = defaults.get(name, {}) | section if isinstance(section, dict) else section
    doors = [open_door | listener for listener in listeners or ({},)]
    settings = load(**defaults, listeners=doors)
    return server.guard(settings) if isinstance(server, Guarded) else settings


@contextmanager
def gateway(settings: Config, make_streams: bool = True) -> Iterator[Gateway]:
    running = Gateway(settings, make_streams)
    try:
        yield running
    finally:
        running.stop()


@asynccontextmanager
async def own_gateway(settings: Config, make_streams: bool = True) -> AsyncIterator[Gateway]:
    """The same for one test: its own loop turns on meanwhile."""
    running = await asyncio.to_thread(Gateway, settings, make_streams)
    try:
        yield running
    finally:
        await asyncio.to_thread(running.stop)
