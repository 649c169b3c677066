"""What tests share that need a real NATS or a real process."""

import logging
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
import structlog

from jetstream import NatsServer, free_port

PATIENCE = 20.0  # seconds until a condition that should hold counts as failed


@pytest.fixture(name="free_port")
def another_port() -> Callable[[], int]:
    return free_port


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Start a nats-server with these arguments; killed at the end. A missing binary fails the test."""
    started = []

    def start(*arguments: str, port: int = 0) -> NatsServer:
        started.append(NatsServer(tmp_path / f"nats{len(started)}", arguments, port))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of the test's own, with JetStream."""
    server = NatsServer(tmp_path / "jetstream")
    yield server
    server.kill()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the person who runs the tests."""
    for name in [name for name in os.environ if name.startswith("VOLTGATE_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Whatever the test does to logging ends with it."""
    root = logging.getLogger()
    handlers, level, shown = root.handlers, root.level, warnings.showwarning
    yield
    logging.captureWarnings(False)
    root.handlers, warnings.showwarning = handlers, shown
    root.setLevel(level)
    structlog.reset_defaults()


Start = Callable[..., "Voltgate"]


class Voltgate:
    """A running ``voltgate`` and what it says."""

    def __init__(self, folder: Path, *arguments: str, shell: str = "") -> None:
        self._out, self._err = folder / "out", folder / "err"
        command = [sys.executable, "-m", "voltgate", *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                ["sh", "-c", f'exec "$@" {shell}', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until it holds; fail with what was said when the process ends before."""
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline, f"not in time: {what}\n{self.out}\n{self.err}"
            with suppress(subprocess.TimeoutExpired):
                code = self.process.wait(0.02)
                raise AssertionError(f"ended with {code} before: {what}\n{self.out}\n{self.err}")

    def ends(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Voltgate] = []

    def one(*arguments: str, shell: str = "") -> Voltgate:
        folder = tmp_path / f"run{len(started)}"
        folder.mkdir()
        started.append(Voltgate(folder, *arguments, shell=shell))
        return started[-1]

    yield one
    for voltgate in started:
        if voltgate.process.poll() is None:
            voltgate.process.kill()
            voltgate.process.wait()


@pytest.fixture
def ports(free_port: Callable[[], int]) -> tuple[int, int, int]:
    """Chargers', admin's, NATS'."""
    return free_port(), free_port(), free_port()


def status(port: int, path: str) -> tuple[int, str]:
    """0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()
    except OSError:
        return 0, ""


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False
