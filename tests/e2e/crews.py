"""``voltgate serve --workers 2`` as real processes, and the chargers that they hold."""

import asyncio
import itertools
import json
import re
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
from nats.aio.msg import Msg
from prometheus_client.parser import text_string_to_metric_families
from websockets import InvalidMessage, InvalidStatus

from e2e.house import PATIENCE, config
from e2e.strangers import Charger, dial, until
from jetstream import NatsServer, free_port
from processes import Voltgate, status

STATUS = '[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
_numbers = itertools.count(1)

Crews = Callable[..., "Crew"]


class Crew:
    """A supervisor with two workers."""

    def __init__(self, folder: Path, nats: NatsServer, **settings: Any) -> None:
        self.port, self.admin = settings.get("port") or free_port(), settings.get("admin") or free_port()
        streams, grace = settings.get("streams", "OCPP"), settings.get("grace", 0.0)
        (url,) = config(nats, nats={"stream_prefix": streams}).nats.urls
        self.file = folder / "voltgate.toml"
        self.file.write_text(
            f'[nats]\nurl = "{url}"\nstream_prefix = "{streams}"\n[registry]\nrequired = false\n'
            f'[admin]\nport = {self.admin}\n[[listeners]]\nhost = "127.0.0.1"\nport = {self.port}\n'
            f"allow_unauthenticated = true\n[drain]\ngrace = {grace}\n{settings.get('more', '')}"
        )
        self.serve = Voltgate(folder, "serve", "--workers", "2", "--config", str(self.file))

    def ready(self) -> "Crew":
        """Once both workers are."""
        self.serve.until(lambda: all(self.check(worker, "listeners") == "ok" for worker in "01"), "ready")
        return self

    def check(self, worker: str, name: str) -> str:
        """What /readyz?verbose says of one worker: ``ok``, or what is wrong."""
        _, text = status(self.admin, "/readyz?verbose")
        found = re.search(rf"^\[[+-]\] worker {worker} {name}(?:: | )(.*)$", text, re.MULTILINE)
        return found[1] if found else ""

    def sample(self, name: str, **labels: str) -> list[tuple[str, float]]:
        """(worker, value) of each sample with these labels."""
        _, text = status(self.admin, "/metrics")
        return [
            (sample.labels.get("worker", ""), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    @property
    def pids(self) -> set[int]:
        """Its workers'."""
        return {child.pid for child in psutil.Process(self.serve.process.pid).children()}

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its log lines of this event."""
        lines = [json.loads(line) for line in self.serve.err.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    async def exit_code(self) -> int:
        return await asyncio.to_thread(self.serve.process.wait, PATIENCE)

    def end(self) -> None:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.serve.process.pid).children():
                child.kill()
        self.serve.process.kill()
        self.serve.process.wait()


class Links:
    """The newest link of every charger, as NATS tells it."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, Any]] = {}

    async def hear(self, message: Msg) -> None:
        link = json.loads(message.data)
        self.last[link["identity"]] = link

    @property
    def up(self) -> list[str]:
        """Who is connected; a charger of another test may be told to be gone meanwhile."""
        return [identity for identity in self.last if self.state(identity) == "up"]

    def state(self, identity: str) -> str:
        return str(self.last.get(identity, {}).get("state", ""))

    def pid(self, identity: str) -> int:
        """Of the process that holds it: a gateway's name is host, pid, chance."""
        return int(self.last[identity]["gateway"].split("-")[-2])


async def when_let_in(port: int, identity: str, dialled: AsyncExitStack) -> Charger:
    """Dial until a worker has room. What the kernel gave to the socket of a dead one is reset: dial again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(InvalidStatus, InvalidMessage, ConnectionError):
                return await dialled.enter_async_context(dial(port, identity))


async def spread(crew: Crew, links: Links, dialled: AsyncExitStack) -> dict[int, tuple[str, Charger]]:
    """Chargers dial until each worker has one: pid -> identity and charger."""
    held: dict[int, tuple[str, Charger]] = {}
    async with asyncio.timeout(PATIENCE):
        while len(held) < 2:
            identity = f"crew {next(_numbers)}"
            charger = await when_let_in(crew.port, identity, dialled)
            await until(lambda who=identity: links.state(who) == "up")  # type: ignore[misc]
            held.setdefault(links.pid(identity), (identity, charger))
    return held
