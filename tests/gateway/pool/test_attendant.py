"""A worker's end of the control line, with a socket whose other end is the test."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from prometheus_client.core import Metric

from voltgate.config import Config, Listener, load
from voltgate.gateway.metrics import Metrics
from voltgate.gateway.pool import control
from voltgate.gateway.pool.attendant import Attendant, settled
from voltgate.gateway.pool.control import Hello, Word

pytestmark = pytest.mark.usefixtures("clean_environment")


class Attended:
    """A worker that records its calls, and runs until it is stopped twice."""

    def __init__(self, addresses: list[str]) -> None:
        self.config: Config = load()
        self.metrics = Metrics("1")
        self.draining = False
        self.addresses = addresses
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

    def reload(self, config: Config) -> None:
        self.calls.append(config.limits.max_connections)

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
    worker = Attended(getattr(request, "param", ["127.0.0.1:9000"]))
    lines = await control.line(theirs), await control.line(ours)
    attendance = Attendance(worker, Attendant(lines[0], worker), lines[1])
    yield attendance
    attendance.running.cancel()
    with suppress(asyncio.CancelledError):
        await attendance.running
    for line in lines:
        line.close()


async def test_it_beats_with_the_checks_of_the_worker(attended: Attendance) -> None:
    assert await attended.next(Word.BEAT) == {"checks": {"nats": ""}, "open": True}


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


async def test_limits_go_to_the_worker_and_nothing_else_of_its_configuration_changes(
    attended: Attendance,
) -> None:
    attended.line.send(Word.LIMITS, load(limits={"max_connections": 7}).limits.model_dump())
    await attended.obeyed()
    assert attended.worker.calls == [7]


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


@pytest.mark.parametrize("attended", [[]], indirect=True)
async def test_before_the_listeners_are_open_there_is_nothing_to_drain(attended: Attendance) -> None:
    assert await attended.next(Word.BEAT) == {"checks": {"nats": ""}, "open": False}
    attended.attendant.signalled()
    await attended.running
    assert attended.worker.calls == ["cancelled"]


def test_ports_and_limits_are_the_supervisors() -> None:
    config = load(listeners=[Listener(port=0).model_dump(), {"port": 9001}])
    limits = load(limits={"open_calls": 3}).limits.model_dump()
    ours = settled(config, Hello(1, [40_000, 9001], limits))
    assert [listener.port for listener in ours.listeners] == [40_000, 9001]
    assert ours.limits.open_calls == 3
    assert ours.nats == config.nats
