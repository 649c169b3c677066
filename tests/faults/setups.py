"""Real processes around one JetStream: NATS, gateways with proxies on both sides, the reference backend."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from faults.process import Process
from jetstream import Cluster, NatsServer, free_port
from postgres import PostgresServer
from processes import VOLTGATE, run_voltgate
from proxy import Proxy

SETTLE_AFTER = 2.0  # csms.settle_after
MUTANT = (sys.executable, str(Path(__file__).with_name("mutant.py")))


@dataclass(frozen=True)
class Setup:
    """``command`` runs a gateway: the product, or what a test puts in its place."""

    name: str
    gateways: int = 2
    workers: int = 1
    nodes: int = 1
    books: bool = False
    """Whether a ledger on PostgreSQL keeps the books."""
    command: tuple[str, ...] = VOLTGATE


SETUPS = {
    "gateways": Setup("two gateways, one nats-server"),
    "workers": Setup("two workers of one supervisor, one nats-server", gateways=1, workers=2),
    "cluster": Setup("two gateways, three nats-servers", nodes=3),
    "books": Setup("two gateways, one nats-server, a ledger on PostgreSQL", books=True),
}


class Gateway(Process):
    """``voltgate serve`` behind proxies: chargers dial ``door``, it dials ``wires``, one for each node."""

    def __init__(self, setup: Setup, number: int, folder: Path, nodes: list[NatsServer]) -> None:
        port, self._admin = free_port(), free_port()
        self.wires = [Proxy(node.port) for node in nodes]
        self.door = Proxy(port)
        self.file = folder / f"gateway{number}.toml"
        self.file.write_text(
            _CONFIG.format(
                nats=json.dumps([wire.nats for wire in self.wires]),
                port=port,
                admin=self._admin,
                replicas=len(nodes),
            )
        )
        command = [*setup.command, "serve", "--config", str(self.file)]
        if setup.workers > 1:
            command += ["--workers", str(setup.workers)]
        super().__init__(f"gateway {number}", folder / f"gateway{number}.log", command)

    # What happens to a gateway happens to its supervisor and all workers; a fault may choose one of them.

    def kill(self) -> int:
        """SIGKILL; all processes have ended when it returns."""
        workers = self.workers
        code = super().kill()
        for worker in workers:
            _unless_gone(worker.kill)
        psutil.wait_procs(workers, 10)
        return code

    def kill_supervisor(self) -> list[psutil.Process]:
        """SIGKILL to it alone; gives the workers, which are to end by themselves."""
        workers = self.workers
        super().kill()
        return workers

    def freeze(self) -> None:
        for process in (*self.workers, self.process):
            _unless_gone(process.suspend)

    def thaw(self) -> None:
        for process in (*self.workers, self.process):
            _unless_gone(process.resume)

    @property
    def workers(self) -> list[psutil.Process]:
        """Of a supervisor; a gateway that has none is its own."""
        return self.process.children() if self.runs else []

    async def ready(self) -> bool:
        """Whether it takes chargers."""
        address = f"http://127.0.0.1:{self._admin}/readyz"
        timeout = aiohttp.ClientTimeout(2)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(address) as answer:
                return answer.status == 200
        return False

    @property
    def proxies(self) -> list[Proxy]:
        return [self.door, *self.wires]


class House:
    """The running set-up."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup = setup
        self.cluster = Cluster(folder / "nats") if setup.nodes == 3 else None
        self.nodes = list(self.cluster.nodes.values()) if self.cluster else [NatsServer(folder / "nats")]
        self.gateways = [Gateway(setup, number, folder, self.nodes) for number in range(setup.gateways)]
        file = folder / "backend.toml"
        file.write_text(f"[nats]\nurl={json.dumps(self.urls)}\n[streams]\nreplicas={setup.nodes}\n" + _ROOM)
        self._file = file
        log = folder / "backend.log"
        self.backend = Process("backend", log, [*VOLTGATE, "backend", "--config", str(file)])
        self.database, self.ledger = None, None
        if setup.books:
            self.database = PostgresServer()
            command = [*VOLTGATE, "csms", "ledger", "--config", str(file)]
            self.ledger = Process("ledger", folder / "ledger.log", command)

    @property
    def urls(self) -> list[str]:
        """NATS without the fault proxy."""
        return [node.url for node in self.nodes]

    @property
    def doors(self) -> list[str]:
        """Where chargers dial."""
        return [f"ws://127.0.0.1:{gateway.door.port}" for gateway in self.gateways]

    @property
    def processes(self) -> list[Process]:
        ours = [*self.gateways, self.backend]
        return ours if self.ledger is None or self.database is None else [*ours, self.database, self.ledger]

    @property
    def logs(self) -> dict[str, Path]:
        """Where everybody's words are."""
        nodes = {f"nats-server {number}": node.log for number, node in enumerate(self.nodes)}
        return {process.name: process.log for process in self.processes} | nodes

    async def start(self) -> None:
        if self.cluster:
            await self.cluster.ready()
        await asyncio.to_thread(run_voltgate, "streams", "apply", "--config", str(self._file))
        if self.database is not None:
            await asyncio.to_thread(self.database.start)
            url = json.dumps(self.database.new_database())
            with self._file.open("a") as file:
                file.write(f"[csms]\ndatabase={url}\ntick_seconds=0.5\nsettle_after={SETTLE_AFTER}\n")
        for process in self.processes:
            if process is not self.database:
                process.start()

    async def whole(self) -> bool:
        """Whether every gateway takes chargers and every node leads or follows closely."""
        if not all([await gateway.ready() for gateway in self.gateways]):
            return False
        if self.cluster:
            for stream in ("OCPP_TX", "OCPP_COMMANDS", "OCPP_LINKS"):
                await self.cluster.whole(stream)
        return True

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        if self.database is not None:
            self.database.remove()
        for node in self.nodes:
            node.kill()
        for gateway in self.gateways:
            for proxy in gateway.proxies:
                proxy.stop()


def _unless_gone(strike: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        strike()


@asynccontextmanager
async def running(setup: Setup, folder: Path) -> AsyncIterator[House]:
    """A set-up of its own in ``folder``; every process is gone afterwards."""
    house = House(setup, folder)
    try:
        await house.start()
        yield house
    finally:
        await asyncio.to_thread(house.stop)


_ROOM = "tx_max_bytes=268435456\nevents_max_bytes=268435456\ncommands_max_bytes=268435456\n"
# Deadlines are short so that fifty faults fit into minutes; what is promised does not depend on them.
_CONFIG = (
    """[nats]
url = {nats}
publish_timeout = 3.0
ask_timeout = 3.0
ask_grace = 1.0
outage_close = 4.0
[[listeners]]
host = "127.0.0.1"
port = {port}
allow_unauthenticated = true
[registry]
required = false
[limits]
calls_per_second = 200
ping_interval = 3.0
ping_timeout = 3.0
[drain]
grace = 0.0
[admin]
port = {admin}
[streams]
replicas = {replicas}
"""
    + _ROOM
)
