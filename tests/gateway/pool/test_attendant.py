"""A worker's end of the control line, with a socket whose other end is the test."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from prometheus_client.core import Metric
from structlog.testing import capture_logs

from voltgate.config import Config, Listener, load
from voltgate.gateway import reload
from voltgate.gateway.listening import Listening
from voltgate.gateway.pool import control
from voltgate.gateway.pool.attendant import Attendant, settled
from voltgate.gateway.pool.control import Hello, Word
from voltgate.gateway.reload import ReloadError
from voltgate.gateway.telemetry.metrics import Metrics

pytestmark = pytest.mark.usefixtures("clean_environment")


class Attended:
    """A worker that records its calls, and runs until it is stopped twice."""

    def __init__(self, is_open: bool) -> None:
        self.config: Config = load()
        self.metrics = Metrics("1")
        self.draining = False
        self.listening, self.filled, self.full = Listening([], None), asyncio.Event(), False
        self.listening.is_open = is_open
        self.calls: list[object] = []
        self._over = asyncio.Event()

    async def run(self) -> None:
        try:
            await self._over.wait()
        except asyncio.CancelledError:
            self.calls.append("cancelled")
            raise

    def checks(self) -> dict[str, str]:
        return {"nats": ""}

    def reload(self, config: Config, tickets: bytes) -> None:
        if config.limits.max_message_bytes > 1 << 20:
            raise ReloadError("too large")
        self.calls.append((config.limits.max_connections, config.drain.rate, tickets))
        self.config = config

    def reload_failed(self) -> None:
        self.calls.append("reload_failed")

    def stop(self) -> None:
        self.calls.append("stop")
        if self.draining:
            self._over.set()
        self.draining = True

    def abandon(self) -> None:
        self.calls.append("abandon")
        self._over.set()


class Attendance:
    """An attendant at work, and the supervisor's end of its line."""

    def __init__(self, worker: Attended, attendant: Attendant, line: control.Line) -> None:
        self.worker, self.attendant, self.line = worker, attendant, line
        self.running = asyncio.create_task(attendant.run())
        self._lines = line.lines()

    async def next(self, word: Word) -> object:
        """The content of the next line with this word."""
        async with asyncio.timeout(10):
            async for got, content in self._lines:
                if got is word:
                    return content
        raise AssertionError("the line has ended")

    async def obeyed(self) -> None:
        """Once every line before this has been read, or the attendant is done."""
        self.line.send(Word.METRICS)
        answered = asyncio.create_task(self.next(Word.METRICS))
        await asyncio.wait({answered, self.running}, return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()


@pytest.fixture
async def attended(request: pytest.FixtureRequest) -> AsyncIterator[Attendance]:
    """Its listeners are open unless the parameter is false."""
    ours, theirs = socket.socketpair()
    worker = Attended(getattr(request, "param", True))
    lines = await control.line(theirs), await control.line(ours)
    attendance = Attendance(worker, Attendant(lines[0], worker), lines[1])
    yield attendance
    attendance.running.cancel()
    with suppress(asyncio.CancelledError):
        await attendance.running
    for line in lines:
        line.close()


async def test_it_beats_with_the_checks_of_the_worker(attended: Attendance) -> None:
    assert await attended.next(Word.BEAT) == {"checks": {"nats": ""}, "open": True, "full": False}


async def test_a_worker_that_fills_up_says_so_at_once(attended: Attendance) -> None:
    """The next beat would be due in a second: in a storm, hundreds of chargers later."""
    await attended.next(Word.BEAT)
    asked = asyncio.get_running_loop().time()
    attended.worker.full = True
    attended.worker.filled.set()
    assert await attended.next(Word.BEAT) == {"checks": {"nats": ""}, "open": True, "full": True}
    assert asyncio.get_running_loop().time() - asked < control.BEAT / 2


async def test_metrics_are_sent_when_asked_for(attended: Attendance) -> None:
    attended.worker.metrics.handshakes.add("accepted")
    attended.line.send(Word.METRICS)
    families = await attended.next(Word.METRICS)
    assert isinstance(families, list)
    samples = [
        sample for name, _, _, samples in families if name == "voltgate_handshakes" for sample in samples
    ]
    assert [sample for sample in samples if sample[2]] == [
        ["voltgate_handshakes_total", {"result": "accepted", "worker": "1"}, 1]
    ]
    assert json.dumps(families)
    assert all(Metric(name, text, kind) for name, text, kind, _ in families)


async def test_settings_go_to_the_worker_and_nothing_else_of_its_configuration_changes(
    attended: Attendance,
) -> None:
    fresh = load(limits={"max_connections": 7}, drain={"rate": 3}, nats={"prefix": "other"})
    attended.line.send(Word.RELOAD, [reload.settings(fresh), "5ec0"])
    attended.line.send(Word.RELOAD_FAILED)
    await attended.obeyed()
    assert attended.worker.calls == [(7, 3.0, b"\x5e\xc0"), "reload_failed"]
    assert attended.worker.config.nats == load().nats


async def test_settings_that_the_worker_refuses_are_logged_and_it_serves_on(attended: Attendance) -> None:
    with capture_logs() as logs:
        settings = reload.settings(load(limits={"max_message_bytes": 1 << 21}))
        attended.line.send(Word.RELOAD, [settings, ""])
        await attended.obeyed()
    assert [(line["event"], line["error"]) for line in logs] == [("reload.failed", "too large")]
    assert attended.worker.calls == []
    assert not attended.running.done()


LEAVING = [
    (["order"], ["stop"], "the supervisor drains"),
    (["signal"], ["stop"], "SIGTERM to this worker alone"),
    (["order", "signal"], ["stop"], "a signal to the whole group counts once"),
    (["signal", "order"], ["stop"], "in either order"),
    (["order", "order"], ["stop", "stop"], "at once"),
    (["order", "signal", "order"], ["stop", "stop"], "at once, with a signal to the group in between"),
    (["signal", "signal"], ["stop", "stop"], "two signals to this worker"),
]


@pytest.mark.parametrize(("asked", "calls", "why"), LEAVING, ids=[why for *_, why in LEAVING])
async def test_how_often_a_worker_is_stopped(
    attended: Attendance, asked: list[str], calls: list[str], why: str
) -> None:
    await attended.next(Word.BEAT)
    for by in asked:
        if by == "signal":
            attended.attendant.signalled()
        else:
            attended.line.send(Word.LEAVE)
            await attended.obeyed()
    if calls.count("stop") == 2:
        await attended.running
    assert attended.worker.calls == calls, why


async def test_a_worker_leaves_without_its_supervisor(attended: Attendance) -> None:
    await attended.next(Word.BEAT)
    attended.line.close()
    await attended.running
    assert attended.worker.calls == ["abandon"]


@pytest.mark.parametrize("attended", [False], indirect=True)
async def test_before_the_listeners_are_open_there_is_nothing_to_drain(attended: Attendance) -> None:
    assert await attended.next(Word.BEAT) == {"checks": {"nats": ""}, "open": False, "full": False}
    attended.attendant.signalled()
    await attended.running
    assert attended.worker.calls == ["cancelled"]


def test_ports_and_settings_are_the_supervisors() -> None:
    config = load(listeners=[Listener(port=0).model_dump(), {"port": 9001}])
    ours = settled(config, Hello(1, [40_000, 9001], [], reload.settings(load(limits={"open_calls": 3})), ""))
    assert [listener.port for listener in ours.listeners] == [40_000, 9001]
    assert ours.limits.open_calls == 3
    assert ours.nats == config.nats
