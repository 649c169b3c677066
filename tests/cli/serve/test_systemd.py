"""What a service manager is told: sd_notify(3) by a socket of the test."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from voltgate.cli.serve.systemd import Notify


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self.seen: list[str] = []

    def read(self) -> list[str]:
        """All that was sent so far."""
        self.seen += self.lines()
        return self.seen

    def lines(self) -> list[str]:
        """What was sent since the last time."""
        found = []
        while True:
            try:
                found += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    name = str(tmp_path / "notify")
    abstract = request.param == "abstract"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
    made = Manager(f"\0{name}" if abstract else name)
    yield made
    made.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


async def test_ready_once_reloading_and_stopping(manager: Manager) -> None:
    notify, opened = Notify(), asyncio.Event()
    running = asyncio.create_task(notify.run(opened))
    await asyncio.sleep(0)
    assert manager.lines() == []
    opened.set()
    await until(manager.read)
    assert manager.seen == ["READY=1"]
    notify.reloading()
    notify.ready()
    reloading, at, ready = manager.lines()
    assert (reloading, ready) == ("RELOADING=1", "READY=1")
    assert at.startswith("MONOTONIC_USEC=")
    notify.stopping(125.0)
    assert manager.lines() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=135000000"]
    notify.ready()
    assert manager.lines() == [], "a reload while it stops does not make it ready"
    running.cancel()


async def test_the_watchdog_is_fed_while_the_loop_runs(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    running = asyncio.create_task(Notify().run(asyncio.Event()))
    await until(lambda: len(manager.read()) >= 3)
    assert set(manager.seen) == {"WATCHDOG=1"}
    running.cancel()


async def test_another_process_feeds_the_watchdog_that_is_not_ours(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    opened = asyncio.Event()
    opened.set()
    await Notify().run(opened)  # nothing to do after it is ready
    assert manager.lines() == ["READY=1"]


def test_children_get_no_address(manager: Manager) -> None:
    Notify()
    assert "NOTIFY_SOCKET" not in os.environ


def test_without_a_service_manager_or_with_one_that_is_gone_nothing_happens(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify = Notify()
    manager.close()
    notify.ready()
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notify().ready()
