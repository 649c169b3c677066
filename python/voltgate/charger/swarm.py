"""The chargers of one process of ``voltgate swarm``, and the plan for their CALLs.

The plan is an open loop: a CALL is due at its time at a random charger, independent of earlier ones. If its
charger has an open CALL it waits, and its latency counts from when it was due (no coordinated omission). The
plan does not prefer idle chargers. A CALL that is never answered counts at its age.
"""

import asyncio
import gc
import random
import resource
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from time import monotonic

from websockets.uri import parse_uri

from voltgate import Codec
from voltgate.charger import replay
from voltgate.charger.calls import Answer, End, Queued
from voltgate.charger.charger import Charger
from voltgate.charger.line import Line, Observer
from voltgate.charger.messages import VENDOR, Transaction
from voltgate.charger.plan import Plan, Report, rate_at, tls
from voltgate.charger.settings import Behaviour, Endpoint, Settings
from voltgate.charger.tally import Tally
from voltgate.schemas import SUBPROTOCOLS

DIALS_PER_SECOND = 10_000  # after a storm: connected chargers are served between the dials
CHARGING_SHARE = 3  # every third charger has a transaction
AWAY = (1.0, 5.0)  # seconds until a charger redials that has lost its connection

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


class Swarm(Observer):
    """The chargers of this process."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self._plan = plan
        self._rng = random.Random()  # noqa: S311 - a simulation
        self._gone: dict[Line, float] = {}  # disconnected by the swarm itself, and since when
        self._behind = 0.0
        self._joined = self._gave_up = 0
        self._began_at = self._joined_at = self._answered_at = self._until = 0.0
        self._work: list[asyncio.Task[None]] = []
        self._frames = self._recorded() if plan.replay else []
        self._kinds, self._shares = list(plan.mix), list(plan.mix.values())
        for version in {charger[1] for charger in plan.chargers}:
            Codec(SUBPROTOCOLS[version])  # compiled before memory is measured
        self._memory = _resident()
        self._chargers = list(self._made())
        self._by_identity = {charger.settings.identity: charger for charger in self._chargers}
        self._charging = [] if plan.replay else self._chargers[::CHARGING_SHARE]
        self._beginning: set[Line] = set(self._charging)
        self._free = [charger for charger in self._chargers if charger not in self._beginning]

    def _made(self) -> Iterator[Charger]:
        plan, uri = self._plan, parse_uri(self._plan.url)
        address = str(socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)[0][4][0])
        each = "{identity}" in plan.certificate  # else all share one context
        shared = None if each else tls(plan, "")
        behaviour = replace(BEHAVIOUR, faults=tuple(plan.faults))
        endpoints: dict[str, list[Endpoint]] = {}
        for identity, version, password, source in plan.chargers:
            context = tls(plan, identity) if each else shared
            endpoint = Endpoint(url=plan.url, address=address, source=source, ssl=context)
            settings = Settings(
                identity=identity,
                version=version,
                endpoints=[endpoint] if each else endpoints.setdefault(source, [endpoint]),
                password=None if password is None else password.encode(),
                behaviour=behaviour,
            )
            yield Charger(settings, self, self.tally, self._rng)

    # Observer

    def ready(self, line: Line) -> None:
        """A charger has joined; every third one starts a transaction the first time."""
        assert isinstance(line, Charger)
        self._joined += 1
        self._joined_at = monotonic()
        if line in self._beginning:
            self._beginning.discard(line)
            self._start(line)
        if line in self._gone:
            self._was_away(line)
            line.greeting = self.tally.start

    def left(self, line: Line) -> None:
        """A charger has lost its connection."""
        self._joined -= 1

    def rejected(self, line: Line) -> None:
        """A charger was refused with a final status."""
        self._gave_up += 1
        if line in self._gone:
            self._was_away(line)

    # Orders of the parent

    async def connect(self) -> None:
        """Dial at the rate of the plan."""
        self._began_at = monotonic()
        for number, charger in enumerate(self._chargers):
            wait = self._began_at + number / self._plan.connect_rate - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            charger.start()

    def load(self, rate: float | None = None) -> None:
        """Start the load of the plan, or one of ``rate`` CALLs per second."""
        gc.collect()
        gc.freeze()  # long-lived objects need not be scanned again
        self._behind = 0.0
        points = self._plan.profile or [(0.0, self._plan.rate)]
        if rate is not None:
            points = [(0.0, rate)]
        planned = self._repeat() if self._plan.replay else self._follow(points)
        self._work = [asyncio.create_task(planned), asyncio.create_task(self._reconnect())]

    def pause(self) -> None:
        """Stop the load; open CALLs go on."""
        for task in self._work:
            task.cancel()
        self._work.clear()

    def storm(self) -> None:
        """Reset all connections at the same time; the chargers redial."""
        for number, charger in enumerate([each for each in self._chargers if each.connected]):
            charger.greeting = self.tally.storm
            spread = self._rng.uniform(0, self._plan.storm_spread)
            self._cut(charger, spread + number / DIALS_PER_SECOND)

    def silence(self, share: float) -> None:
        """Leave the sockets of a share of the chargers half-open; the chargers redial."""
        connected = [each for each in self._chargers if each.connected]
        for charger in self._rng.sample(connected, round(share * len(connected))):
            self._cut(charger, self._rng.uniform(*AWAY), silently=True)

    def hurry(self, grace: float) -> None:
        """Set the deadline for open CALLs, in seconds from now."""
        self._until = monotonic() + grace

    async def finish(self) -> None:
        """Stop the load, wait for open CALLs and absent chargers; what is left counts at its age."""
        self.pause()
        while (self.tally.open or self._gone) and monotonic() < self._until:  # noqa: ASYNC110 - twenty a second
            await asyncio.sleep(0.05)
        now = monotonic()
        for line in list(self._gone):
            self._was_away(line)
        for charger in self._chargers:
            for call in charger.outbox:
                if call.latencies is not None:
                    self.tally.unanswered += 1
                    call.latencies.add(now - call.since)
                    self.tally.ended(call.action, now - call.since, False)

    async def leave(self) -> None:
        """Close every connection cleanly, after :meth:`finish`."""
        await asyncio.gather(*(charger.stop() for charger in self._chargers))

    def report(self) -> Report:
        """Progress."""
        return Report(
            joined=self._joined,
            gave_up=self._gave_up,
            behind=self._behind,
            began_at=self._began_at,
            joined_at=self._joined_at,
            answered_at=self._answered_at,
            memory=_resident() - self._memory,
            tally=self.tally.dump(),
        )

    # Disconnects

    def _cut(self, charger: Charger, seconds: float, silently: bool = False) -> None:
        self._gone[charger] = monotonic()
        charger.drop(seconds, silently)

    def _was_away(self, line: Line) -> None:
        """Its CALLs were delayed by the swarm, so they do not count as those of the load."""
        self.tally.back.add(monotonic() - self._gone.pop(line))
        for call in line.outbox:
            if call.latencies is self.tally.load:
                call.latencies = self.tally.away

    async def _reconnect(self) -> None:
        rate = self._plan.reconnect_rate
        while rate > 0:
            await asyncio.sleep(self._rng.expovariate(rate))
            charger = self._any(self._chargers)
            if charger.ready:
                self._cut(charger, self._rng.uniform(*AWAY))

    # The plan

    async def _follow(self, points: list[tuple[float, float]]) -> None:
        began = due = monotonic()
        while True:
            rate = rate_at(points, due - began)
            due += self._rng.expovariate(rate) if rate > 0 else 1.0
            await self._due(due)
            if rate > 0:
                self._planned(self._call(), due)

    async def _repeat(self) -> None:
        began = monotonic()
        for frame in self._frames:
            due = began + frame.at / self._plan.speed
            await self._due(due)
            charger = self._by_identity[frame.identity]
            self._planned(charger.keep((frame.action, replay.refreshed(frame.payload))), due)

    def _recorded(self) -> list[replay.Recorded]:
        frames, ours = replay.read(self._plan.replay), {charger[0] for charger in self._plan.chargers}
        start = frames[0].at
        return [replace(frame, at=frame.at - start) for frame in frames if frame.identity in ours]

    async def _due(self, due: float) -> None:
        """Wait for a CALL's time; yields even if late, so that answers are read."""
        await asyncio.sleep(max(0.0, due - monotonic()))
        self._behind = max(self._behind, monotonic() - due)

    def _planned(self, call: Queued, due: float) -> None:
        self.tally.due += 1
        call.since, call.latencies, call.done = due, self.tally.load, self._settled

    def _settled(self, end: End) -> None:
        if isinstance(end, Answer):
            self.tally.served += 1
            self._answered_at = monotonic()

    def _call(self) -> Queued:
        charging, free = self._charging, self._free
        match self._rng.choices(self._kinds, self._shares)[0]:
            case "meter" if charging:
                return self._read(self._any(charging))
            case "meter" | "transaction":
                few = len(charging) * CHARGING_SHARE < len(self._chargers)
                if free and (few or not charging):
                    return self._start(self._move(free, charging))
                return self._end(self._move(charging, free))
            case "status":
                charger = self._any(self._chargers)
                return charger.keep(charger.dialect.status(2, charger.connectors[2].status))
            case "authorize":
                charger = self._any(self._chargers)
                return charger.keep(charger.dialect.authorize(BEHAVIOUR.tags[0], "ISO14443"))
            case "data":
                return self._any(self._chargers).keep(("DataTransfer", {"vendorId": VENDOR}))
            case _:
                return self._any(self._chargers).keep(("Heartbeat", {}))

    # A heartbeat replaces the planned CALL if the CSMS has started or ended a transaction by a command, or if
    # a fault of the charger has dropped the message.

    def _start(self, charger: Charger) -> Queued:
        return self._kept(charger, charger.connectors.start, Transaction(1, BEHAVIOUR.tags[0], planned=True))

    def _read(self, charger: Charger) -> Queued:
        return self._kept(charger, charger.connectors.update, charger.connectors[1].transaction)

    def _end(self, charger: Charger) -> Queued:
        end = partial(charger.connectors.end, reason="Local")
        return self._kept(charger, end, charger.connectors[1].transaction)

    def _kept(
        self, charger: Charger, work: Callable[[Transaction], object], tx: Transaction | None
    ) -> Queued:
        before = len(charger.outbox)
        if tx is not None:
            work(tx)
        kept = len(charger.outbox) > before
        return charger.outbox[-1] if kept else charger.keep(("Heartbeat", {}))

    def _any(self, group: list[Charger]) -> Charger:
        return group[self._rng.randrange(len(group))]

    def _move(self, source: list[Charger], target: list[Charger]) -> Charger:
        """Take a random charger out of one group, in constant time, and add it to another."""
        place = self._rng.randrange(len(source))
        moved, source[place] = source[place], source[-1]
        source.pop()
        target.append(moved)
        return moved


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
