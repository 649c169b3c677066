"""One process of ``voltgate swarm``: thousands of stations, and the plan they follow.

``python -m voltgate.charger.swarm`` speaks JSON lines with the process that started it. First line in: the
:class:`Plan`. Then ``{"do":"load"}``, ``{"do":"storm"}``, ``{"do":"finish","grace":SECONDS}``. Out: a
:class:`Report` every half second, the last one ``final``. It ends with its parent, however that ends.

The plan is an open loop: a CALL is due at its moment whatever became of those before. Where its charger has
one open it waits there, and its latency counts from when it was due: no coordinated omission.
"""

import asyncio
import ctypes
import gc
import os
import random
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import quote

import orjson
import uvloop
from websockets.uri import parse_uri

from voltgate import Codec
from voltgate.charger.behaviour import Latencies
from voltgate.charger.messages import dialect
from voltgate.charger.station import UPGRADE_TIMEOUT, Station
from voltgate.charger.tally import Tally
from voltgate.charger.wire import Refusal, Wire
from voltgate.schemas import SUBPROTOCOLS

REPORT_SECONDS = 0.5
LONGEST_BACK_OFF = 32.0
CLOSE_SECONDS = 3.0
DIALS_A_TURN = 20
MAX_LINE = 1 << 26
_PR_SET_PDEATHSIG = 1

# Of 100 CALLs: readings inside transactions, starts and ends, heartbeats; the rest are statuses.
READINGS, TURNS, HEARTBEATS = 80, 8, 6
CHARGING_SHARE = 3  # every third charger has a vehicle


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one process does."""

    url: str
    """What an identity is appended to."""
    chargers: list[tuple[str, str, str | None, str]]
    """Identity, version token, password, source address (empty: as routed)."""
    rate: float
    """CALLs a second over the chargers of this process."""
    connect_rate: float
    storm_spread: float


@dataclass(slots=True, kw_only=True)
class Report:
    """How far it is. Moments are those of the machine's monotonic clock."""

    connected: int
    joined: int
    gave_up: int
    storms: int
    """Storms it has begun."""
    behind: float
    """Seconds the plan itself was late, at worst: this process had too little of the CPU."""
    joined_at: float
    """When the last one had all answers to what follows a connect."""
    memory: int
    """Bytes the process has grown by since before the first charger."""
    tally: dict[str, Any]
    final: bool = False


class Swarm:
    """The stations of this process."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self.leaving = False
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._rng = random.Random()  # noqa: S311 - a simulation
        self._storming: set[Station] = set()
        self._over = 0
        self._behind = 0.0
        self._joined = self._gave_up = self._storms = 0
        self._joined_at = self._until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._load: asyncio.Task[None] | None = None
        uri = parse_uri(plan.url)
        self._host, self._port = uri.host, uri.port
        self._address = str(socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)[0][4][0])
        self._ssl = ssl.create_default_context() if uri.secure else None
        dialects = {version: dialect(version) for version in SUBPROTOCOLS}
        for version in {charger[1] for charger in plan.chargers}:
            Codec(SUBPROTOCOLS[version])  # compiled before memory is measured
        self._memory = _resident()
        self._free = [
            Station(
                self,
                identity,
                Codec(SUBPROTOCOLS[version]),
                dialects[version],
                None if password is None else password.encode(),
                source,
            )
            for identity, version, password, source in plan.chargers
        ]
        self._stations = list(self._free)
        for place, station in enumerate(self._free):
            station.place = place
        self._charging: list[Station] = []

    # What stations ask

    def greeting(self) -> Latencies:
        """Where answers to what follows a connect are counted now."""
        return self.tally.storm if self._storming else self.tally.start

    def new_id(self) -> str:
        """32 random hex digits."""
        return f"{self._rng.getrandbits(128):032x}"

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it then."""
        self._loop.call_later(seconds, work)

    def dial(self, station: Station) -> None:
        """Connect; the station's ``opened`` or ``refused`` is called."""
        if not self.leaving:
            task = asyncio.create_task(self._dial(station))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def back_off(self, failures: int) -> float:
        """1, 2, 4 ... seconds, and up to half as much again."""
        return min(2.0 ** (failures - 1), LONGEST_BACK_OFF) * self._rng.uniform(1.0, 1.5)

    def joined(self, station: Station) -> None:
        """It is connected, and all that follows a connect is answered."""
        self._joined += 1
        self._joined_at = monotonic()
        if station in self._storming:
            self._storming.discard(station)
            station.excuse()
        elif self._load is None and len(self._charging) * CHARGING_SHARE < self._joined:
            self._begin(station, monotonic(), self.tally.start)

    def left(self, station: Station) -> None:
        """It was joined, and is not any more."""
        del station
        self._joined -= 1

    def gave_up(self, station: Station) -> None:
        """It will not be let in."""
        del station
        self._gave_up += 1

    def done(self, calls: int = 1) -> None:
        """CALLs of the plan are over, whatever came of them."""
        self._over += calls

    # What the parent asks

    async def connect(self) -> None:
        """Dial them all at the rate that is wanted."""
        began = monotonic()
        for number, station in enumerate(self._stations):
            wait = began + number / self._plan.connect_rate - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self.dial(station)

    def load(self) -> None:
        """Follow the plan from now on."""
        gc.collect()
        gc.freeze()  # what lives as long as the swarm shall not be looked at again and again
        self._load = asyncio.create_task(self._follow())

    async def storm(self) -> None:
        """All lose their connection at once and dial again."""
        self._storms += 1
        struck = [station for station in self._stations if station.connected]
        self._storming.update(struck)
        for station in struck:
            station.drop()
        for number, station in enumerate(struck):
            station.redial(self._rng.uniform(0, self._plan.storm_spread))
            if number % DIALS_A_TURN == 0:
                await asyncio.sleep(0)  # who is in shall not wait for our dialling

    def hurry(self, grace: float) -> None:
        """What is open when the plan ends has so many seconds from now on."""
        self._until = monotonic() + grace

    async def finish(self) -> None:
        """End the plan, wait for what is open."""
        if self._load is not None:
            self._load.cancel()
        while self._over < self.tally.due and monotonic() < self._until:  # noqa: ASYNC110 - twenty a second
            await asyncio.sleep(0.05)
        self.tally.unanswered = self.tally.due - self._over
        self.leaving = True

    async def leave(self) -> None:
        """Close every connection cleanly, after :meth:`finish`."""
        for task in self._tasks:
            task.cancel()
        for station in self._stations:
            station.hang_up()
        until = monotonic() + CLOSE_SECONDS
        while self._joined and monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def report(self) -> Report:
        """How far it is."""
        return Report(
            connected=sum(station.connected for station in self._stations),
            joined=self._joined,
            gave_up=self._gave_up,
            storms=self._storms,
            behind=self._behind,
            joined_at=self._joined_at,
            memory=_resident() - self._memory,
            tally=self.tally.told(),
        )

    def sweep(self) -> None:
        """Give up what has waited too long."""
        now = monotonic()
        for station in self._stations:
            station.overdue(now)

    # -----------------------------------------------------------------------------------------------

    async def _dial(self, station: Station) -> None:
        uri = parse_uri(f"{self._plan.url}/{quote(station.identity, safe='')}")
        password = station.password  # may be any bytes (OCPP.md A23)
        login = None if password is None else b"%b:%b" % (station.identity.encode(), password)
        wire = Wire(uri, station.subprotocol, login, station)
        station.dialled(wire)
        try:
            async with asyncio.timeout(UPGRADE_TIMEOUT):
                await self._loop.create_connection(
                    lambda: wire,
                    self._address,
                    self._port,
                    ssl=self._ssl,
                    server_hostname=self._host if self._ssl else None,
                    local_addr=(station.source, 0) if station.source else None,
                )
        except TimeoutError:
            station.refused(Refusal("no answer to the connect"))
        except OSError as error:
            station.refused(Refusal(os.strerror(error.errno) if error.errno else str(error)))

    async def _follow(self) -> None:
        due, rate = monotonic(), self._plan.rate
        while rate > 0:
            due += self._rng.expovariate(rate)
            now = monotonic()
            # Behind or not, the loop must turn: answers are to be read.
            await asyncio.sleep(max(0.0, due - now))
            self._behind = max(self._behind, monotonic() - due)
            self.tally.due += 1
            self._call(due)

    def _call(self, due: float) -> None:
        chance, load = self._rng.randrange(100), self.tally.load
        charging, free = self._charging, self._free
        if chance < READINGS and charging:
            self._pick(charging).meter(due, load)
        elif chance < READINGS + TURNS or chance < READINGS:
            few = len(charging) * CHARGING_SHARE < len(self._stations)
            if free and (few or not charging):
                self._begin(self._pick(free), due, load)
            else:
                station = self._pick(charging)
                station.plug_out(due, load)
                _move(station, charging, free)
        elif chance < READINGS + TURNS + HEARTBEATS:
            self._pick(self._stations).heartbeat(due, load)
        else:
            self._pick(self._stations).report(due, load)

    def _begin(self, station: Station, due: float, latencies: Latencies) -> None:
        station.plug_in(due, latencies)
        _move(station, self._free, self._charging)

    def _pick(self, among: list[Station]) -> Station:
        """An idle one if three draws find one: the plan is not to queue where it need not."""
        for _ in range(3):
            station = self._rng.choice(among)
            if station.idle:
                break
        return station


def _move(station: Station, source: list[Station], target: list[Station]) -> None:
    """Without a search: the last of ``source`` takes its place."""
    last = source.pop()
    if last is not station:
        source[station.place] = last
        last.place = station.place
    station.place = len(target)
    target.append(station)


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def _tell(report: Report) -> None:
    sys.stdout.buffer.write(orjson.dumps(report) + b"\n")
    sys.stdout.buffer.flush()


async def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        work()


async def _obey(orders: asyncio.StreamReader) -> None:
    """Do what the parent says until it has had enough, or is gone."""
    swarm = Swarm(Plan(**orjson.loads(await orders.readline())))
    ending: asyncio.Task[None] | None = None
    connecting = asyncio.create_task(swarm.connect())
    rhythm = asyncio.create_task(_every(REPORT_SECONDS, swarm.sweep))
    telling = asyncio.create_task(_every(REPORT_SECONDS, lambda: _tell(swarm.report())))
    try:
        while line := await orders.readline():
            order = orjson.loads(line)
            match order["do"]:
                case "load":
                    swarm.load()
                case "storm":
                    await swarm.storm()
                case _:  # once more is sooner
                    connecting.cancel()
                    swarm.hurry(order["grace"])
                    if ending is None:
                        ending = asyncio.create_task(_end(swarm, telling))
                        ending.add_done_callback(lambda _: orders.feed_eof())
        if ending is not None and ending.done():
            ending.result()
    finally:
        for task in (connecting, rhythm, telling):
            task.cancel()


async def _end(swarm: Swarm, telling: "asyncio.Task[None]") -> None:
    await swarm.finish()
    telling.cancel()
    last = swarm.report()
    last.final = True
    await swarm.leave()
    _tell(last)


async def _work() -> None:
    orders = asyncio.StreamReader(limit=MAX_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    with suppress(BrokenPipeError):  # the parent is gone
        await _obey(orders)


def main() -> None:
    """The process."""
    if sys.platform == "linux":
        # End of input says the same, but only when the loop gets to it (prctl(2)).
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    gc.set_threshold(50_000, 20, 100)  # thousands of small objects that stay come at once
    uvloop.run(_work())


if __name__ == "__main__":
    main()
