"""The contenders as separate processes, pinned to one core; load and nats-server use the others.

Starts them as their users do (``voltgate serve``, a release build, metrics on) and measures
them from outside: CPU from the process's clock, resident memory from /proc.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from voltgate.cli.dev.embedded import find
from voltgate.gateway.bus.subscriptions import Client

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from jetstream import free_port

HERE = Path(__file__).parent
TARGET = HERE.parent / "target/load"  # of the load client; `make clean` removes it
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = set(CORES[:1])
OTHER_CORES = set(CORES[1:]) or SERVER_CORES
TIMEOUT = 30.0  # seconds for a server to start, or to become idle
STREAM = "OCPP_TX"

# Rate limits are raised, because one charger here sends as much as hundreds.
CONFIG = """
[nats]
url = "nats://127.0.0.1:{nats}"
[[listeners]]
host = "127.0.0.1"
port = {port}
allow_unauthenticated = true
[registry]
required = false
[limits]
max_connections = 18000
calls_per_second = 1e6
handshakes_per_second = 1e6
[admin]
port = {admin}
[drain]
rate = 500
grace = {grace}
"""
LIVE = '[policy.v16.MeterValues]\nclass = "live"\n'


@dataclass
class Server:
    """One running contender."""

    port: int
    process: psutil.Process
    stored: Callable[[], int] = int
    """How many messages JetStream holds of class tx."""
    log: Path | None = None
    admin: int = 0
    config: Path | None = None
    nats: psutil.Process | None = None
    """The nats-server beside it."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of every load that dials it."""
    url: str = ""
    """Of that nats-server."""

    def cpu(self) -> float:
        """Seconds of CPU that the process and its children have used."""
        return sum(map(cpu_of, (self.process, *self.process.children(recursive=True))))

    def nats_cpu(self) -> float:
        """Seconds of CPU that the nats-server beside it has used; 0 without one."""
        return cpu_of(self.nats) if self.nats is not None else 0.0

    def rss(self) -> int:
        """Bytes of resident memory."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)

    def rest(self) -> None:
        """Wait until the server is idle: a fifth of a second with almost no CPU."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            before = self.cpu()
            time.sleep(0.2)
            if self.cpu() - before < 0.01:
                return


@contextmanager
def floor() -> Iterator[Server]:
    """See peers/floor.py."""
    with _script("floor.py") as server:
        yield server


@contextmanager
def mobilityhouse() -> Iterator[Server]:
    """See peers/mobilityhouse.py."""
    with _script("mobilityhouse.py") as server:
        yield server


SERVE = ("-m", "voltgate", "serve")


@contextmanager
def voltgate(
    extra: str = "",
    launch: tuple[str, ...] = SERVE,
    cores: set[int] = SERVER_CORES,
    grace: float = 0.0,
    prepared: Callable[[str], None] = lambda url: None,
) -> Iterator[Server]:
    """The gateway with its own nats-server; ``extra`` is appended to its configuration.

    ``prepared`` is called with the URL of nats-server before the gateway starts.
    """
    with ExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voltgate-bench-")))
        nats, monitor, port, admin = free_ports(4)
        store = {"store_dir": str(room / "jetstream"), "max_file_store": 64 << 30}
        (room / "nats.conf").write_text(
            json.dumps(
                {"host": "127.0.0.1", "port": nats, "http": f"127.0.0.1:{monitor}", "jetstream": store}
            )
        )
        config = room / "voltgate.toml"
        config.write_text(CONFIG.format(nats=nats, port=port, admin=admin, grace=grace) + extra)
        tomllib.loads(config.read_text())
        nats_server = [str(find()), "--config", str(room / "nats.conf")]
        beside = stack.enter_context(running(nats_server, OTHER_CORES))
        _until(partial(fetch, f"http://127.0.0.1:{monitor}/healthz"), "nats-server")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VOLTGATE_")}
        apply = [sys.executable, "-m", "voltgate", "streams", "apply", "--config", str(config)]
        subprocess.run(apply, check=True, stdout=subprocess.DEVNULL, env=environment)
        prepared(url := f"nats://127.0.0.1:{nats}")
        command = [sys.executable, *launch, "--config", str(config)]
        log = room / "gateway.log"
        process = stack.enter_context(running(command, cores, environment, log))
        _until(partial(fetch, f"http://127.0.0.1:{admin}/readyz"), "voltgate", log)
        yield Server(port, process, partial(_stored, monitor), log, admin, config, beside, url=url)


@contextmanager
def voltgate_live() -> Iterator[Server]:
    """The gateway with MeterValues in class live: published, not stored."""
    with voltgate(LIVE) as server:
        yield server


@contextmanager
def _script(name: str) -> Iterator[Server]:
    with listening([sys.executable, str(HERE / "peers" / name)], name) as server:
        yield server


@contextmanager
def listening(command: list[str], name: str) -> Iterator[Server]:
    """A server whose last argument is its port."""
    (port,) = free_ports(1)
    with running([*command, str(port)], SERVER_CORES) as process:
        _until(partial(_listens, port), name)
        yield Server(port, process)


@contextmanager
def running(
    command: list[str], cores: set[int], environment: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[psutil.Process]:
    """A process until the block ends, on ``cores``; its output is in ``log``."""
    with ExitStack() as stack:
        out = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        with keeping_to(cores):
            process = psutil.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            yield process
        finally:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
            try:
                process.wait(TIMEOUT)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def keeping_to(cores: set[int]) -> Iterator[None]:
    """Processes started in the block run on ``cores`` from their start, by inheritance."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_ports(count: int) -> list[int]:
    """Ports that are free now, and that no outgoing connection takes until a server listens there."""
    return [free_port() for _ in range(count)]


async def connected(port: int) -> Client:
    """A client as Voltgate's processes have it, of a nats-server that was just started here.

    Refusals until it listens are not shown.
    """

    async def quiet(error: Exception) -> None:
        del error

    client = Client()
    await client.connect(f"nats://127.0.0.1:{port}", error_cb=quiet)
    return client


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU that a process has used."""
    # The clock of another process, clock_getcpuclockid(3): nanoseconds, where /proc/PID/stat has ticks.
    return time.clock_gettime(~process.pid << 3 | 2)


def _until(check: Callable[[], bool], name: str, log: Path | None = None) -> None:
    end = time.monotonic() + TIMEOUT
    while not check():
        if time.monotonic() > end:
            output = f":\n{log.read_text(errors='replace')}" if log else ""
            sys.exit(f"{name} did not start{output}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


def fetch(url: str) -> bool:
    """Whether the page is there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _stored(monitor: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{monitor}/jsz?streams=1", timeout=5) as response:
        account: dict[str, Any] = json.load(response)["account_details"][0]
    counts = {stream["name"]: stream["state"]["messages"] for stream in account["stream_detail"]}
    return int(counts[STREAM])


@dataclass
class Load:
    """The load client (benchmarks/load), phase by phase; its main.rs has the protocol."""

    server: Server
    options: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> "Load":
        words = [str(TARGET / "release/voltgate-load"), "--url", f"127.0.0.1:{self.server.port}"]
        for name, value in {**self.server.options, **self.options}.items():
            if value is not False:
                words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        with keeping_to(OTHER_CORES):
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        assert self._line() == "ready"
        return self

    def __exit__(self, *fault: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def connect(self) -> dict[str, Any]:
        """Dial; stops the benchmark when a charger is refused."""
        return self._connected("")

    def _connected(self, line: str) -> dict[str, Any]:
        figures = self._order(line)
        if figures["refused"]:
            sys.exit(
                f"{figures['refused']} chargers were refused: {figures['first_refused']}{self._last_lines()}"
            )
        return figures

    def leave(self) -> None:
        """Reset every connection."""
        self._order("leave")

    def again(self) -> dict[str, Any]:
        """Dial anew; stops the benchmark when a charger is refused."""
        return self._connected("again")

    def go(self, seconds: float) -> dict[str, Any]:
        """One run; stops the benchmark when an answer is wrong or missing, or a socket was closed."""
        figures = self._order(f"go {seconds}")
        if figures["wrong"] or figures["closed"] or figures["answered"] != figures["sent"]:
            sys.exit(f"not every answer is right: {json.dumps(figures, indent=2)}{self._last_lines()}")
        return figures

    def _order(self, line: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        answer: dict[str, Any] = json.loads(self._line() or "null")
        return answer

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def _last_lines(self) -> str:
        log = self.server.log
        lines = log.read_text(errors="replace").splitlines()[-3:] if log else []
        return "".join(f"\n  gateway: {line[:600]}" for line in lines)


def build_load() -> None:
    """Compile the load client, if necessary."""
    where = ["--manifest-path", str(HERE / "load/Cargo.toml"), "--target-dir", str(TARGET)]
    subprocess.run(["cargo", "build", "--release", "--quiet", *where], check=True)
