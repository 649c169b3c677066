"""The commands of one charger: their queue, the one in flight, their deadlines (CONTRACT 3.5).

    arrived --cannot be sent--> invalid      --charger or gateway leaves--> gone
       |    --queue full------> busy         --deadline-------------------> expired
       v
    queued --its turn--> fact --PubAck--> duplicate? --yes--> the recorded outcome
                          |                 | no, or what was stored was never sent
                          +--> unavailable  | a password goes into the charger's record first (rotation)
                                            v
                                           CALL --CALLRESULT--> result, bad_result
                                                --CALLERROR---> error
                                                --deadline----> timeout (a late answer is a fact)
                                                --socket ends-> lost

Order of arrival, one in flight, independent of the charger's own CALLs (OCPP.md A8) but for the quirk
``half_duplex``: then its turn comes, and the CALL leaves, only while none of those is open (OCPP.md B). The
reply leaves with the Response fact and does not wait for it. No socket, no NATS and no clock live here.
"""

from collections import deque
from typing import Protocol

from voltgate._core import Frame, Publisher
from voltgate.gateway.interfaces import Ack, Change, Link, NotStored, Outside, Request
from voltgate.gateway.reasons import Outcome
from voltgate.gateway.registry.rotation import Verdict, passwords, verdict
from voltgate.gateway.session.command import Command, Fault, Said, Writer, answer
from voltgate.gateway.session.context import Terms
from voltgate.gateway.session.recorded import Recorded
from voltgate.gateway.session.report import Report
from voltgate.gateway.session.steps import guarded
from voltgate.gateway.session.triggers import triggered

LATE = 16  # commands that timed out, whose answers are still recognised


class Talk(Protocol):
    """What commands ask of the session."""

    boot: str
    """A backend's last word on BootNotification, "" for none."""
    triggered: set[str]
    """What passes while Pending, because a command asked for it."""

    @property
    def calling(self) -> bool:
        """Whether a CALL of the charger is open."""

    @property
    def leaving(self) -> bool:
        """Whether nothing new is sent."""

    def quiet(self) -> None:
        """No command is on its way any more, and none will be: it may close."""

    def failed(self) -> None:
        """End it, for a fault of ours."""


class Commands:
    """See the module; made when the first command arrives."""

    def __init__(self, publisher: Publisher, terms: Terms, link: Link, outside: Outside, talk: Talk) -> None:
        self.closed = False
        self._terms, self._link, self._talk = terms, link, talk
        self._outside = outside
        self._bus, self._clock, self._rotation = outside
        self._token = publisher.token
        self._writer = Writer(publisher, terms.codec.version, terms.nats.prefix)
        self._queue: deque[Command] = deque()
        self._current: Command | None = None  # its fact is on its way, or it is sent
        self._held = False  # the current one is stored, and waits for the charger's CALL to end
        self._named: dict[str, Command] = {}  # by command id: queued or current
        self._late: dict[str, Command] = {}  # by message id: timed out
        self._turning = False

    # -- from the bus and the session ---------------------------------------------------------------

    def take(self, request: Request) -> None:
        """A backend's command. Without a reply subject it is not sent: nobody would know."""
        if not request.reply:
            return
        terms, action = self._terms, request.subject.split(".")[2]
        command = Command(request, action, self._clock.now)
        fault = command.fault(terms.codec, terms.commands, terms.limits.max_message_bytes)
        fault = fault or self._password(command)
        if fault is None and self._talk.boot == "Rejected":
            fault = _REJECTED
        if fault is not None:
            self._end(command, Said(Outcome.INVALID, fault.body))
        elif self.closed or self._talk.leaving:
            self._end(command, Said(Outcome.GONE))
        elif (open_ := self._named.get(command.command_id)) is not None:
            self._repeat(command, open_)
        elif (self._current or self._crosses) and len(self._queue) >= terms.limits.command_queue:
            self._end(command, Said(Outcome.BUSY))
        else:
            if command.command_id:
                self._named[command.command_id] = command
            command.timer = self._clock.after(command.timeout or 0.0, self._due, command, None)
            self._queue.append(command)
            self._turn()

    def answered(self, frame: Frame) -> bool:
        """Whether a CALLRESULT or CALLERROR belongs to a command; what belongs to none is not taken."""
        current, message_id = self._current, frame.message_id
        if frame.type == 5 or message_id is None:
            return False
        if current is not None and current.sent and current.message_id == message_id:
            outcome, body = answer(self._terms.codec, current.action, frame)
            if outcome is Outcome.RESULT:
                self._talk.triggered.update(triggered(current.action, current.body, body))
            elif outcome is Outcome.BAD_RESULT:
                self._refuse(current, frame)
            self._end(current, Said(outcome, body))
            return True
        late = self._late.pop(message_id, None)
        if late is None:
            return False
        said = Said(*answer(self._terms.codec, late.action, frame), late=True)
        self._settle(late, said)
        Report(late, said, self._writer, self._outside).tell()
        return True

    def leave(self) -> None:
        """Nothing more is sent; the one in flight may still be answered."""
        queue, self._queue = self._queue, deque()
        for command in queue:
            self._end(command, Said(Outcome.GONE))
        if self._held and self._current is not None:
            self._end(self._current, Said(Outcome.GONE))

    def uncrossed(self) -> None:
        """The charger's last open CALL is answered (quirk ``half_duplex``)."""
        if self._held and self._current is not None:
            self._held = False
            self._send(self._current)
        self._turn()

    @property
    def busy(self) -> bool:
        """Whether a command is on its way."""
        return self._current is not None

    def ended(self) -> None:
        """The socket is gone."""
        self.closed = True
        self.leave()
        if (current := self._current) is not None:
            self._end(current, Said(Outcome.LOST if current.sent else Outcome.GONE))

    def failed(self) -> None:
        """See guard.Guarded."""
        self._talk.failed()

    # -- the transitions ----------------------------------------------------------------------------

    def _repeat(self, command: Command, open_: Command) -> None:
        """The same command id while the first is open: it waits for that one's outcome."""
        if not command.same(open_):
            self._end(command, Said(Outcome.INVALID, _OTHER.body))
        elif len(open_.replies) > self._terms.limits.command_queue:
            self._end(command, Said(Outcome.BUSY))
        else:
            open_.replies += command.replies

    @property
    def _crosses(self) -> bool:
        """Whether a command sent now would cross a CALL of a charger that cannot bear it."""
        return self._terms.half_duplex and self._talk.calling

    def _turn(self) -> None:
        """Begin the next command, and the one after it where that ended on the spot; no recursion."""
        if self._turning:
            return
        self._turning = True
        try:
            while self._current is None and self._queue and not self._crosses:
                self._current = self._queue.popleft()
                self._store(self._current)
        finally:
            self._turning = False

    def _store(self, command: Command) -> None:
        ticket = self._bus.ticket(self._stored, command)
        self._bus.store(ticket, self._writer.fact(command, self._clock.time_ms, ticket.reply))

    @guarded
    def _stored(self, command: Command, ack: Ack | NotStored) -> None:
        if not isinstance(ack, Ack):
            self._end(command, Said(Outcome.UNAVAILABLE))
        elif ack.duplicate:
            prefix = self._terms.nats.prefix
            Recorded(command, self._bus, prefix, self._token, self._recalled).find(ack)
        else:
            self._send(command)

    @guarded
    def _recalled(self, command: Command, said: Said | bool) -> None:
        if said is True:
            self._send(command)
        elif said is False:
            # Outcomes that sent nothing are not remembered; a new id keeps any other process out.
            command.attempt += 1
            self._store(command)
        else:
            command.key = ""  # the record is another's
            invalid = said.outcome is Outcome.INVALID
            self._end(command, said._replace(body=_OTHER.body) if invalid else said)

    def _send(self, command: Command) -> None:
        if self._talk.leaving:
            self._end(command, Said(Outcome.GONE))
        elif self._talk.boot == "Rejected":
            self._end(command, Said(Outcome.INVALID, _REJECTED.body))
        elif self._clock.now >= command.arrived + (command.timeout or 0.0):
            self._end(command, Said(Outcome.EXPIRED))
        elif self._crosses:
            self._held = True  # it began to call while the fact was stored
        elif command.change is not None and not command.kept:
            self._rotation.begin(command.change, self._prepared, command)
        else:
            command.sent = True
            frame = self._terms.codec.encode_call(command.message_id, command.action, command.body)
            self._count("call", command.action, frame)
            self._link.write(frame)

    def _password(self, command: Command) -> Fault | None:
        """Note the new password in it; two at once could not be told apart in the record."""
        found = passwords(command.action, command.body)
        if len(found) > 1:
            return Fault("", "/setVariableData", "one BasicAuthPassword at a time")
        if found:
            command.change = Change(self._token, found[0], command.random_key)
        return None

    @guarded
    def _prepared(self, command: Command, fault: str) -> None:
        if fault:
            self._end(command, Said(Outcome.UNAVAILABLE, Fault("", "", fault).body))
        else:
            command.kept = True
            self._send(command)

    def _settle(self, command: Command, said: Said) -> None:
        """What becomes of the passwords in the charger's record (CONTRACT 3.8)."""
        if command.change is None or not command.kept:
            return
        if not command.sent or said.outcome is Outcome.ERROR:
            self._rotation.settle(command.change, Verdict.REFUSED)
        elif said.outcome is Outcome.RESULT and (word := verdict(command.action, said.body)) is not None:
            self._rotation.settle(command.change, word)

    @guarded
    def _due(self, command: Command, _: None) -> None:
        if command.sent:
            self._late[command.message_id] = command
            if len(self._late) > LATE:
                del self._late[next(iter(self._late))]
            self._end(command, Said(Outcome.TIMEOUT))
        elif command is not self._current:
            self._queue.remove(command)
            self._end(command, Said(Outcome.EXPIRED))
        elif self._held:
            self._end(command, Said(Outcome.EXPIRED))

    def _end(self, command: Command, said: Said) -> None:
        """The one way out: its record, its replies, and the next one's turn."""
        terms, outcome = self._terms, said.outcome
        if command.timer is not None:
            command.timer.cancel()
        if self._named.get(command.command_id) is command:
            del self._named[command.command_id]
        self._settle(command, said)
        Report(command, said, self._writer, self._outside).tell()
        action = command.action if command.action in terms.commands else "unknown"
        for _ in command.replies:
            terms.metrics.commands.add(action, outcome.label)
        terms.metrics.command_seconds.cell().observe(self._clock.now - command.arrived)
        if command is self._current:
            self._current, self._held = None, False
            self._turn()
            if self._talk.leaving:
                self._talk.quiet()

    def _refuse(self, command: Command, frame: Frame) -> None:
        """OCPP 2.1 has a word for a result nobody can use (OCPP.md A13)."""
        codec = self._terms.codec
        if not codec.ocpp.result_errors:
            return
        why = frame.violation or codec.check(command.action, "response", frame.payload)
        if why is not None:
            error = codec.encode_result_error(command.message_id, why.code, why.reason)
            self._count("result_error", "-", error)
            self._link.write(error)

    def _count(self, kind: str, action: str, frame: bytes) -> None:
        terms = self._terms
        terms.metrics.frames.add(terms.codec.version, "out", kind, action)
        terms.cells.bytes_out[0] += len(frame)


_REJECTED = Fault("SecurityError", "", "BootNotification was answered Rejected")
_OTHER = Fault("", "", "ocpp-command-id: used before, for another action or body")
