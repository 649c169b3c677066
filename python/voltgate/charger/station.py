"""A charger of a swarm: the same protocol as ``charger.Charger`` with nothing that costs at rest.

No task, timer or event of its own. It boots once, tells its statuses after every connect, has one CALL open
at a time (OCPP.md A8), sends transaction messages again when a connection was lost under them (OCPP.md C) and
dials again by itself. TransactionMessageAttempts is 1: a CALLERROR or no answer is counted, not repeated.
What the CSMS tells it to do needs hands it does not have: NotSupported.
"""

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, Protocol

import orjson

from voltgate import Codec, Frame
from voltgate.charger.behaviour import Latencies
from voltgate.charger.commands import ACCEPTED, ANSWERS, FIXED
from voltgate.charger.messages import Dialect, Message, Payload, State, Transaction
from voltgate.charger.outbox import UNKNOWN_TRANSACTION
from voltgate.charger.tally import Tally
from voltgate.charger.wire import Refusal, Wire

CONNECTORS = (1, 2)
TAG = "04A2B3C4"
UPGRADE_TIMEOUT = 30.0
ANSWER_TIMEOUT = 30.0
METER_STEP = 180  # Wh a minute at 11 kW


class Call:
    """A CALL on its way. ``make`` gives the message when it is first sent; a resend has the same body."""

    __slots__ = ("action", "answered", "body", "due", "kept", "latencies", "make", "message_id", "sent_at")

    def __init__(
        self,
        make: Callable[[], Message],
        due: float,
        latencies: Latencies,
        answered: Callable[[Payload], None] | None = None,
        kept: bool = False,
    ) -> None:
        self.make, self.answered, self.latencies = make, answered, latencies
        self.due, self.kept = due, kept
        self.action = self.message_id = ""
        self.body = b""
        self.sent_at = 0.0


class Swarm(Protocol):
    """What a station asks of those around it."""

    tally: Tally
    leaving: bool
    """Whether connections end because the swarm does."""

    def greeting(self) -> Latencies:
        """Where answers to what follows a connect are counted now."""

    def new_id(self) -> str:
        """A message or transaction id."""

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it then."""

    def dial(self, station: "Station") -> None:
        """Connect; the station's ``opened`` or ``refused`` is called."""

    def back_off(self, failures: int) -> float:
        """Seconds before the next dial."""

    def joined(self, station: "Station") -> None:
        """It is connected, and all that follows a connect is answered."""

    def left(self, station: "Station") -> None:
        """It was joined, and is not any more."""

    def gave_up(self, station: "Station") -> None:
        """It will not be let in."""

    def done(self, calls: int = 1) -> None:
        """CALLs of the plan are over, whatever came of them."""


class Station:
    """See the module."""

    __slots__ = (
        "_accepted", "_codec", "_dialect", "_dialled_at", "_failures", "_greetings", "_meter", "_open",
        "_queue", "_swarm", "_wire", "connected", "identity", "joined", "password", "place", "source",
        "transaction",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - what it is, and where
        self, swarm: Swarm, identity: str, codec: Codec, dialect: Dialect, password: bytes | None, source: str
    ) -> None:
        self.identity, self.password, self.source = identity, password, source
        self.place = 0
        """Where the swarm keeps it in its list."""
        self.connected = self.joined = False
        self.transaction: Transaction | None = None
        self._swarm, self._codec, self._dialect = swarm, codec, dialect
        self._wire: Wire | None = None
        self._open: Call | None = None
        self._greetings: list[Call] = []
        self._queue: list[Call] = []
        self._accepted = False
        self._failures = 0
        self._dialled_at = 0.0
        self._meter = 0

    @property
    def subprotocol(self) -> str:
        """What it offers."""
        return self._codec.subprotocol

    @property
    def idle(self) -> bool:
        """Whether a CALL would leave at once."""
        return self.joined and self._open is None

    # What the plan wants

    def plug_in(self, due: float, latencies: Latencies) -> Transaction:
        """A vehicle comes."""
        tx = Transaction(CONNECTORS[0], TAG, meter=self._meter)
        if self._codec.version != "v16":
            tx.id = self._swarm.new_id()
        self.transaction = tx
        self._put(
            Call(partial(self._dialect.started, tx), due, latencies, partial(self._started, tx), kept=True)
        )
        return tx

    def meter(self, due: float, latencies: Latencies) -> None:
        """Its charging goes on."""
        tx = self._charging()
        self._put(Call(partial(self._read, tx, self._dialect.updated), due, latencies, kept=True))

    def plug_out(self, due: float, latencies: Latencies) -> None:
        """It leaves."""
        tx, self.transaction = self._charging(), None
        tx.stopped = "Local"
        self._put(Call(partial(self._read, tx, self._dialect.ended), due, latencies, kept=True))

    def heartbeat(self, due: float, latencies: Latencies) -> None:
        """A sign of life."""
        self._put(Call(lambda: ("Heartbeat", {}), due, latencies))

    def report(self, due: float, latencies: Latencies) -> None:
        """The state of the connector where nobody charges."""
        self._put(Call(partial(self._status, CONNECTORS[1]), due, latencies))

    def _charging(self) -> Transaction:
        assert self.transaction is not None, "the plan knows who charges"
        return self.transaction

    def _read(self, tx: Transaction, moment: Callable[[Transaction], Message]) -> Message:
        self._meter = tx.meter = tx.meter + METER_STEP
        if tx.id is None:
            tx.id = UNKNOWN_TRANSACTION
        return moment(tx)

    def _status(self, connector: int) -> Message:
        charging = self.transaction is not None and self.transaction.connector == connector
        return self._dialect.status(connector, State.CHARGING if charging else State.AVAILABLE)

    @staticmethod
    def _started(tx: Transaction, answer: Payload) -> None:
        if tx.id is None:  # 1.6: the CSMS gives it
            tx.id = answer.get("transactionId")

    # The connection

    def dialled(self, wire: Wire) -> None:
        """The swarm is connecting it."""
        self._wire, self._dialled_at = wire, monotonic()

    def opened(self) -> None:
        """Boot (once in a life, J16 5.4; a storm is a power cut), then the statuses."""
        self.connected = True
        now, latencies = monotonic(), self._swarm.greeting()
        self._greetings = [
            Call(partial(self._status, connector), now, latencies) for connector in reversed(CONNECTORS)
        ]
        if not self._accepted:
            self._greetings.append(self._boot())
        self._next()

    def refused(self, refusal: Refusal) -> None:
        """Ask again when told to, else with back-off (OCPP.md A19)."""
        if self._wire is None or self._swarm.leaving:
            return
        self._wire = None
        self._swarm.tally.refused[refusal.reason] += 1
        self._failures += 1
        if refusal.final:
            self._swarm.gave_up(self)
            return
        wait = refusal.retry_after
        self.redial(self._swarm.back_off(self._failures) if wait is None else wait)

    def lost(self, reason: str) -> None:
        """The other side ended it."""
        del reason
        if self._swarm.leaving:
            self._gone()
            return
        tally = self._swarm.tally
        tally.disconnects += 1
        tally.lost += self._open is not None
        self._gone()
        self._failures += 1
        self.redial(self._swarm.back_off(self._failures))

    def drop(self) -> None:
        """The storm: power is off, and it will boot."""
        assert self._wire is not None
        self._wire.drop()
        self._swarm.tally.dropped += self._open is not None
        self._gone()
        self._accepted = False

    def redial(self, seconds: float) -> None:
        """Dial, now or later."""
        self._swarm.later(seconds, partial(self._swarm.dial, self))

    def hang_up(self) -> None:
        """Leave cleanly, for good."""
        if self._wire is not None and self.connected:
            self._wire.close()

    def _gone(self) -> None:
        self._wire = None
        self._greetings.clear()
        call, self._open = self._open, None
        if call is not None and call.kept:
            self._queue.insert(0, call)
        elif call is not None:
            self._over(call)
        if self.joined:
            self._swarm.left(self)
        self.connected = self.joined = False

    def excuse(self) -> None:
        """What waited because the storm cut it off was not slow: it counts from now."""
        now = monotonic()
        for call in self._queue:
            call.due = now

    # CALLs

    def _boot(self) -> Call:
        now = monotonic()
        return Call(partial(self._dialect.boot, "PowerUp"), now, self._swarm.greeting(), self._booted)

    def _booted(self, answer: Payload) -> None:
        self._accepted = answer.get("status") == "Accepted"
        if not self._accepted:  # OCPP.md A18: nothing else is said until it is
            wire = self._wire

            def again() -> None:
                if self._wire is wire and wire is not None and self._open is None:
                    self._greetings.append(self._boot())
                    self._next()

            self._swarm.later(max(1.0, float(answer.get("interval", 0))), again)

    def _put(self, call: Call) -> None:
        self._queue.append(call)
        if self.joined and self._open is None:
            self._next()

    def _next(self) -> None:
        if self._wire is None or self._open is not None:
            return
        if self._greetings:
            if self._accepted or len(self._greetings) > len(CONNECTORS):
                self._send(self._wire, self._greetings.pop())
            return
        if not self.joined:
            self._failures = 0
            self.joined = True
            self._swarm.joined(self)
        if self._queue and self._open is None:
            self._send(self._wire, self._queue.pop(0))

    def _send(self, wire: Wire, call: Call) -> None:
        if not call.body:
            call.action, payload = call.make()
            call.body = orjson.dumps(payload)
        call.message_id = self._swarm.new_id()
        call.sent_at = monotonic()
        self._open = call
        self._swarm.tally.sent += 1
        wire.send(b'[2,"%b","%b",%b]' % (call.message_id.encode(), call.action.encode(), call.body))

    def overdue(self, now: float) -> None:
        """Give up what has waited too long: the upgrade, or the answer to the open CALL."""
        if self._open is not None and now - self._open.sent_at > ANSWER_TIMEOUT:
            self._swarm.tally.timeout += 1
            self._settled(None)
        elif self._wire is not None and not self.connected and now - self._dialled_at > UPGRADE_TIMEOUT:
            self._wire.drop()
            self.refused(Refusal("no answer to the upgrade"))

    def received(self, message: bytes) -> None:
        """A message of the CSMS."""
        frame = self._codec.decode(message, "csms")
        if frame.type == 2 and frame.message_id is not None:
            self._command(frame)
        elif frame.type in {3, 4}:
            self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        call, tally = self._open, self._swarm.tally
        if call is None or frame.message_id != call.message_id:
            tally.late += 1
        elif frame.type == 4:
            tally.callerror += 1
            self._settled(None)
        elif violation := frame.violation or self._codec.check(call.action, "response", frame.payload):
            tally.invalid += 1
            if self._codec.version == "v21" and self._wire:  # OCPP.md A13
                error = [5, call.message_id, violation.code, violation.reason, {}]
                self._wire.send(orjson.dumps(error))
            self._settled(None)
        else:
            tally.answered += 1
            call.latencies.add(monotonic() - call.due)
            self._settled(orjson.loads(frame.payload) if call.answered else {})

    def _settled(self, answer: Payload | None) -> None:
        """The open CALL is over; None: without an answer that counts."""
        call, self._open = self._open, None
        assert call is not None
        if call.answered is not None:
            call.answered({} if answer is None else answer)
        self._over(call)
        self._next()

    def _over(self, call: Call) -> None:
        if call.latencies is self._swarm.tally.load:
            self._swarm.done()

    def _command(self, frame: Frame) -> None:
        self._swarm.tally.commands += 1
        action, message_id = frame.action or "", frame.message_id
        reply: list[Any]
        if frame.violation:
            reply = [4, message_id, frame.violation.code, frame.violation.reason, {}]
        elif action in ANSWERS:
            reply = [4, message_id, "NotSupported", "a charger of a swarm has no hands", {}]
        else:
            answer = FIXED.get((self._codec.version, action), FIXED.get(action, ACCEPTED))
            reply = [3, message_id, answer]
        if self._wire is not None:
            self._wire.send(orjson.dumps(reply))
