"""A gateway with everything that an SRE may meet: chargers, a backend, commands, nonsense, and faults."""

import asyncio
import contextlib
import json
import random
import re
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig
from websockets import InvalidStatus

from certificates import Authority
from e2e.strangers import Charger, connected, dial, knock, request
from jetstream import NatsServer, free_port
from observe.prometheus import Prometheus
from processes import Voltgate, status
from voltgate.config import Config, load
from voltgate.gateway.bus import streams

CHARGERS = 60
ROGUE = "ROGUE"  # its backend answers nonsense
AUTHORIZE = '[2,"{}","Authorize",{{"idTag":"A1"}}]'
STATUS = '[2,"{}","StatusNotification",{{"connectorId":1,"errorCode":"NoError","status":"Available"}}]'
WRONG = '[2,"{}","StatusNotification",{{"connectorId":"1","errorCode":"NoError","status":"Available"}}]'
NONSENSE = '[2,"{}","Nonsense",{{}}]'


class Scene:
    """NATS, a gateway with two workers, the reference backend, and the Prometheus that scrapes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started = contextlib.ExitStack()
        self.nats = NatsServer(folder / "nats")
        self._started.callback(self.nats.kill)
        self.port, self.admin, self.door, self.secured = (free_port() for _ in range(4))
        self.file = folder / "voltgate.toml"
        self._authority = Authority(folder)
        self._issue(60)
        self._write(8 << 20)
        self.serve: Voltgate
        self.prometheus: Prometheus

    def open(self) -> None:
        """Start the rest."""
        asyncio.run(self._prepare())
        config = ("--config", str(self.file))
        self.serve = self._start("serve", "--workers", "2", *config)
        self.serve.until(self._ready, "both workers are ready")
        self._start("backend", "--except", "Authorize", *config)
        self.prometheus = Prometheus(self.folder / "prometheus", f"127.0.0.1:{self.admin}")
        self._started.callback(self.prometheus.stop)
        self.prometheus.ready()

    def stop(self) -> None:
        """End everything, also where the start failed."""
        self._started.close()

    def _start(self, command: str, *arguments: str) -> Voltgate:
        folder = Path(tempfile.mkdtemp(prefix=command, dir=self.folder))
        started = Voltgate(folder, command, *arguments)
        self._started.callback(started.process.wait)
        self._started.callback(started.process.kill)
        return started

    def _write(self, tx_max_bytes: int) -> None:
        self.file.write_text(
            f'[nats]\nurl = "{self.nats.url}"\npublish_timeout = 2\nwatched_consumers = ["OCPP_TX/billing"]\n'
            f"[registry]\nrequired = false\n[streams]\ntx_max_bytes = {tx_max_bytes}\n"
            f"[limits]\nrejects_per_minute = 1\n[drain]\ngrace = 0\n[admin]\nport = {self.admin}\n"
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {self.port}\nallow_unauthenticated = true\n'
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {self.door}\n'
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {self.secured}\nsecurity_profile = 2\n'
            f"tls_certificates = [{list(self._pair)}]\n"
        )

    @property
    def config(self) -> Config:
        return load(self.file)

    async def _prepare(self) -> None:
        async with self._client() as client:
            await streams.apply(client, self.config)
            consumer = ConsumerConfig(durable_name="billing", ack_policy=AckPolicy.EXPLICIT)
            await client.jsm().add_consumer("OCPP_TX", consumer)

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        client = await connected(self.nats.url)
        try:
            yield client
        finally:
            await client.close()

    def _ready(self) -> bool:
        _, text = status(self.admin, "/readyz?verbose")
        return len(re.findall(r"^\[\+\] worker \d listeners ok$", text, re.MULTILINE)) == 2

    # -- what goes on -------------------------------------------------------------------------------

    def swarm(self, seconds: int, storm: bool = True) -> Voltgate:
        """Simulated chargers that come and talk; ``storm``: all are cut off at half-time, and talk on."""
        words = ("--chargers", str(CHARGERS), "--rate", "60", "--duration", str(seconds))
        url = f"ws://127.0.0.1:{self.port}/ocpp"
        extra = ("--connect-rate", "60", *(["--storm"] if storm else []))
        return self._start("swarm", "--url", url, *words, *extra)

    def trouble(self, done: Callable[[], bool]) -> None:
        """Wrong logins, wrong messages, wrong answers, and commands of every kind until ``done``."""
        asyncio.run(self._trouble(done))

    async def _trouble(self, done: Callable[[], bool]) -> None:
        async with self._client() as client, self._admitted(ROGUE) as rogue:
            await client.subscribe("ocpprpc.ask.*.Authorize.*", "authorize", self._authorize)
            number = 0
            while not done():
                number += 1
                await asyncio.gather(
                    self._wrong_logins(), self._wrong_messages(rogue, number), self._commands(client, number)
                )

    @contextlib.asynccontextmanager
    async def _admitted(self, identity: str) -> AsyncIterator[Charger]:
        """A charger that dials again as long as it gets 503, which it does while NATS was just away."""
        async with contextlib.AsyncExitStack() as stack:
            while True:
                with contextlib.suppress(InvalidStatus):
                    charger = await stack.enter_async_context(dial(self.port, identity))
                    break
                await asyncio.sleep(0.1)
            yield charger

    async def _authorize(self, question: Msg) -> None:
        """Another backend: it accepts everybody, and says nonsense to one."""
        key = "idTagInfo" if ".v16." in question.subject else "idTokenInfo"
        good = json.dumps({key: {"status": "Accepted"}}).encode()
        await question.respond(b'{"x":1}' if question.subject.endswith(ROGUE) else good)

    async def _wrong_logins(self) -> None:
        for path in ("/ocpp/NOBODY", "/ocpp/a:b"):
            async with knock(self.door, request(path)) as answer:
                assert answer.status in (400, 401, 503)
        secured = ssl.create_default_context(cafile=self._authority.file)
        _, writer = await asyncio.open_connection("127.0.0.1", self.secured, ssl=secured)
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    async def _wrong_messages(self, rogue: Charger, number: int) -> None:
        """One more of each kind, and a repeat; a second rogue sends binary and is closed."""
        repeat = STATUS.format(f"s{number}")
        for frame in (WRONG.format(f"w{number}"), NONSENSE.format(f"n{number}"), repeat, repeat):
            await rogue.ask(frame)
        if number % 5 == 1:
            await rogue.ask(AUTHORIZE.format(f"a{number}"))
            async with dial(self.port, "BINARY") as other:
                await other.socket.send(b"x")
                await other.closed()

    async def _commands(self, client: Client, number: int) -> None:
        name = f"SW{number % CHARGERS + 1:05}"
        for action, body in (("ClearCache", b"{}"), ("Reset", b'{"type":"Nonsense"}')):
            with contextlib.suppress(Error):  # no responders: it is not connected now
                await client.request(f"ocpprpc.send.{action}.{name}", body, timeout=5)
        await client.publish(f"ocpprpc.send.ClearCache.{name}", b"{}", reply="elsewhere.x")

    # -- faults -------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        """SIGKILL to one of them."""
        psutil.Process(self.serve.process.pid).children()[0].send_signal(signal.SIGKILL)

    def fill(self) -> None:
        """Publish until ``OCPP_TX`` takes no more."""
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        async with self._client() as client:
            for number in range(1000):
                reply: Any = json.loads(
                    (await client.request("ocpp.tx.v16.X.FULL", random_bytes(number), timeout=5)).data
                )
                if "error" in reply:
                    return
        raise AssertionError("it takes everything")

    def make_room(self) -> None:
        """What the runbook says: a larger stream, by ``voltgate streams apply``."""
        self._write(64 << 20)
        asyncio.run(self._apply())

    async def _apply(self) -> None:
        async with self._client() as client:
            await streams.apply(client, self.config)

    def certify(self, days: int) -> None:
        """Another certificate in the same files, and SIGHUP."""
        self._issue(days)
        self.serve.process.send_signal(signal.SIGHUP)

    def _issue(self, days: int) -> None:
        self._pair = self._authority.issue("listener", ends=timedelta(days=days)).pair

    def storm(self, done: Callable[[], bool]) -> None:
        """Chargers that come and go until ``done``."""
        asyncio.run(self._storm(done))

    async def _storm(self, done: Callable[[], bool]) -> None:
        while not done():
            for number in range(5):
                async with dial(self.port, f"STORM{number}"):
                    pass


def random_bytes(seed: int) -> bytes:
    """A message that does not compress."""
    return random.Random(seed).randbytes(32_000)
