"""The commands of one charger: their queue, the one in flight, their deadlines (docs/contract.md 3.5).

The stages of a command (``command.Stage``), and its outcomes:

    QUEUED ----cannot be sent--> invalid     --queue full--> busy
       v  the epoch of the charger's link is known
    PREPARING: fact --PubAck--> duplicate? --yes--> the recorded outcome
       |  and last link  |           | no, or the command that was stored was never sent
       |                 |           | the last link is not this session's `up`: gone (``fence``)
       |                 +--> unavailable
       |                             | a password is written to the charger's record first (rotation)
       |--a CALL of the charger is open, quirk half_duplex--> WAITING
       v                                                         | it is answered
      SENT <-----------------------------------------------------+
       +--CALLRESULT--> result, bad_result      --deadline----> timeout (a late answer is a fact)
       +--CALLERROR---> error                   --socket ends-> lost

Before SENT, the end of the connection makes it gone, and the deadline expired. Commands are sent in order of
arrival, one in flight, independent of the charger's own CALLs (docs/ocpp.md A8) but for the quirk
``half_duplex``:
then none is begun or sent while one of those is open (docs/ocpp.md B). The reply leaves with the Response
fact and does not wait for it. No socket, no NATS and no clock are in here.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, assert_never

from voltgate._core import Frame, Violation
from voltgate.gateway.interfaces import Ack, Change, Request, Verdict
from voltgate.gateway.reasons import Outcome, Reason
from voltgate.gateway.session import payloads
from voltgate.gateway.session.command import Command, Fault, Report, Said, Stage, Standing, Writer, answer
from voltgate.gateway.session.context import Surroundings
from voltgate.gateway.session.decisions import description
from voltgate.gateway.session.fence import Fence, Fenced
from voltgate.gateway.session.readback import PastOutcome, Recall
from voltgate.gateway.session.steps import guarded
from voltgate.gateway.session.traced import commands
from voltgate.gateway.session.turn import Turn

LATE = 16  # commands that timed out, whose answers are still recognised
JOINED = 256  # repeats of one open command that wait for its outcome


class Ends(NamedTuple):
    """What the session does: no command is in flight any more; a fault of ours, or a reason, ends it."""

    commanded: Callable[[], None]
    failed: Callable[[], None]
    close: Callable[[Reason], None]


class Commands:
    """See the module; made when the first command arrives."""

    def __init__(self, surroundings: Surroundings, turn: Turn, ends: Ends) -> None:
        self.closed = False
        self.failed = ends.failed
        self._turn, self._ends, self._surroundings = turn, ends, surroundings
        self._context, self._link = surroundings.context, surroundings.link
        self._outside = surroundings.outside
        self._bus, self._clock, self._rotation, _ = surroundings.outside
        self._token = surroundings.publisher.token
        self._command = commands(self._context.tracing, surroundings.publisher, self._context.commands)
        self._writer = Writer(surroundings.publisher, self._context.codec.version, self._context.nats.prefix)
        self._queue: deque[Command] = deque()
        self._current: Command | None = None  # the one in flight
        self._named: dict[str, Command] = {}  # by command id: queued or current
        self._late: dict[str, Command] = {}  # by message id: timed out
        self._beginning = False

    # -- from the bus and the session ---------------------------------------------------------------

    def take(self, request: Request) -> None:
        """Take a backend's command; one without a reply subject is refused: its outcome would be lost."""
        if not request.reply:
            self._bus.garbage("reply_subject", f"{request.subject}: there is none")
            return
        context, action = self._context, request.subject.split(".")[2]
        command = self._command(request, action, self._clock)
        fault = command.fault(context.codec, context.commands, context.limits.max_message_bytes)
        fault = fault or self._password(command)
        if fault is None and self._turn.boot == "Rejected":
            fault = _REJECTED
        if fault is not None:
            self._end(command, Said(Outcome.INVALID, fault.body))
        elif self._turn.leaving:
            self._end(command, Said(Outcome.GONE))
        elif command.timeout <= 0:
            self._end(command, Said(Outcome.EXPIRED))
        elif (open_ := self._named.get(command.command_id)) is not None:
            self._repeat(command, open_)
        elif (self._current or self._turn.waits) and len(self._queue) >= context.limits.command_queue:
            self._end(command, Said(Outcome.BUSY))
        else:
            if command.command_id:
                self._named[command.command_id] = command
            command.timer = self._clock.after(command.timeout, self._due, command, None)
            self._queue.append(command)
            context.metrics.queued[0] += 1
            self._begin()

    def answered(self, frame: Frame) -> bool:
        """Take the CALLRESULT or CALLERROR to a command; False if it belongs to none."""
        current, message_id = self._current, frame.message_id
        if frame.type == 5 or message_id is None:
            return False
        if current is not None and current.stage is Stage.SENT and current.message_id == message_id:
            said, violation = self._judge(current, frame)
            if said.outcome is Outcome.RESULT:
                self._turn.triggered |= payloads.triggered(current.action, current.body, said.body)
            elif violation is not None:
                self._refuse(current, violation)
            self._end(current, said)
            return True
        late = self._late.pop(message_id, None)
        if late is None:
            return False
        said = self._judge(late, frame)[0]._replace(late=True)
        self._settle(late, said)
        Report(late, said, self._writer, self._outside).send()
        return True

    def _judge(self, command: Command, frame: Frame) -> tuple[Said, Violation | None]:
        """How its answer ends it, and what is wrong with a result."""
        context, action = self._context, command.action
        said, violation = answer(context.codec, action, frame, context.commands[action])
        if violation is not None:
            context.note_violation(self._surroundings, f"{action}Response", violation)
        return said, violation

    def leave(self) -> None:
        """Send nothing more; the command in flight may still be answered."""
        queue, self._queue = self._queue, deque()
        self._context.metrics.queued[0] -= len(queue)
        for command in queue:
            self._end(command, Said(Outcome.GONE))
        if (current := self._current) is not None and current.stage is Stage.WAITING:
            self._end(current, Said(Outcome.GONE))

    def resume(self) -> None:
        """Go on: the link's epoch is known, or the charger's last open CALL is answered (``half_duplex``)."""
        if (current := self._current) is not None and current.stage is Stage.WAITING:
            self._send(current)
        self._begin()

    def ended(self) -> None:
        """End every command: the socket is gone."""
        self.closed = True
        self.leave()
        if (current := self._current) is not None:
            self._end(current, Said(Outcome.LOST if current.stage is Stage.SENT else Outcome.GONE))

    # -- the transitions ----------------------------------------------------------------------------

    def _repeat(self, command: Command, open_: Command) -> None:
        """The same command id while the first is open: it gets the outcome of that one."""
        if not command.same(open_):
            self._end(command, Said(Outcome.INVALID, _OTHER.body))
        elif len(open_.replies) > JOINED:
            self._end(command, Said(Outcome.BUSY))
        else:
            open_.replies += command.replies
            command.joined()

    def _begin(self) -> None:
        """Begin the next command, and the one after it where that ended on the spot; no recursion."""
        if self._beginning:
            return
        self._beginning = True
        try:
            while self._current is None and self._queue and not self._turn.waits:
                self._current = self._queue.popleft()
                self._context.metrics.queued[0] -= 1
                self._turn.commanding = True
                self._store(self._current)
        finally:
            self._beginning = False
        if self._queue and self._turn.crosses:
            self._turn.await_answer()

    def _store(self, command: Command) -> None:
        command.stage = Stage.PREPARING
        Fence(command, self._surroundings, self._fenced).ask(self._writer)

    @guarded
    def _fenced(self, command: Command, fenced: Fenced) -> None:
        ack, command.standing = fenced
        if not isinstance(ack, Ack):
            self._end(command, Said(Outcome.UNAVAILABLE))
        elif ack.duplicate:
            prefix = self._context.nats.prefix
            PastOutcome(command, self._bus, prefix, self._token, self._recalled).find(ack)
        else:
            self._send(command)

    @guarded
    def _recalled(self, command: Command, found: Said | Recall) -> None:
        match found:
            case Recall.OWN:
                self._send(command)
            case Recall.UNSENT:
                # Outcomes that sent nothing are not remembered; a new id keeps any other process out.
                command.attempt += 1
                self._store(command)
            case Said():
                command.key = ""  # the record is another command's
                invalid = found.outcome is Outcome.INVALID
                self._end(command, found._replace(body=_OTHER.body) if invalid else found)
            case _:
                assert_never(found)

    def _send(self, command: Command) -> None:
        if self._turn.leaving or command.standing is Standing.HIDDEN:
            self._end(command, Said(Outcome.GONE))
        elif command.standing is Standing.UNKNOWN:
            self._end(command, Said(Outcome.UNAVAILABLE, _UNREAD.body))
        elif command.standing is Standing.OTHER:
            self._ends.close(Reason.SUPERSEDED)  # ends this command, and the others, as gone
        elif self._turn.boot == "Rejected":
            self._end(command, Said(Outcome.INVALID, _REJECTED.body))
        elif self._clock.now >= command.arrived + command.timeout:
            self._end(command, Said(Outcome.EXPIRED))
        elif self._turn.crosses:
            command.stage = Stage.WAITING  # the charger began to call while the fact was stored
            self._turn.await_answer()
        elif command.change is not None and not command.recorded:
            self._rotation.begin(command.change, self._prepared, command)
        else:
            command.stage = Stage.SENT
            if command.redacted is not None or payloads.may_answer_secrets(command.action):
                self._turn.secretive = True
            frame = self._context.codec.encode_call(command.message_id, command.action, command.body)
            self._count("call", command.action, frame)
            self._link.write(frame)

    def _password(self, command: Command) -> Fault | None:
        """Note its new password; two at once could not be distinguished in the record."""
        found = payloads.passwords(command.action, command.body)
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
            command.recorded = True
            self._send(command)

    def _settle(self, command: Command, said: Said) -> None:
        """What becomes of the passwords in the charger's record (docs/contract.md 3.8)."""
        if command.change is None or not command.recorded:
            return
        if command.stage is not Stage.SENT or said.outcome is Outcome.ERROR:
            self._rotation.settle(command.change, Verdict.REFUSED)
        elif (
            said.outcome is Outcome.RESULT
            and (taken := payloads.verdict(command.action, said.body)) is not None
        ):
            self._rotation.settle(command.change, taken)

    @guarded
    def _due(self, command: Command, _: None) -> None:
        match command.stage:
            case Stage.QUEUED:
                self._queue.remove(command)
                self._context.metrics.queued[0] -= 1
                self._end(command, Said(Outcome.EXPIRED))
            case Stage.PREPARING:
                pass  # it expires when its fact is stored
            case Stage.WAITING:
                self._end(command, Said(Outcome.EXPIRED))
            case Stage.SENT:
                self._late[command.message_id] = command
                if len(self._late) > LATE:
                    del self._late[next(iter(self._late))]
                self._end(command, Said(Outcome.TIMEOUT))
            case _:
                assert_never(command.stage)

    def _end(self, command: Command, said: Said) -> None:
        """End it, whatever the outcome: its Response fact, its replies, and the next command."""
        context, outcome = self._context, said.outcome
        if command.timer is not None:
            command.timer.cancel()
        if self._named.get(command.command_id) is command:
            del self._named[command.command_id]
        self._settle(command, said)
        command.ended(outcome)
        Report(command, said, self._writer, self._outside).send()
        action = command.action if command.action in context.commands else "unknown"
        for _ in command.replies:
            context.metrics.commands.add(action, outcome.label)
        context.metrics.command_seconds.cell().observe(self._clock.now - command.arrived)
        if command is self._current:
            self._current, self._turn.commanding = None, False
            self._begin()
            if not self._turn.commanding:
                self._ends.commanded()

    def _refuse(self, command: Command, why: Violation) -> None:
        """Answer a result that violates its schema: OCPP 2.1 has CALLRESULTERROR for it.

        See docs/ocpp.md A13.
        """
        codec = self._context.codec
        if codec.ocpp.result_errors:
            error = codec.encode_result_error(command.message_id, why.code, description(why))
            self._count("result_error", "-", error)
            self._link.write(error)

    def _count(self, kind: str, action: str, frame: bytes) -> None:
        context = self._context
        context.metrics.frames.add(context.codec.version, "out", kind, action)
        context.cells.bytes_out[0] += len(frame)


_REJECTED = Fault("SecurityError", "", "BootNotification was answered Rejected")
_UNREAD = Fault("", "", "the charger's last link could not be read")
_OTHER = Fault("", "", "ocpp-command-id: used before, for another action or body")
