"""The CALLs of one charger: one is open at a time (docs/ocpp.md A8), every open one has a deadline.

Transaction messages stay in the outbox, in order and across connections, until the CSMS has answered them
(docs/ocpp.md C). A CALLERROR or a timeout is a failed attempt; the next one waits ``retry_interval`` x
(number of failed attempts), and after ``attempts`` the message is dropped. The end of the connection is not
counted as an attempt. Other CALLs end with their connection. A timeout is followed by a ping, which tests the
connection.
"""

import asyncio
import random
from abc import abstractmethod
from collections.abc import Callable
from time import monotonic
from typing import Any
from uuid import UUID

import orjson

from voltgate import Codec, Frame
from voltgate.charger.calls import Answer, End, Queued, Unanswered
from voltgate.charger.link import Link, Phase, Timer
from voltgate.charger.messages import Message, Payload, Transaction
from voltgate.charger.settings import Settings
from voltgate.charger.tally import Tally
from voltgate.charger.wire import Wire
from voltgate.schemas import SUBPROTOCOLS

UNKNOWN_TRANSACTION = -1  # sent by chargers that never got an id from the CSMS (docs/ocpp.md B)


class Observer:
    """Hooks for events of lines; the defaults do nothing."""

    def ready(self, line: "Line") -> None:
        """Connected, and all messages of the connect are answered."""

    def left(self, line: "Line") -> None:
        """The line was ready and has lost its connection."""

    def rejected(self, line: "Line") -> None:
        """Refused with a final status; the line does not redial."""

    def upgraded(self, line: "Line", seconds: float) -> None:
        """Connected, ``seconds`` after the dial."""

    def refused(self, line: "Line", reason: str, seconds: float) -> None:
        """An upgrade did not succeed."""

    def kept(self, line: "Line", message: Queued) -> None:
        """A message was added to the outbox, before it is sent."""

    def answered(self, line: "Line", call: Queued, answer: Answer) -> None:
        """A CALL was answered; ``call.sends`` includes this attempt."""

    def over(self, line: "Line", call: Queued, seconds: float, error: str) -> None:
        """A CALL has ended for good, ``seconds`` after it was due; ``error`` is empty for a valid answer."""

    def commanded(self, line: "Line", action: str, payload: Payload) -> None:
        """A valid CALL of the CSMS, before it is executed."""


class Line(Link):
    """See the module."""

    __slots__ = ("_calls", "_commanded", "_open", "codec", "greeting", "observer", "outbox")

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        tally: Tally | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(settings, tally or Tally(), rng or random.Random())  # noqa: S311 - a simulation
        self.observer = observer
        self.codec = Codec(SUBPROTOCOLS[settings.version])
        self.outbox: list[Queued] = []
        self.greeting = self.tally.start
        """Latencies of the messages of a connect."""
        self._open: Queued | None = None
        self._calls: list[Queued] = []
        self._commanded = False

    # Hooks

    @abstractmethod
    def command(self, action: str, payload: Payload) -> Payload:
        """The answer to a valid CALL of the CSMS. CALLs sent meanwhile follow the answer."""

    @abstractmethod
    def settled(self, message: Queued, answer: Answer) -> None:
        """A message of the outbox was answered with a CALLRESULT."""

    # Connection

    @property
    def busy(self) -> bool:
        """Whether a CALL would have to wait."""
        return not self.ready or self._open is not None

    def __str__(self) -> str:
        call = f"{self._open.action} open after {self._open.sends} sends" if self._open else "no CALL open"
        return f"{self.phase}, {call}, {self.tally.timeout} timeouts, {self.tally.connects} connects"

    def be_ready(self) -> None:
        """See Link; sends the outbox too."""
        super().be_ready()
        self.observer.ready(self)
        self._next()

    def rejected(self) -> None:
        """See Link."""
        self.observer.rejected(self)

    def dialled(self, refusal: str) -> None:
        """See Link."""
        seconds = monotonic() - self.dialled_at
        if refusal:
            self.observer.refused(self, refusal, seconds)
        else:
            self.observer.upgraded(self, seconds)

    def ended(self, was: Phase, interrupted: bool) -> None:
        """See Link: CALLs outside of the outbox end too."""
        ended, self._calls = self._calls, []
        call, self._open = self._open, None
        if call is not None:
            self.tally.interrupted += interrupted
            self.tally.lost += not interrupted and was is not Phase.STOPPED
            call.sends += 1
            if not call.kept:
                ended.insert(0, call)
        if was is Phase.READY:
            self.observer.left(self)
        for call in ended:
            if not interrupted:
                self._over(call, Unanswered.LOST)
            if call.done is not None:
                call.done(Unanswered.LOST)

    # CALLs

    def new_id(self) -> str:
        """A message or transaction id: a UUID, 36 characters (docs/ocpp.md A6, A20)."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    def send(
        self, message: Message, done: Callable[[End], None] | None = None, greeting: bool = False
    ) -> None:
        """Send a CALL that ends with its connection; ``done`` gets its end, immediately if not connected."""
        if not self.connected:
            if done is not None:
                done(Unanswered.LOST)
            return
        now = monotonic()
        latencies = self.greeting if greeting else None
        self._calls.append(Queued(*message, done=done, since=now, due=now, latencies=latencies))
        self._next()

    async def call(self, action: str, payload: Payload) -> End:
        """Send a CALL as :meth:`send` does, and wait for its end."""
        future: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.send((action, payload), lambda end: None if future.done() else future.set_result(end))
        return await future

    def keep(self, message: Message, transaction: Transaction | None = None) -> Queued:
        """Add a CALL to the outbox, with or without a connection."""
        now = monotonic()
        queued = Queued(*message, transaction, kept=True, since=now, due=now)
        self.outbox.append(queued)
        self.observer.kept(self, queued)
        self._next()
        return queued

    def _next(self) -> None:
        """Send the next due CALL, unless a CALL is open or a command is being answered."""
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
                known = call.transaction.id
                call.payload["transactionId"] = UNKNOWN_TRANSACTION if known is None else known
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
        self.ping()

    def _settle(self, end: End) -> None:
        """End the open CALL on this connection."""
        call, self._open = self._open, None
        assert call is not None
        self.disarm(Timer.ANSWER)
        call.sends += 1
        over = not call.kept
        if isinstance(end, Answer):
            self.observer.answered(self, call, end)
            over = over or not end.code
        if call.kept:
            over = over or self._failed(call)
            if over:
                self.outbox.remove(call)
            if isinstance(end, Answer) and not end.code:
                self.settled(call, end)
        if over:
            self._over(call, end)
            if call.done is not None:
                call.done(end)
        self._next()

    def _over(self, call: Queued, end: End) -> None:
        """Count a CALL that is not sent again."""
        seconds = monotonic() - call.since
        error = end.code if isinstance(end, Answer) else end.name.lower()
        self.observer.over(self, call, seconds, error)
        self.tally.ended(call.action, seconds, not error)
        if call.latencies is not None:
            call.latencies.add(seconds)

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
