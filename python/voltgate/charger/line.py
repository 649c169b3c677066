"""The connection of one charger to its CSMS, and the CALLs that go through it; ``station`` makes them.

    IDLE --start--> DIALLING --opened--> CONNECTED --be_ready--> READY
                     ^    | refused          | lost                | lost
                     |    v                  v                     |
                     +- WAITING <------------+---------------------+        any --stop--> STOPPED

A line cannot fall silent, because every state that waits for something has a timer. DIALLING has a deadline,
WAITING the time of the next dial, an open CALL a deadline; a CALL without an answer is followed by a ping, and
a ping without a pong resets the connection; a closing wire is aborted (``wire``). Every end of a wire leads to
WAITING, unless the line is stopped or was rejected for good (``stop_if_rejected``).

One CALL is open at a time (docs/ocpp.md A8). Transaction messages stay in the outbox, in order and across
connections, until the CSMS has them (docs/ocpp.md C): a CALLERROR or no answer is a failed attempt, the next one
waits ``retry_interval`` x (number of failed ones), and after ``attempts`` the message is given up. A connection
that ends under an open message is not an attempt. Other CALLs end with their connection.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from time import monotonic
from typing import Any
from uuid import UUID

import orjson

from voltgate import Codec, Frame
from voltgate.charger.messages import Message, Payload, Transaction
from voltgate.charger.settings import Endpoint, Settings
from voltgate.charger.tally import Latencies, Tally
from voltgate.charger.wire import Refusal, Wire
from voltgate.schemas import SUBPROTOCOLS

UNKNOWN_TRANSACTION = -1  # what chargers send if the CSMS never gave an id (docs/ocpp.md B)


class Phase(StrEnum):
    """See the drawing above."""

    IDLE = "idle"
    DIALLING = "dialling"
    CONNECTED = "connected"
    READY = "ready"
    WAITING = "waiting to dial"
    STOPPED = "stopped"


class Timer(Enum):
    """What a line waits for; one of each at most."""

    DIAL = auto()
    ANSWER = auto()
    RETRY = auto()
    PING = auto()
    PONG = auto()
    BOOT = auto()
    HEARTBEAT = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """A CALLRESULT; or if ``code`` is not empty a CALLERROR, or a CALLRESULT that violates its schema."""

    payload: Payload
    code: str = ""
    description: str = ""
    seconds: float = 0.0


class Unanswered(Enum):
    """A CALL ended without an answer: none came in time, or the connection ended."""

    TIMEOUT = auto()
    LOST = auto()


End = Answer | Unanswered


@dataclass(slots=True, eq=False)
class Queued:
    """One CALL. Its body is fixed when it is first sent, so every resend is identical."""

    action: str
    payload: Payload
    transaction: Transaction | None = None
    kept: bool = False
    """Whether it stays in the outbox until it is answered."""
    done: Callable[[End], None] | None = None
    latencies: Latencies | None = None
    since: float = 0.0
    """Its latency counts from here."""
    due: float = 0.0
    """It is not sent before."""
    id: str = ""
    body: bytes = b""
    sends: int = 0
    failures: int = 0
    sent_at: float = 0.0


class Observer:
    """Learns what happens to lines; the methods do nothing until they are overridden."""

    def ready(self, line: "Line") -> None:
        """Connected, and what follows a connect is answered."""

    def left(self, line: "Line") -> None:
        """The line was ready, and is not any more."""

    def rejected(self, line: "Line") -> None:
        """Refused for good; it does not dial again."""

    def kept(self, line: "Line", message: Queued) -> None:
        """A transaction message was made; not sent yet."""

    def answered(self, line: "Line", call: Queued, answer: Answer) -> None:
        """A CALL got its answer; ``call.sends`` counts this attempt."""

    def commanded(self, line: "Line", action: str, payload: Payload) -> None:
        """A valid CALL of the CSMS, before it is carried out."""


class Line(ABC):
    """See the module. ``rng`` also makes ids: seed it only in tests, ids must not repeat."""

    __slots__ = (
        "_calls", "_commanded", "_dialling", "_failures", "_gone", "_open", "_timers", "_wire", "codec",
        "greeting", "observer", "outbox", "password", "phase", "rng", "settings", "tally",
    )  # fmt: skip

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        tally: Tally | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self.observer = observer
        self.tally = tally or Tally()
        self.rng = rng or random.Random()  # noqa: S311 - a simulation
        self.codec = Codec(SUBPROTOCOLS[settings.version])
        self.password = settings.password
        self.phase = Phase.IDLE
        self.outbox: list[Queued] = []
        self.greeting = self.tally.start
        self._wire: Wire | None = None
        self._open: Queued | None = None
        self._calls: list[Queued] = []
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._failures = 0
        self._commanded = False
        self._dialling: asyncio.Task[None] | None = None
        self._gone: asyncio.Future[None] | None = None

    # What a charger does

    @abstractmethod
    def greet(self) -> None:
        """Send what follows a connect, then :meth:`be_ready`."""

    @abstractmethod
    def command(self, action: str, payload: Payload) -> Payload:
        """The answer to a valid CALL of the CSMS. What it sends meanwhile follows the answer."""

    @abstractmethod
    def settled(self, message: Queued, answer: Answer) -> None:
        """A message of the outbox has got a CALLRESULT."""

    # Connection

    def start(self) -> None:
        """Dial, and dial again after every end, until :meth:`stop`."""
        self.phase = Phase.DIALLING
        self.arm(Timer.DIAL, self.settings.behaviour.open_timeout, self._overdue_dial)
        endpoint = self.rng.choice(self.settings.endpoints)
        self._wire = Wire(endpoint, self.settings, self.password, self)
        self._dialling = asyncio.get_running_loop().create_task(self._dial(self._wire, endpoint))

    async def stop(self) -> None:
        """Close the connection cleanly and do not dial again."""
        ready, self.phase = self.ready, Phase.STOPPED
        self._disarm_all()
        if self._wire is not None:
            self._gone = asyncio.get_running_loop().create_future()
            self.hang_up()
            await self._gone
        if ready:
            self.observer.left(self)

    @property
    def ready(self) -> bool:
        """Whether the charger is accepted and all that follows a connect is answered."""
        return self.phase is Phase.READY

    @property
    def connected(self) -> bool:
        """Whether CALLs can be sent."""
        return self.phase in {Phase.CONNECTED, Phase.READY}

    @property
    def busy(self) -> bool:
        """Whether a CALL would have to wait."""
        return not self.ready or self._open is not None

    def __str__(self) -> str:
        return f"{self.phase}, {f'{self._open.action} open' if self._open else 'no CALL open'}"

    def hang_up(self) -> None:
        """End the connection; unless the line is stopped it dials again."""
        if self._wire is None:
            return
        if self._dialling is None:
            self._wire.close()
        else:
            self._wire.drop()
            self.refused(Refusal("hung up"))

    def drop(self, seconds: float) -> None:
        """The power fails, and comes back after ``seconds``."""
        if self._wire is not None:
            self._wire.drop()
            self.tally.interrupted += self._open is not None
            self._disconnected()
        self._redial(seconds)

    def be_ready(self) -> None:
        """All that follows a connect is answered: send the outbox too."""
        self.phase = Phase.READY
        self._failures = 0
        self.observer.ready(self)
        self._next()

    async def _dial(self, wire: Wire, endpoint: Endpoint) -> None:
        try:
            await wire.connect(endpoint)
        except (OSError, ValueError) as error:
            wire.drop()
            if self._wire is wire:
                self.refused(Refusal(getattr(error, "strerror", None) or str(error)))

    def _overdue_dial(self) -> None:
        assert self._wire is not None
        self._wire.drop()
        self.refused(Refusal("no answer to the upgrade"))

    def opened(self) -> None:
        """See Owner."""
        self._dialling = None
        self._disarm_all()
        self.phase = Phase.CONNECTED
        self.tally.connects += 1
        self._ping_later()
        self.greet()

    def refused(self, refusal: Refusal) -> None:
        """See Owner."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        self._wire = None
        self._disarm_all()
        if self.phase is Phase.STOPPED:
            self._end()
            return
        self.tally.refused[refusal.reason] += 1
        self._failures += 1
        behaviour = self.settings.behaviour
        if refusal.final and behaviour.stop_if_rejected:
            self.phase = Phase.STOPPED
            self.observer.rejected(self)
        elif refusal.retry_after is not None and behaviour.obey_retry_after:
            self._redial(refusal.retry_after)
        else:
            self._redial(self._back_off())

    def lost(self, reason: str) -> None:
        """See Owner."""
        del reason
        if self.phase is not Phase.STOPPED:
            self.tally.disconnects += 1
            self.tally.lost += self._open is not None
            self._failures += not self.ready
        self._disconnected()
        if self.phase is Phase.STOPPED:
            self._end()
        else:
            self._redial(self._back_off())

    def _disconnected(self) -> None:
        self._wire = None
        self._disarm_all()
        was_ready = self.ready
        if self.phase is not Phase.STOPPED:
            self.phase = Phase.WAITING
        ended, self._calls = self._calls, []
        call, self._open = self._open, None
        if call is not None:
            call.sends += 1
            if not call.kept:
                ended.insert(0, call)
        if was_ready:
            self.observer.left(self)
        for call in ended:
            if call.done is not None:
                call.done(Unanswered.LOST)

    def _end(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _redial(self, seconds: float) -> None:
        self.phase = Phase.WAITING
        self.arm(Timer.DIAL, seconds, self.start)

    def _back_off(self) -> float:
        """docs/ocpp.md A19: the first wait also follows a connection that was lost."""
        behaviour = self.settings.behaviour
        doubled = 2.0 ** min(max(self._failures - 1, 0), behaviour.back_off_repeats)
        return (behaviour.back_off_minimum + self.rng.uniform(0, behaviour.back_off_random)) * doubled

    def _ping_later(self) -> None:
        if self.settings.behaviour.ping_interval is not None:
            self.arm(Timer.PING, self.settings.behaviour.ping_interval, self._ping)

    def _ping(self) -> None:
        if self._wire is not None and Timer.PONG not in self._timers:  # a later ping extends no deadline
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
        """Do ``work`` then, instead of what this timer was armed for."""
        self.disarm(timer)
        self._timers[timer] = asyncio.get_running_loop().call_later(seconds, self._fire, timer, work)

    def disarm(self, timer: Timer) -> bool:
        """Whether it was armed."""
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()
        return handle is not None

    def _disarm_all(self) -> None:
        for timer in list(self._timers):
            self.disarm(timer)

    def _fire(self, timer: Timer, work: Callable[[], None]) -> None:
        del self._timers[timer]
        work()

    # CALLs

    def new_id(self) -> str:
        """A message or transaction id: a UUID, 36 characters (docs/ocpp.md A6, A20)."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def send(
        self, message: Message, done: Callable[[End], None] | None = None, greeting: bool = False
    ) -> None:
        """A CALL that ends with its connection; ``done`` is called at its end, at once if there is none."""
        if not self.connected:
            if done is not None:
                done(Unanswered.LOST)
            return
        now = monotonic()
        latencies = self.greeting if greeting else None
        self._calls.append(Queued(*message, done=done, since=now, due=now, latencies=latencies))
        self._next()

    async def call(self, action: str, payload: Payload) -> End:
        """As :meth:`send`; returns the end."""
        future: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.send((action, payload), lambda end: None if future.done() else future.set_result(end))
        return await future

    def keep(self, message: Message, transaction: Transaction | None = None) -> Queued:
        """A CALL for the outbox, with or without a connection."""
        now = monotonic()
        queued = Queued(*message, transaction, kept=True, since=now, due=now)
        self.outbox.append(queued)
        self.observer.kept(self, queued)
        self._next()
        return queued

    def _next(self) -> None:
        """Send what is due, if nothing is open and no command waits for its answer."""
        if self._wire is None or not self._wire.open or self._open is not None or self._commanded:
            return
        head = self.outbox[0] if self.outbox and self.ready else None
        if self._calls and (head is None or self._calls[0].due <= head.due):
            self._send(self._wire, self._calls.pop(0))
        elif head is not None:
            wait = head.due - monotonic()
            if wait > 0:
                self.arm(Timer.RETRY, wait, self._next)
            else:
                self._send(self._wire, head)

    def _send(self, wire: Wire, call: Queued) -> None:
        if not call.body:
            if call.transaction is not None and call.payload.get("transactionId", 0) is None:
                call.payload["transactionId"] = call.transaction.id
            call.body = orjson.dumps(call.payload)
        if not call.id or not self.settings.behaviour.reuse_ids:
            call.id = self.new_id()
        call.sent_at = monotonic()
        self._open = call
        self.tally.sent += 1
        self.arm(Timer.ANSWER, self.settings.behaviour.answer_timeout, self._overdue_answer)
        wire.send(b'[2,"%b","%b",%b]' % (call.id.encode(), call.action.encode(), call.body))

    def _overdue_answer(self) -> None:
        self.tally.timeout += 1
        self._settle(Unanswered.TIMEOUT)
        self._ping()

    def _settle(self, end: End) -> None:
        """The open CALL has ended on this connection."""
        call, self._open = self._open, None
        assert call is not None
        self.disarm(Timer.ANSWER)
        call.sends += 1
        over = not call.kept
        if isinstance(end, Answer):
            self.observer.answered(self, call, end)
            if not end.code:
                over = True
                if call.latencies is not None:
                    call.latencies.add(monotonic() - call.since)
        if call.kept:
            over = over or self._failed(call)
            if over:
                self.outbox.remove(call)
            if isinstance(end, Answer) and not end.code:
                self.settled(call, end)
        if over and call.done is not None:
            call.done(end)
        self._next()

    def _failed(self, message: Queued) -> bool:
        """Whether that was its last attempt."""
        message.failures += 1
        message.due = monotonic() + self.settings.behaviour.retry_interval * message.failures
        if message.failures < self.settings.behaviour.attempts:
            return False
        self.tally.given_up += 1
        if message.action == "StartTransaction" and message.transaction:
            message.transaction.id = UNKNOWN_TRANSACTION
        return True

    # Frames

    def received(self, message: bytes) -> None:
        """See Owner."""
        frame = self.codec.decode(message, "csms")
        if frame.type == 2 and frame.message_id is not None:
            self._answer(frame)
        elif frame.type in {3, 4}:
            self._answered(frame)

    def _answer(self, frame: Frame) -> None:
        self.tally.commands += 1
        reply: list[Any]
        if frame.violation:
            reply = [4, frame.message_id, frame.violation.code, frame.violation.reason, {}]
        else:
            action, payload = frame.action or "", orjson.loads(frame.payload)
            self.observer.commanded(self, action, payload)
            self._commanded = True
            try:
                reply = [3, frame.message_id, self.command(action, payload)]
            finally:
                self._commanded = False
        self._write(reply)
        self._next()

    def _answered(self, frame: Frame) -> None:
        call, tally = self._open, self.tally
        if call is None or frame.message_id != call.id:
            tally.late += 1
            return
        seconds = monotonic() - call.sent_at
        if frame.type == 4:
            tally.callerror += 1
            answer = Answer({}, frame.code or "GenericError", frame.description or "", seconds)
        elif violation := frame.violation or self.codec.check(call.action, "response", frame.payload):
            tally.invalid += 1
            answer = Answer({}, violation.code, violation.reason, seconds)
            if self.codec.version == "v21":  # docs/ocpp.md A13
                self._write([5, call.id, violation.code, violation.reason, {}])
        else:
            tally.answered += 1
            answer = Answer(orjson.loads(frame.payload), seconds=seconds)
        self._settle(answer)

    def _write(self, frame: list[Any]) -> None:
        if self._wire is not None:
            self._wire.send(orjson.dumps(frame))
