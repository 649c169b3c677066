"""The target: `voltgate serve` with two workers, a nats-server with three users, the reference backend.

It has a listener for each kind of attack: with and without credentials, TLS, mutual TLS, load balancer.
"""

import csv
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import psutil
from nats.aio.client import Client

from attack import certificates
from attack.conditions import Conditions
from faults.process import Process, tail
from jetstream import NatsServer, free_port
from processes import VOLTGATE, run_voltgate, status

PASSWORD = "0123456789abcdef0123456789abcdef01234567"
ACCOUNTS = ("sha256", "argon2", "disabled")
"""Identities in the registry that attackers know, by what their records hold; their password is PASSWORD."""
STORM = [f"STORM-{number:04}" for number in range(2000)]
"""Registered chargers that connect when an attack lets them."""
TRUSTED = "127.0.0.9"
"""The address of the load balancer."""
PING_INTERVAL = PING_TIMEOUT = 3.0
HANDSHAKE_TIMEOUT = 4.0
MAX_BUFFERED_BYTES = 64 << 20
WORKERS = 2

# `caller` may send commands and read facts; `forger` may publish everything, the gateway's inbox too.
_NATS = """
host: 127.0.0.1
port: %(port)d
jetstream { store_dir: "%(folder)s", max_file_store: 8589934592 }
authorization { users: [
  { user: gateway, password: gateway }
  { user: forger, password: forger }
  { user: caller, password: caller, permissions: {
    publish: ["ocpprpc.send.>", "ocpprpc.link.kick.>", "ocpprpc.link.probe.>", "ocpprpc.ask.>"]
    subscribe: ["ocpp.>"] } }
] }
"""
# Heartbeats are stored too, so that every answered CALL of a charger can be counted in the streams.
_CONFIG = """
[nats]
url = "nats://gateway:gateway@127.0.0.1:{nats}"
[[listeners]]
host = "127.0.0.1"
port = {open}
allow_unauthenticated = true
[[listeners]]
host = "127.0.0.1"
port = {closed}
[[listeners]]
host = "127.0.0.1"
port = {tls}
security_profile = 2
{tls_certificates}
[[listeners]]
host = "127.0.0.1"
port = {mutual}
security_profile = 3
{mutual_certificates}
[[listeners]]
host = "127.0.0.1"
port = {balanced}
security_profile = 3
proxy_protocol = true
trusted_proxies = ["{trusted}"]
[registry]
required = false
[limits]
ping_interval = {ping_interval}
ping_timeout = {ping_timeout}
handshake_timeout = {handshake_timeout}
max_buffered_bytes = {max_buffered_bytes}
[drain]
grace = 0.0
[admin]
port = {admin}
[streams]
tx_max_bytes = {tx_bytes}
[policy.v16.Heartbeat]
class = "event"
[policy.v201.Heartbeat]
class = "event"
[policy.v21.Heartbeat]
class = "event"
"""


@dataclass(frozen=True)
class Ports:
    """Where everything listens on 127.0.0.1.

    ``closed`` wants credentials, ``open`` does not; ``tls`` is security profile 2, ``mutual`` profile 3, and
    ``balanced`` profile 3 behind a load balancer at the address TRUSTED. ``certificates`` is the folder of
    :mod:`attack.certificates`.
    """

    certificates: str
    open: int
    closed: int
    tls: int
    mutual: int
    balanced: int
    admin: int
    nats: int

    def nats_url(self, user: str) -> str:
        """The nats-server for one of its users."""
        return f"nats://{user}:{user}@127.0.0.1:{self.nats}"


class Target:
    """Made by :func:`running`."""

    def __init__(self, folder: Path, conditions: Conditions, good: list[str]) -> None:
        self.ports = Ports(str(folder), *(free_port() for _ in range(7)))
        self._folder, self._good = folder, good
        mutual = certificates.make(folder)
        config = folder / "voltgate.toml"
        config.write_text(
            _CONFIG.format(
                **vars(self.ports),
                trusted=TRUSTED,
                tls_certificates=mutual[0],
                mutual_certificates="\n".join(mutual),
                tx_bytes=conditions.tx_bytes,
                ping_interval=PING_INTERVAL,
                ping_timeout=PING_TIMEOUT,
                handshake_timeout=HANDSHAKE_TIMEOUT,
                max_buffered_bytes=MAX_BUFFERED_BYTES,
            )
        )
        conf = folder / "nats.conf"
        conf.write_text(_NATS % {"port": self.ports.nats, "folder": folder / "jetstream"})
        self._nats = NatsServer(folder / "nats", ["-c", str(conf)], self.ports.nats)
        self._given = ["--config", str(config)]
        self.log = folder / "gateway.log"
        serve = [*VOLTGATE, "serve", "--workers", str(WORKERS), *self._given]
        if conditions.descriptors:
            serve = ["sh", "-c", f'ulimit -n {conditions.descriptors} && exec "$@"', "sh", *serve]
        self._gateway = Process("gateway", self.log, serve)
        self._backend = Process("backend", folder / "backend.log", [*VOLTGATE, "backend", *self._given])

    def start(self) -> None:
        """Make streams and records, start the processes."""
        run_voltgate("streams", "apply", *self._given)
        sha256, argon2, disabled = ACCOUNTS
        # Every tenth has a password that a person chose; its memory is part of the rest value.
        chosen = [*self._good[::10], argon2]
        random = [identity for identity in (*self._good, sha256, *STORM) if identity not in chosen]
        rows = [(identity, PASSWORD, "true", "") for identity in random]
        rows += [(disabled, PASSWORD, "false", ""), (certificates.MUTUAL, PASSWORD, "true", "3")]
        self._import("random.csv", rows, "--random-keys")
        self._import("chosen.csv", [(identity, PASSWORD, "true", "") for identity in chosen])
        self._gateway.start()
        self._backend.start()

    def stop(self) -> None:
        """End every process."""
        workers = self.workers
        for process in (self._gateway, self._backend):
            process.kill()
        psutil.wait_procs(workers, 10)  # they end with their supervisor
        self._nats.kill()

    def _import(self, name: str, rows: Iterable[tuple[str, str, str, str]], *options: str) -> None:
        file = self._folder / name
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([("identity", "password", "enabled", "security_profile"), *rows])
        run_voltgate("chargers", "import", str(file), *options, *self._given)

    @property
    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return self._gateway.process.children() if self._gateway.runs else []

    @property
    def pids(self) -> frozenset[int]:
        """Of the workers: a restarted one has another."""
        return frozenset(worker.pid for worker in self.workers)

    @property
    def rss(self) -> int:
        """Bytes of resident memory of all workers."""
        return sum(_rss(worker) for worker in self.workers)

    @property
    def ready(self) -> bool:
        """Whether every worker accepts chargers."""
        code, text = status(self.ports.admin, "/readyz?verbose")
        ready = [line for line in text.splitlines() if "[+] worker" in line and " listeners" in line]
        return code == 200 and len(ready) == WORKERS

    @property
    def last_words(self) -> str:
        """The end of the gateway's log."""
        return tail("gateway", self.log)

    async def stored(self) -> int:
        """How many CALLs of the well-behaved chargers are in the streams."""
        count = 0
        async with connected(self.ports.nats_url("gateway")) as client:
            for stream, root in (("OCPP_TX", "ocpp.tx"), ("OCPP_EVENTS", "ocpp.event")):
                count += sum(
                    number
                    for subject, number in (await subjects(client, stream, f"{root}.>")).items()
                    if subject.split(".")[4].startswith("GOOD")
                    and not subject.split(".")[3].endswith("Response")
                )
        return count


async def subjects(client: Client, stream: str, pattern: str) -> dict[str, int]:
    """Messages in ``stream`` by subject."""
    request = json.dumps({"subjects_filter": pattern}).encode()
    answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", request, timeout=10)
    found: dict[str, Any] = json.loads(answer.data)
    return found["state"].get("subjects") or {}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A NATS client."""
    client = await nats.connect(url)
    try:
        yield client
    finally:
        await client.close()


def tracebacks(log: Path) -> int:
    """Exceptions in a log of the gateway; an attacker causes none."""
    return log.read_text(errors="replace").count("Traceback (most recent call last)")


@contextmanager
def running(folder: Path, conditions: Conditions, good: list[str]) -> Iterator[Target]:
    """A target of its own in ``folder``; every process has ended afterwards."""
    target = Target(folder, conditions, good)
    try:
        target.start()
        yield target
    finally:
        target.stop()


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
