"""NATS servers that tests may hurt: one alone, or a cluster of three. They end with the test's process."""

import asyncio
import fcntl
import itertools
import signal
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TextIO, TypeVar

import nats
import psutil
from nats.aio.client import Client
from nats.js.api import StreamInfo

from voltgate.cli.dev.embedded import find

T = TypeVar("T")
PATIENCE = 60.0  # seconds until a condition that should hold counts as failed
# For nats.connect: fail without an answer, and do not reconnect.
ONCE: dict[str, Any] = {
    "allow_reconnect": False,
    "connect_timeout": 2,
    "max_reconnect_attempts": 1,
    "reconnect_time_wait": 0,
}

# The shell is the server's parent: its end of the pipe closes however the test's process ends, and until it
# has waited for the server, the server's number is nobody else's.
_KEEPER = '"$@" >>"$0" 2>&1 & echo $!; read -r _; kill -KILL $!; wait $!'


def free_port() -> int:
    """A port that nothing listens on, each time another until the block of this process is used up.

    Ports come from below the range of outgoing connections, in blocks that one test process owns at a time,
    so neither another pytest worker nor another checkout takes a port before its server is started.
    """
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the ports repeat for ever")


def _own_ports() -> Iterator[int]:
    """The ports of the first block whose lock file is free; the process keeps the lock until it ends."""
    folder = Path(tempfile.gettempdir(), "voltgate-test-ports")
    folder.mkdir(exist_ok=True)
    for first in range(10_000, 32_000, _BLOCK):
        lock = (folder / str(first)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _locks.append(lock)
        yield from itertools.cycle(range(first, first + _BLOCK))
    raise AssertionError(f"no block of ports is free: {folder}")


_BLOCK = 250
_locks: list[TextIO] = []
_ports = _own_ports()


class NatsServer:
    """A nats-server on 127.0.0.1; :meth:`start` after :meth:`kill` or :meth:`stop` keeps port and store.

    Without ``arguments`` it has JetStream; it stores in ``folder`` unless they name another.
    """

    def __init__(self, folder: Path, arguments: Sequence[str] | None = None, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "nats-server.log"
        given = ("-js",) if arguments is None else arguments
        self._arguments = given if {"-c", "-sd"} & {*given} else ("-sd", str(folder), *given)
        self._keeper: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Return when it greets."""
        assert self._keeper is None, "it runs already"
        server = [str(find()), "-a", "127.0.0.1", "-p", str(self.port), *self._arguments]
        pipe = subprocess.PIPE
        keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, str(self.log), *server],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert keeper.stdout is not None
        self._keeper, self.process = keeper, psutil.Process(int(keeper.stdout.readline()))
        until(self._greets, f"nats-server greets on {self.port}")

    def _greets(self) -> bool:
        if not self.runs:
            self.kill()
            raise AssertionError(f"nats-server ended:\n{self.log.read_text()[-2000:]}")
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port), 1)) as client:
            return client.recv(4) == b"INFO"
        return False

    @property
    def runs(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._keeper is not None and self.process.status() != psutil.STATUS_ZOMBIE

    @property
    def answers(self) -> bool:
        """Whether it runs and is not frozen."""
        return self.runs and self.process.status() != psutil.STATUS_STOPPED

    def stop(self) -> None:
        """SIGTERM: a clean end, complete on return."""
        self.process.send_signal(signal.SIGTERM)
        until(lambda: not self.runs, "nats-server stops")
        self.kill()

    def kill(self) -> None:
        """SIGKILL: clients are not informed."""
        if self._keeper is not None:
            self._keeper.communicate()  # closes its input
            self._keeper = None

    def lame_duck(self) -> None:
        """It announces its end, takes no new connections, and ends by itself after some seconds."""
        subprocess.run([str(find()), "--signal", f"ldm={self.process.pid}"], check=True)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self.process.suspend()
        # The signal takes its time.
        until(lambda: self.process.status() == psutil.STATUS_STOPPED, "nats-server freezes")

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.resume()


class Cluster:
    """Three servers, one JetStream: what has three replicas stays while two of them do.

    They do not advertise each other to clients, so that each can be behind a proxy.
    """

    def __init__(self, folder: Path) -> None:
        routes = [free_port() for _ in range(3)]
        peers = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
        self.nodes = {
            name: NatsServer(
                folder / name,
                [
                    "-js",
                    "-n",
                    name,
                    "--no_advertise",
                    "--cluster_name",
                    "tests",
                    "--cluster",
                    f"nats://127.0.0.1:{port}",
                    "--routes",
                    peers,
                ],
            )
            for name, port in zip(("one", "two", "three"), routes, strict=True)
        }

    @property
    def urls(self) -> list[str]:
        """Every node's address."""
        return [node.url for node in self.nodes.values()]

    def kill(self) -> None:
        """All of them."""
        for node in self.nodes.values():
            node.kill()

    async def ready(self) -> None:
        """Wait for a meta leader: streams can be made and asked about."""
        await self._ask(lambda client: client.jsm().account_info())

    async def leader(self, stream: str) -> NatsServer:
        """Wait for a leader of ``stream``, and give it."""
        return self.nodes[_leads(await self._state(stream, _leads))]

    async def whole(self, stream: str) -> None:
        """Wait until every replica of ``stream`` has all of it."""
        await self._state(stream, lambda info: len(_current(info)) == info.config.num_replicas)

    async def step_down(self, stream: str) -> None:
        """Its leader gives up; returns when another one leads."""
        before = _leads(await self._state(stream, _leads))

        async def give_up(client: Client) -> None:
            await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", b"", timeout=2)

        await self._ask(give_up)
        await self._state(stream, lambda info: _leads(info) not in ("", before))

    async def _state(self, stream: str, holds: Callable[[StreamInfo], object]) -> StreamInfo:
        async def asked(client: Client) -> StreamInfo:
            info = await client.jsm().stream_info(stream)
            if not holds(info):
                raise nats.errors.Error(f"not yet: {info.cluster}")
            return info

        return await self._ask(asked)

    async def _ask(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """What a client of any node that lives gets; asked until it gets something."""

        async def quiet(error: Exception) -> None:
            del error  # nodes come and go

        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(nats.errors.Error, OSError, TimeoutError):
                    urls = [node.url for node in self.nodes.values() if node.answers]
                    client = await nats.connect(urls, error_cb=quiet, **ONCE)
                    try:
                        return await ask(client)
                    finally:
                        await client.close()
                await asyncio.sleep(0.05)


def _leads(info: StreamInfo) -> str:
    return (info.cluster.leader if info.cluster else "") or ""


def _current(info: StreamInfo) -> list[str]:
    """Nodes with the complete stream: the leader and current followers."""
    replicas = (info.cluster.replicas if info.cluster else None) or []
    names = [_leads(info), *(str(peer.name) for peer in replicas if peer.current and not peer.offline)]
    return [name for name in names if name]


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < deadline, f"not in time: {what}"
        sleep(0.01)
