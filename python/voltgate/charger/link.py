"""The connection of one charger to its CSMS: dial, back off, ping, close, redial. CALLs are in ``line``.

    IDLE --start--> DIALLING --opened--> CONNECTED --be_ready--> READY
                     ^    | refused          | lost                | lost
                     |    v                  v                     |
                     +- WAITING <------------+---------------------+        any --stop--> STOPPED

A link cannot hang, because every waiting state has a timer: DIALLING a deadline, WAITING the time of the next
dial; a ping has a deadline, after which the connection is reset; a closing wire is aborted (``wire``). Every
end of a wire leads to WAITING, unless the link is stopped or was rejected (``stop_if_rejected``).
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, StrEnum
from functools import partial
from ssl import SSLContext
from time import monotonic

from voltgate.charger.settings import Endpoint, Settings
from voltgate.charger.tally import Tally
from voltgate.charger.wire import Refusal, Wire, why


class Phase(StrEnum):
    """See the drawing above."""

    IDLE = "idle"
    DIALLING = "dialling"
    CONNECTED = "connected"
    READY = "ready"
    WAITING = "waiting to dial"
    STOPPED = "stopped"


NO_ANSWER = "no answer to the upgrade"

# At most one timer of each kind is armed.
Timer = Enum("Timer", "DIAL ANSWER RETRY PING PONG BOOT HEARTBEAT")


class Link(ABC):
    """See the module. ``rng`` also makes ids: seed it only in tests, ids must not repeat."""

    __slots__ = (
        "_dialling", "_failures", "_gone", "_timers", "_wire",
        "context", "dialled_at", "password", "phase", "rng", "settings", "tally",
    )  # fmt: skip

    def __init__(self, settings: Settings, tally: Tally, rng: random.Random) -> None:
        self.settings, self.tally, self.rng = settings, tally, rng
        self.password = settings.password
        self.context: SSLContext | None = None
        """Replaces that of the endpoint, from the next dial on."""
        self.phase = Phase.IDLE
        self.dialled_at = 0.0
        self._wire: Wire | None = None
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._failures = 0
        self._dialling: asyncio.Task[None] | None = None
        self._gone: asyncio.Future[None] | None = None

    # Hooks

    @abstractmethod
    def greet(self) -> None:
        """Connected: send the messages of a connect, then call :meth:`be_ready`."""

    @abstractmethod
    def ended(self, was: Phase, interrupted: bool) -> None:
        """The connection has ended; ``interrupted``: by :meth:`drop`."""

    @abstractmethod
    def rejected(self) -> None:
        """Refused with a final status."""

    @abstractmethod
    def dialled(self, refusal: str) -> None:
        """A dial has ended: ``refusal`` is its reason, or empty if the link is connected."""

    @abstractmethod
    def received(self, message: bytes) -> None:
        """See Owner."""

    # Connection

    def start(self) -> None:
        """Dial, and redial after every end, until :meth:`stop`."""
        self.phase = Phase.DIALLING
        self.dialled_at = monotonic()
        late = partial(self._not_admitted, NO_ANSWER)
        self.arm(Timer.DIAL, self.settings.behaviour.open_timeout, late)
        endpoint = self.rng.choice(self.settings.endpoints)
        self._wire = Wire(endpoint, self.settings, self.password, self)
        self._dialling = asyncio.get_running_loop().create_task(self._dial(self._wire, endpoint))

    async def stop(self) -> None:
        """Close the connection cleanly and do not redial."""
        self.phase = Phase.STOPPED
        self._disarm_all()
        if self._wire is not None:
            self._gone = gone = asyncio.get_running_loop().create_future()
            self.hang_up()
            await gone

    @property
    def ready(self) -> bool:
        """Whether the charger is accepted and all messages of the connect are answered."""
        return self.phase is Phase.READY

    @property
    def connected(self) -> bool:
        """Whether CALLs can be sent."""
        return self.phase in {Phase.CONNECTED, Phase.READY}

    def hang_up(self) -> None:
        """End the connection; the link redials unless it is stopped."""
        if self._dialling is not None:
            self._not_admitted("hung up")
        elif self._wire is not None:
            self._wire.close()

    def drop(self, seconds: float, silently: bool = False) -> None:
        """Simulate a power failure of ``seconds``; ``silently``: the old socket stays half-open."""
        if self._wire is not None:
            if silently:
                silent_at, tally = monotonic(), self.tally
                tally.silent += 1
                self._wire.fall_silent(lambda: tally.noticed.add(monotonic() - silent_at))
            else:
                self._wire.drop()
            self._disconnected(interrupted=True)
        if not self._stopped():
            self._redial(seconds)

    def lose(self, seconds: float) -> None:
        """Simulate an interrupted network: the charger itself goes on."""
        Link.drop(self, seconds)

    def be_ready(self) -> None:
        """All messages of the connect are answered."""
        self.phase = Phase.READY
        self._failures = 0

    async def _dial(self, wire: Wire, endpoint: Endpoint) -> None:
        try:
            await wire.connect(endpoint, self.context or endpoint.ssl)
        except (OSError, ValueError) as error:
            if self._wire is wire:
                self._not_admitted(why(error))

    def _not_admitted(self, reason: str) -> None:
        assert self._wire is not None
        self._wire.drop()
        self.refused(Refusal(reason))

    def opened(self) -> None:
        """See Owner."""
        self._dialling = None
        self._disarm_all()
        self.phase = Phase.CONNECTED
        self.tally.connects += 1
        self.tally.upgrade.add(monotonic() - self.dialled_at)
        self.dialled("")
        self._ping_later()
        self.greet()

    def refused(self, refusal: Refusal) -> None:
        """See Owner."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        self._wire = None
        self._disarm_all()
        if self._stopped():
            return
        self.tally.refused[refusal.reason] += 1
        if refusal.reason == NO_ANSWER:
            self.tally.upgrade.add(monotonic() - self.dialled_at)
        self.dialled(refusal.reason)
        self._failures += 1
        behaviour = self.settings.behaviour
        if refusal.final and behaviour.stop_if_rejected:
            self.phase = Phase.STOPPED
            self.rejected()
        elif refusal.retry_after is not None and behaviour.obey_retry_after:
            self._redial(refusal.retry_after)
        else:
            self._redial(self._back_off())

    def lost(self, reason: str) -> None:
        """See Owner."""
        del reason
        self._failures += not self.ready
        self._disconnected(interrupted=False)
        if not self._stopped():
            self.tally.disconnects += 1
            self._redial(self._back_off())

    def _disconnected(self, interrupted: bool) -> None:
        self._wire = None
        self._disarm_all()
        was = self.phase
        if was is not Phase.STOPPED:
            self.phase = Phase.WAITING
        self.ended(was, interrupted)

    def _stopped(self) -> bool:
        if self.phase is Phase.STOPPED and self._gone is not None:
            self._gone.set_result(None)
            self._gone = None
        return self.phase is Phase.STOPPED

    def _redial(self, seconds: float) -> None:
        self.phase = Phase.WAITING
        self.arm(Timer.DIAL, seconds, self.start)

    def _back_off(self) -> float:
        """docs/ocpp.md A19; a lost connection is followed by the first wait."""
        behaviour = self.settings.behaviour
        doubled = 2.0 ** min(max(self._failures - 1, 0), behaviour.back_off_repeats)
        return (behaviour.back_off_minimum + self.rng.uniform(0, behaviour.back_off_random)) * doubled

    def _ping_later(self) -> None:
        if self.settings.behaviour.ping_interval is not None:
            self.arm(Timer.PING, self.settings.behaviour.ping_interval, self.ping)

    def ping(self) -> None:
        """Send a ping; the connection is reset if the pong is late."""
        if (
            self._wire is not None and Timer.PONG not in self._timers
        ):  # a later ping does not extend the deadline
            self.arm(Timer.PONG, self.settings.behaviour.ping_timeout, self._overdue_pong)
            self._wire.ping()

    def ponged(self) -> None:
        """See Owner."""
        self.disarm(Timer.PONG)
        self._ping_later()

    def _overdue_pong(self) -> None:
        assert self._wire is not None
        self._wire.drop()
        self.lost("no pong")

    # Timers

    def arm(self, timer: Timer, seconds: float, work: Callable[[], None]) -> None:
        """Call ``work`` in ``seconds``; replaces the previous work of this timer."""
        self.disarm(timer)
        self._timers[timer] = asyncio.get_running_loop().call_later(seconds, self._fire, timer, work)

    def disarm(self, timer: Timer) -> bool:
        """Stop the timer; whether it was armed."""
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()
        self._at_rest()
        return handle is not None

    def _disarm_all(self) -> None:
        for timer in list(self._timers):
            self.disarm(timer)

    def _fire(self, timer: Timer, work: Callable[[], None]) -> None:
        del self._timers[timer]
        self._at_rest()
        work()

    def _at_rest(self) -> None:
        if not self._timers:
            self._timers.clear()  # an emptied dict keeps its table of 170 bytes
