"""What a charger costs those that know of every charger: interest in a NATS cluster, links in a worker.

Used by ``million.py``. Interest needs no gateway and no charger; for links, a real worker follows those of a
gateway that exists in the streams only.
"""

import asyncio
import json
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nats
import psutil
import servers
from servers import free_ports

from voltgate.cli.dev.embedded import find

TIMEOUT = 120.0
A_WORKER = 15_000  # chargers; a worker has one connection to NATS
SUBJECTS = ("ocpprpc.send.*.{}", "ocpprpc.link.*.{}")  # of each charger
FAR = "far-1-00000000"  # a gateway that only its sign of life knows


@dataclass(frozen=True)
class Interest:
    """Of one subscription: bytes and CPU microseconds at its own server and at each other one."""

    local_bytes: float
    remote_bytes: float
    local_us: float
    remote_us: float
    restart_us: float
    """Microseconds that a server which starts takes for each, until it knows all."""


@dataclass(frozen=True)
class Following:
    """Of one link of another gateway: bytes and CPU microseconds in a worker; the same at its start."""

    bytes: float
    us: float
    start_us: float
    nats_us: float
    """In nats-server, for each link and worker that follows."""


@dataclass(frozen=True)
class Asking:
    """Of one link that is read when it is needed: CPU microseconds in nats-server, seconds for all."""

    nats_us: float
    seconds: float


@dataclass
class Cluster:
    """Three servers with JetStream."""

    processes: list[psutil.Popen]
    ports: list[int]
    monitors: list[int]
    start: Callable[[int], psutil.Popen]

    @property
    def urls(self) -> list[str]:
        """Of all of them."""
        return [f"nats://127.0.0.1:{port}" for port in self.ports]

    def cpu(self) -> list[float]:
        """Seconds of each."""
        return [servers.cpu_of(process) for process in self.processes]

    def rss(self) -> list[int]:
        """Bytes of each."""
        return [process.memory_info().rss for process in self.processes]

    def subscriptions(self, number: int) -> int:
        """How many a server knows, its own and those of others; -1 while it does not answer."""
        with suppress(OSError):
            return int(_get(f"http://127.0.0.1:{self.monitors[number]}/subsz")["num_subscriptions"])
        return -1


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as response:
        found: dict[str, Any] = json.load(response)
        return found


def until(holds: Callable[[], bool], what: str, every: float = 0.02) -> None:
    """Wait until it holds, which is asked ``every`` so many seconds. Raises TimeoutError."""
    end = time.monotonic() + TIMEOUT
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(every)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Three servers on loopback, until the block ends."""
    with ExitStack() as stack:
        room = Path(stack.enter_context(TemporaryDirectory(prefix="voltgate-bench-")))
        ports, routes, monitors = free_ports(3), free_ports(3), free_ports(3)

        def start(number: int) -> psutil.Popen:
            text = {
                "server_name": f"n{number}",
                "host": "127.0.0.1",
                "port": ports[number],
                "http": f"127.0.0.1:{monitors[number]}",
                "jetstream": {"store_dir": str(room / str(number)), "max_file_store": 64 << 30},
                "cluster": {
                    "name": "bench",
                    "host": "127.0.0.1",
                    "port": routes[number],
                    "routes": [f"nats://127.0.0.1:{port}" for port in routes],
                },
            }
            file = room / f"{number}.conf"
            file.write_text(json.dumps(text))
            return psutil.Popen([str(find()), "--config", str(file)], stderr=subprocess.DEVNULL)

        made = Cluster([start(number) for number in range(3)], ports, monitors, start)
        try:
            until(lambda: all(_healthy(port) for port in monitors), "the cluster is healthy")
            yield made
        finally:
            for process in made.processes:
                process.kill()
                process.wait()


def _healthy(port: int) -> bool:
    with suppress(OSError):
        return bool(_get(f"http://127.0.0.1:{port}/healthz")["status"] == "ok")
    return False


def interest(chargers: int) -> Interest:
    """Subscribe at the first of three servers as gateways with so many chargers do; restart the third."""
    with cluster() as running:
        before, cpu, rss = running.subscriptions(2), running.cpu(), running.rss()
        return asyncio.run(_interest(running, chargers, before, cpu, rss))


async def _interest(
    running: Cluster, chargers: int, before: int, cpu: list[float], rss: list[int]
) -> Interest:
    count = chargers * len(SUBJECTS)
    async with _subscribed(running.ports[0], chargers):
        await asyncio.to_thread(until, lambda: running.subscriptions(2) >= before + count, "interest")
        own, *others = (now - then for now, then in zip(running.cpu(), cpu, strict=True))
        mine, *theirs = (now - then for now, then in zip(running.rss(), rss, strict=True))
        running.processes[2].kill()
        running.processes[2].wait()
        running.processes[2] = running.start(2)
        began = time.monotonic()
        await asyncio.to_thread(until, lambda: running.subscriptions(2) >= count, "interest after a restart")
        restart = time.monotonic() - began
    return Interest(
        mine / count,
        sum(theirs) / 2 / count,
        own / count * 1e6,
        sum(others) / 2 / count * 1e6,
        restart / count * 1e6,
    )


@asynccontextmanager
async def _subscribed(port: int, chargers: int) -> AsyncIterator[None]:
    """Connections with the subscriptions of so many chargers."""
    connections = []
    try:
        for first in range(0, chargers, A_WORKER):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            connections.append((reader, writer))  # a reader that is collected closes its connection
            await reader.readline()
            writer.write(b'CONNECT {"verbose":false}\r\n')
            for number in range(first, min(first + A_WORKER, chargers)):
                lines = (f"SUB {subject.format(f'CP{number:07}')} {number * 2 + place}\r\n"
                         for place, subject in enumerate(SUBJECTS))  # fmt: skip
                writer.write("".join(lines).encode())
                await writer.drain()
            writer.write(b"PING\r\n")
            while (line := await reader.readline()) != b"PONG\r\n":
                if not line or line.startswith(b"-ERR"):
                    raise ConnectionError(line.decode())
                if line == b"PING\r\n":
                    writer.write(b"PONG\r\n")
        yield
    finally:
        for _, writer in connections:
            writer.close()


def link(number: int, session: str) -> tuple[str, bytes]:
    """Subject and body of an ``up`` of a charger of FAR."""
    body = {"state": "up", "identity": f"CP{number:07}", "session": session, "gateway": FAR}
    return f"ocpp.link.CP{number:07}", json.dumps(
        body | {"version": "v16", "at": "2026-01-01T00:00:00Z"}
    ).encode()


def following(links: int) -> Following:
    """A worker that starts beside so many chargers of another gateway, which then all connect again."""
    with servers.voltgate() as server:
        empty, quiet = server.rss(), server.cpu()
    with servers.voltgate(prepared=lambda url: asyncio.run(_published(url, links, "first"))) as server:
        server.rest()
        rss, start = server.rss(), server.cpu()
        nats_before, before = server.nats_cpu(), server.cpu()
        asyncio.run(_published(server.url, links, "second"))
        server.rest()
        again, beside = server.cpu() - before, server.nats_cpu() - nats_before
    with servers.voltgate(prepared=lambda url: asyncio.run(_published(url, 1, "first"))) as server:
        server.process.terminate()
        server.process.wait()
        nats_before = server.nats_cpu()
        asyncio.run(_published(server.url, links, "second"))
        alone = server.nats_cpu() - nats_before
    each = 1e6 / links
    return Following(
        (rss - empty) / links, again * each, (start - quiet) * each, max(beside - alone, 0.0) * each
    )


async def _published(url: str, links: int, session: str) -> None:
    """The links of FAR, and its sign of life."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    await jetstream.publish(f"$KV.ocpp_gateways.{FAR}", b"{}")
    for number in range(links):
        await client.publish(*link(number, session))
        if number % 500 == 499:
            await jetstream.publish(f"$KV.ocpp_gateways.{FAR}", b"{}")
    subject, body = link(links, session)
    await jetstream.publish(subject, body)
    await client.close()


def asking(links: int) -> Asking:
    """Read so many links one by one, a hundred at a time: what a worker would do that does not follow."""
    with servers.voltgate(prepared=lambda url: asyncio.run(_published(url, links, "first"))) as server:
        server.rest()
        return asyncio.run(_asked(server, links))


async def _asked(server: servers.Server, links: int) -> Asking:
    client = await nats.connect(server.url)
    before, began = server.nats_cpu(), time.monotonic()
    for first in range(0, links, 100):
        subjects = (link(number, "")[0] for number in range(first, min(first + 100, links)))
        await asyncio.gather(
            *(
                client.request(f"$JS.API.DIRECT.GET.OCPP_LINKS.{subject}", b"", timeout=10)
                for subject in subjects
            )
        )
    seconds, cpu = time.monotonic() - began, server.nats_cpu() - before
    await client.close()
    return Asking(cpu / links * 1e6, seconds)
