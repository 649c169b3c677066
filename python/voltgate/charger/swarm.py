"""One process of ``voltgate swarm``: thousands of chargers and a plan for their CALLs.

``python -m voltgate.charger.swarm`` reads JSON lines from the process that started it: first the
:class:`Plan`, then ``{"do":"load"}``, ``{"do":"storm"}``, ``{"do":"finish","grace":SECONDS}``. It writes a
:class:`Report` every half second; the last one is ``final``. It also ends if its parent dies.

The plan is an open loop: a CALL is due at its time, independent of earlier ones. If its charger has an open
CALL it waits, and its latency counts from when it was due (no coordinated omission).
"""

import asyncio
import ctypes
import gc
import random
import resource
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson
import uvloop
from websockets.uri import parse_uri

from voltgate import Codec
from voltgate.charger.calls import End, Queued
from voltgate.charger.charger import Charger
from voltgate.charger.line import Line, Observer
from voltgate.charger.messages import Transaction
from voltgate.charger.settings import Behaviour, Endpoint, Settings
from voltgate.charger.tally import Tally
from voltgate.schemas import SUBPROTOCOLS

REPORT_SECONDS = 0.5
DIALS_PER_SECOND = 10_000  # after a storm: connected chargers are served between the dials
MAX_LINE = 1 << 26
_PR_SET_PDEATHSIG = 1

# Of 100 CALLs: meter values of transactions, starts and ends, heartbeats; the rest are statuses.
READINGS, TURNS, HEARTBEATS = 80, 8, 6
CHARGING_SHARE = 3  # every third charger has a transaction

BEHAVIOUR = Behaviour(
    connectors=2,
    tags=("04A2B3C4",),
    boot_retry=1.0,
    heartbeat=0.0,
    attempts=1,  # a CALLERROR or no answer is counted, not repeated
    back_off_minimum=1.0,
    back_off_random=0.5,
    obey_retry_after=True,
    stop_if_rejected=True,
    open_timeout=30.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The work of one process."""

    url: str
    """The identity is appended to it."""
    chargers: list[tuple[str, str, str | None, str]]
    """Identity, version token, password, source address (empty: chosen by the system)."""
    rate: float
    """CALLs per second of all chargers of this process."""
    connect_rate: float
    storm_spread: float


@dataclass(slots=True, kw_only=True)
class Report:
    """Progress. Times are those of the machine's monotonic clock."""

    joined: int
    """Chargers that are connected with all messages of the connect answered."""
    gave_up: int
    storms: int
    """Storms that have begun."""
    behind: float
    """Maximum delay of the plan itself, in seconds: this process had too little CPU time."""
    joined_at: float
    """When the latest charger joined."""
    memory: int
    """Growth of the process since before the first charger, in bytes."""
    tally: dict[str, Any]
    final: bool = False


class Swarm(Observer):
    """The chargers of this process."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self._plan = plan
        self._rng = random.Random()  # noqa: S311 - a simulation
        self._storming: set[Line] = set()
        self._over = 0
        self._behind = 0.0
        self._joined = self._gave_up = self._storms = 0
        self._joined_at = self._until = 0.0
        self._load: asyncio.Task[None] | None = None
        uri = parse_uri(plan.url)
        address = str(socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)[0][4][0])
        endpoints = {
            source: [Endpoint(url=plan.url, address=address, source=source)]
            for source in {charger[3] for charger in plan.chargers}
        }
        for version in {charger[1] for charger in plan.chargers}:
            Codec(SUBPROTOCOLS[version])  # compiled before memory is measured
        self._memory = _resident()
        self._chargers = [
            Charger(
                Settings(
                    identity=identity,
                    version=version,
                    endpoints=endpoints[source],
                    password=None if password is None else password.encode(),
                    behaviour=BEHAVIOUR,
                ),
                self,
                self.tally,
                self._rng,
            )
            for identity, version, password, source in plan.chargers
        ]
        self._charging = self._chargers[::CHARGING_SHARE]
        self._beginning: set[Line] = set(self._charging)
        self._free = [charger for charger in self._chargers if charger not in self._beginning]

    # Observer

    def ready(self, line: Line) -> None:
        """A charger has joined; every third one starts a transaction the first time."""
        assert isinstance(line, Charger)
        self._joined += 1
        self._joined_at = monotonic()
        if line in self._beginning:
            self._beginning.discard(line)
            self._start(line)
        if line in self._storming:
            self._storming.discard(line)
            line.greeting = self.tally.start
            for call in line.outbox:  # CALLs delayed by the storm count from now
                call.since = monotonic()

    def left(self, line: Line) -> None:
        """A charger has lost its connection."""
        self._joined -= 1

    def rejected(self, line: Line) -> None:
        """A charger was refused with a final status."""
        self._gave_up += 1

    # Orders of the parent

    async def connect(self) -> None:
        """Dial at the rate of the plan."""
        began = monotonic()
        for number, charger in enumerate(self._chargers):
            wait = began + number / self._plan.connect_rate - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            charger.start()

    def load(self) -> None:
        """Start the load."""
        gc.collect()
        gc.freeze()  # long-lived objects need not be scanned again
        self._load = asyncio.create_task(self._follow())

    def storm(self) -> None:
        """Reset all connections at the same time; the chargers redial."""
        self._storms += 1
        for number, charger in enumerate([each for each in self._chargers if each.connected]):
            self._storming.add(charger)
            charger.greeting = self.tally.storm
            charger.drop(self._rng.uniform(0, self._plan.storm_spread) + number / DIALS_PER_SECOND)

    def hurry(self, grace: float) -> None:
        """Set the deadline for open CALLs, in seconds from now."""
        self._until = monotonic() + grace

    async def finish(self) -> None:
        """Stop the load and wait for open CALLs."""
        if self._load is not None:
            self._load.cancel()
        while self._over < self.tally.due and monotonic() < self._until:  # noqa: ASYNC110 - twenty a second
            await asyncio.sleep(0.05)
        self.tally.unanswered = self.tally.due - self._over

    async def leave(self) -> None:
        """Close every connection cleanly, after :meth:`finish`."""
        await asyncio.gather(*(charger.stop() for charger in self._chargers))

    def report(self) -> Report:
        """Progress."""
        return Report(
            joined=self._joined,
            gave_up=self._gave_up,
            storms=self._storms,
            behind=self._behind,
            joined_at=self._joined_at,
            memory=_resident() - self._memory,
            tally=self.tally.dump(),
        )

    # The plan

    async def _follow(self) -> None:
        due, rate = monotonic(), self._plan.rate
        while rate > 0:
            due += self._rng.expovariate(rate)
            # Yield even if late, so that answers are read.
            await asyncio.sleep(max(0.0, due - monotonic()))
            self._behind = max(self._behind, monotonic() - due)
            self.tally.due += 1
            call = self._call()
            call.since, call.latencies, call.done = due, self.tally.load, self._settled

    def _settled(self, end: End) -> None:
        del end
        self._over += 1

    def _call(self) -> Queued:
        chance, charging, free = self._rng.randrange(100), self._charging, self._free
        if chance < READINGS and charging:
            return self._read(charging[self._pick(charging)])
        if chance < READINGS + TURNS:
            few = len(charging) * CHARGING_SHARE < len(self._chargers)
            if free and (few or not charging):
                return self._start(_move(free, self._pick(free), charging))
            return self._end(_move(charging, self._pick(charging), free))
        charger = self._chargers[self._pick(self._chargers)]
        if chance < READINGS + TURNS + HEARTBEATS:
            return charger.keep(("Heartbeat", {}))
        return charger.keep(charger.dialect.status(2, charger.connectors[2].status))

    # If the CSMS has started or ended a transaction by a command, a heartbeat replaces the planned CALL.

    def _start(self, charger: Charger) -> Queued:
        started = charger.connectors.start(Transaction(1, BEHAVIOUR.tags[0], planned=True))
        return charger.outbox[-1] if started else charger.keep(("Heartbeat", {}))

    def _read(self, charger: Charger) -> Queued:
        tx = charger.connectors[1].transaction
        return charger.connectors.update(tx) if tx else charger.keep(("Heartbeat", {}))

    def _end(self, charger: Charger) -> Queued:
        tx = charger.connectors[1].transaction
        ended = tx is not None and charger.connectors.end(tx, "Local")
        return charger.outbox[-1] if ended else charger.keep(("Heartbeat", {}))

    def _pick(self, among: list[Charger]) -> int:
        """The index of a charger, preferably one that is not busy (three draws)."""
        for _ in range(3):
            place = self._rng.randrange(len(among))
            if not among[place].busy:
                break
        return place


def _move(source: list[Charger], place: int, target: list[Charger]) -> Charger:
    """Move in constant time: the last of ``source`` takes the free place."""
    charger = source[place]
    source[place] = source[-1]
    source.pop()
    target.append(charger)
    return charger


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def _write(report: Report) -> None:
    sys.stdout.buffer.write(orjson.dumps(report) + b"\n")
    sys.stdout.buffer.flush()


async def _report(swarm: Swarm) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        _write(swarm.report())


async def _obey(orders: asyncio.StreamReader) -> None:
    """Follow the parent's orders until it ends the swarm or dies."""
    swarm = Swarm(Plan(**orjson.loads(await orders.readline())))
    ending: asyncio.Task[None] | None = None
    connecting = asyncio.create_task(swarm.connect())
    reporting = asyncio.create_task(_report(swarm))
    try:
        while line := await orders.readline():
            order = orjson.loads(line)
            match order["do"]:
                case "load":
                    swarm.load()
                case "storm":
                    swarm.storm()
                case _:  # a second finish shortens the grace
                    connecting.cancel()
                    swarm.hurry(order["grace"])
                    if ending is None:
                        ending = asyncio.create_task(_end(swarm, reporting))
                        ending.add_done_callback(lambda _: orders.feed_eof())
        if ending is not None and ending.done():
            ending.result()
    finally:
        for task in (connecting, reporting):
            task.cancel()


async def _end(swarm: Swarm, reporting: "asyncio.Task[None]") -> None:
    await swarm.finish()
    reporting.cancel()
    last = swarm.report()
    last.final = True
    await swarm.leave()
    _write(last)


async def _work() -> None:
    orders = asyncio.StreamReader(limit=MAX_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    with suppress(BrokenPipeError):  # the parent has died
        await _obey(orders)


def main() -> None:
    """Run one process of a swarm."""
    if sys.platform == "linux":
        # The end of stdin has the same effect, but only when the loop reads it (prctl(2)).
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    gc.set_threshold(50_000, 20, 100)  # thousands of long-lived small objects are created
    uvloop.run(_work())


if __name__ == "__main__":
    main()
