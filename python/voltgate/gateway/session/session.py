"""One charger's conversation: which CALL is open, what was stored, who answers.

CALLs are served strictly in order, one at a time (docs/contract.md 2.2, 2.3, 3.4). The others wait in the
queue; at ``limits.open_calls`` the socket is not read. The steps of a CALL (``call.Step``):

    QUEUED --refused--> REFUSING --stored-------------------------------------------> DONE: CALLERROR
       |   --repeat of an answered CALL---------------------------------------------> DONE: the same answer
       v
    STORING --SEND, or the answer is {}---------------------------------------------> DONE
       |    --duplicate of class tx--> READING --answer found-----------------------> DONE: that answer
       |                                  | none
       +----------------------------------+--> ASKING --reply, or the fallback---+
       |                                                                         v
       +--Heartbeat------------------------------------------------------> an answer with content
                                                                                 |
         DONE <--stored-- RECORDING <--not of class live-------------------------+--class live--> DONE
                              +--duplicate--> READING --the answer stored first--> DONE

A question of class ``event`` leaves together with the fact, so its reply may arrive in STORING already.
A message that cannot be stored is not answered: the socket is closed with 1013 and the charger queues
(docs/ocpp.md C). No socket, no NATS and no clock are in here; ``interfaces`` names what comes from outside.
Plain CALLs are answered in the lane (rust/core/src/lane.rs) and come here only while its gate is closed:
while CALLs or a command wait, while a boot status holds CALLs back, and before the connection ends.
"""

import orjson
import structlog

from voltgate import _core
from voltgate._core import Frame, Publisher
from voltgate.gateway.interfaces import Ack, Link, NotRead, NotStored, Outside, Request
from voltgate.gateway.rates import Allowance
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session import decisions, payloads
from voltgate.gateway.session.bounds import LARGE, Bounds
from voltgate.gateway.session.call import (
    EMPTY,
    REMEMBERED_BYTES,
    Answer,
    At,
    Call,
    Handling,
)
from voltgate.gateway.session.commands import Commands, Ends
from voltgate.gateway.session.context import Context, Surroundings
from voltgate.gateway.session.question import Question
from voltgate.gateway.session.readback import PastAnswer
from voltgate.gateway.session.rejects import Rejects
from voltgate.gateway.session.steps import guarded
from voltgate.gateway.session.traced import calls
from voltgate.gateway.session.turn import Turn
from voltgate.policy import gateway_answer

log = structlog.get_logger()

_ANSWERS = (3, 4, 5)


class Session:
    """See the module. ``received`` and ``leave`` are called by the connection and the worker."""

    __slots__ = (
        "_bounds", "_bus", "_call", "_clock", "_commands", "_context", "_gated", "_lane", "_link",
        "_publisher", "_queue", "_reason", "_rejects", "_serving", "_surroundings", "_watched", "closed",
        "overdrawn", "resting", "spent", "turn",
    )  # fmt: skip

    def __init__(
        self, publisher: Publisher, context: Context, link: Link, outside: Outside, allowance: Allowance
    ) -> None:
        self._lane = lane = link.lane
        self.closed, self.turn = False, (turn := Turn(context.half_duplex, lane))
        self._surroundings = Surroundings(publisher, context, link, outside, allowance)
        self._publisher, self._context, self._link = publisher, context, link
        self._call = calls(context.tracing, publisher, lane)
        self._bus, self._clock, self._queue = outside.bus, outside.clock, turn.calls
        self._commands: Commands | None = None  # made when the first one arrives
        self._rejects: Rejects | None = None  # made when the first frame is refused
        self._reason: Reason | None = None  # for leaving
        self._bounds = bounds = Bounds(self._surroundings, turn)
        self.spent, self.resting = bounds.count, bounds.resting  # see connection.Receiver
        self.overdrawn = bounds.overdrawn
        # watched: something waits for the last open CALL; gated: boot status, leaving or closed
        self._serving = self._watched = self._gated = False
        shared, clock = (context.plan, outside.bus.outgoing, context.keys), outside.clock
        lane.begin(publisher, *shared, allowance, self, link.writer, clock.read, EMPTY)
        lane.gate(closed=False)

    # -- from the connection ------------------------------------------------------------------------

    def received(self, frame: Frame) -> None:
        """Take one decoded message; whatever it holds, it gets the answer the contract names."""
        self._take(frame, self._context.actions.get(frame.plain))
        self.spent(1.0)

    def not_stored(self) -> None:
        """The fact of the CALL that the lane holds could not be stored."""
        self._close(Reason.NOT_STORED)

    def broken(self, frame: Frame, size: int, why: str) -> None:
        """A frame that ends the connection is not lost without a trace (docs/contract.md 2.2)."""
        self._refusals().broken(frame, size, why)

    def command(self, request: Request) -> None:
        """Take a backend's command for this charger (docs/contract.md 3.5)."""
        if self._commands is None:
            self._commands = Commands(
                self._surroundings, self.turn, Ends(self._commanded, self.failed, self._close)
            )
            self._watched = self._watched or self.turn.half_duplex
        self._commands.take(request)

    def linked(self, known: bool) -> None:
        """``known``: whether the epoch of its link is; commands wait until it is (docs/contract.md 3.5)."""
        self.turn.linked = known
        if known and self._commands is not None:
            self._commands.resume()

    def leave(self, reason: Reason) -> None:
        """Finish the CALLs that were read, then close; a drain waits for the command in flight too.

        Any other end of a connection takes effect at once: commands may take a day to be answered.
        """
        self._reason, self._gated, self._watched = reason, True, True
        self.turn.leaving, self.turn.draining = True, reason is Reason.DRAIN
        if self._commands is not None:
            self._commands.leave()
        self.serve()

    def ended(self) -> None:
        """Forget everything: the socket is gone."""
        self.closed = self._gated = self.turn.leaving = self.turn.ended = True
        for call in self._queue:
            self._advance(call)
        self._queue.clear()
        self._lane.end()
        commands, self._commands = self._commands, None  # a cycle: broken here
        if commands is not None:
            commands.ended()

    @property
    def leaving(self) -> bool:
        """Whether the connection is about to end, or has ended."""
        return self.turn.leaving

    def _take(self, frame: Frame, handling: Handling | None) -> None:
        """``handling``: of a CALL without violations."""
        if self.closed:
            return
        context, queue, sound = self._context, self._queue, handling is not None
        if handling is not None:
            handling.received[0] += 1
        elif frame.is_text:
            context.count_unsound(frame, self._surroundings)
            handling = context.actions.get(frame.action)
        else:
            self.broken(frame, 0, f"{Reason.NOT_UTF8.label}: {Reason.NOT_UTF8.value.text}")
            return self._close(Reason.NOT_UTF8)
        size = frame.size
        context.cells.bytes_in[0] += size
        if not sound and frame.type in _ANSWERS:
            if self._commands is None or not self._commands.answered(frame):
                self._refusals().stray(frame)
            return
        message_id = frame.message_id
        if self._lane.same(frame) or (
            queue and frame.type == 2 and any(call.same(message_id, frame.action) for call in queue)
        ):
            # The same call, not another one (docs/contract.md 2.2).
            context.metrics.duplicates.add(handling.class_ if handling else "event")
            return
        call = self._call(frame, message_id, handling, self._clock.now, self._clock.time_ms)
        if not sound or message_id is None:
            call.sound = False
        queue.append(call)
        if handling is not None and not handling.live:
            self._surroundings.allowance.store(call.read_at, size, context.stored_per_second)
        if size > LARGE:
            self._bounds.weigh()
        self.serve()

    # -- the transitions ----------------------------------------------------------------------------

    def serve(self) -> None:
        """Serve the CALL at the head, and the next where that was answered on the spot; no recursion.

        Called by the lane, too, when the CALL that it held is answered and others, or the end, wait for that.
        """
        if self._serving:
            return
        queue, lane = self._queue, self._lane
        if not lane.open:
            self._serving = True
            try:
                while queue and queue[0].step is At.QUEUED:
                    self._begin(queue[0])
            finally:
                self._serving = False
            if self._watched and not queue:
                self._quiet()
        if self._bounds.paused or self.turn.leaving or self.turn.open_calls >= self._context.open_calls:
            self._bounds.limit_reading()
        lane.gate(closed=bool(queue) or self._gated)

    def _advance(self, call: Call) -> None:
        """The step of ``call`` has ended: enter the next one. No other code sets ``call.step``."""
        call.step = step = At.DONE if self.closed else call.following()
        match step:
            case At.DONE:
                if not self.closed:
                    self._finish(call)
            case At.STORING:
                self._store(call)
            case At.READING:
                self._read_back(call)
            case At.ASKING:
                if not call.asked:
                    self._ask(call)
            case At.RECORDING:
                self._record(call)
            case At.REFUSING:
                assert call.refusal is not None
                self._refusals().store(call, call.refusal, self._recorded)
            case _:
                assert step is not At.QUEUED, "no step comes before it"

    def _begin(self, call: Call) -> None:
        """The CALL is at the head of the queue: it may be refused, or a repeat; else its fact is stored."""
        if not call.sound or self._gated:
            call.refusal = decisions.refused(self._context.codec.ocpp, call, self.turn)
        if (handling := call.handling) is not None and handling.remembers and call.refusal is None:
            repeat = self._lane.recall(call.frame)
            if repeat is not None:
                self._context.metrics.duplicates.add(handling.class_)
                call.answer = repeat._replace(by="replay")
        self._advance(call)

    # -- storing ------------------------------------------------------------------------------------

    def _store(self, call: Call) -> None:
        handling, frame, bus, publisher = call.handling, call.frame, self._bus, self._publisher
        assert handling is not None
        if not call.sound and handling.rule.validation == "lenient":
            call.violation = decisions.tag(frame.violation)
        call.asks, tag, trace = handling.asks(frame), call.violation, call.traceparent
        shown = payloads.masked_report(frame.payload, not call.sound) if handling.reports else None
        if handling.live:
            call.fact = publisher.fact("live", frame, call.time_ms, "", tag, shown, trace)
            bus.emit(call.fact.hpub)
            self._advance(call)
            return
        ticket = bus.ticket(self._stored, call)
        class_, reply = handling.class_, ticket.reply
        call.fact = fact = publisher.fact(class_, frame, call.time_ms, reply, tag, shown, trace)
        if handling.keyed and self._context.keys.conflicts(fact):
            self._context.metrics.key_conflicts.add()
        bus.store(ticket, hpub := fact.hpub, handling.tx)
        self._surroundings.allowance.stored += len(hpub) - frame.size  # the frame counts since it was read
        if handling.boots:
            self._context.note_model(self._surroundings, frame.payload)
        # A question about money is asked only once its fact is safe; others need not wait for it.
        if call.asks and not handling.tx and not self.closed:
            self._ask(call)

    @guarded
    def _stored(self, call: Call, ack: Ack | NotStored) -> None:
        if not isinstance(ack, Ack):
            return self._close(Reason.NOT_STORED)
        call.ack = ack
        if ack.duplicate:
            self._context.metrics.duplicates.add(call.handling.class_ if call.handling else "event")
        self._advance(call)

    def _read_back(self, call: Call) -> None:
        past = PastAnswer(call, call.ack.stream, self._bus, self._found)
        if call.answer is not None:
            past.read(call.ack.seq)  # another process answered the same message first: its answer counts
        else:
            prefix, version = self._context.nats.prefix, self._context.codec.version
            subject = f"{prefix}.tx.{version}.{call.frame.action}Response.{self._publisher.token}"
            past.search(call.ack.seq, subject)

    @guarded
    def _found(self, call: Call, found: Answer | NotRead) -> None:
        if found is NotRead.UNREADABLE:
            return self._close(Reason.NOT_STORED)
        if isinstance(found, Answer):
            call.answer, call.read_back = found, True
        self._advance(call)

    def _record(self, call: Call) -> None:
        assert call.handling is not None
        assert call.fact is not None
        ticket = self._bus.ticket(self._recorded, call)
        call.answer = answer = call.answer or self._time()
        now, trace = self._clock.time_ms, call.traceparent
        hpub = self._publisher.response(call.fact, answer, now, ticket.reply, trace)
        self._bus.store(ticket, hpub, call.handling.tx)
        self._bounds.stored(len(hpub))

    @guarded
    def _recorded(self, call: Call, ack: Ack | NotStored) -> None:
        """Its Response or reject fact is stored: no received data is lost (docs/contract.md 2.2)."""
        if isinstance(ack, Ack):
            call.ack = ack
            self._advance(call)
        else:
            self._close(Reason.NOT_STORED)

    def _ask(self, call: Call) -> None:
        call.asked = True
        Question(call, self._surroundings, self._asked).ask()

    @guarded
    def _asked(self, call: Call, outcome: Answer | Reason) -> None:
        if isinstance(outcome, Reason):
            return self._close(outcome)
        call.answer = outcome
        if call.step is At.ASKING:  # else its fact is not stored yet
            self._advance(call)

    # -- refusing -----------------------------------------------------------------------------------

    def _refusals(self) -> Rejects:
        if self._rejects is None:
            self._rejects = Rejects(self._surroundings, self.turn, self._bounds)
        return self._rejects

    # -- answering ----------------------------------------------------------------------------------

    def _finish(self, call: Call) -> None:
        """Write the answer, if there is one, and serve the next CALL."""
        handling, context, refusal = call.handling, self._context, call.refusal
        answer, message_id = call.answer or EMPTY, call.message_id
        if refusal is not None:
            answer = Answer("refused", code=refusal.code, description=decisions.description(refusal))
            message_id = decisions.error_id(context.codec.ocpp, call.frame, refusal.code)
        elif handling is not None:
            if handling.clock and call.answer is None:
                answer = self._time()
            if handling.remembers and answer.by != "fallback" and len(answer.payload) <= REMEMBERED_BYTES:
                self._lane.remember(call.frame, answer)
            elif handling.boots and answer.by == "backend" and not answer.code:
                self._booted(orjson.loads(answer.payload).get("status", ""))
        if message_id is None or (refusal is None and handling is not None and handling.silent):
            return self._done()
        if handling is None:
            context.count_unknown(answer.by)
        else:
            handling.answered(answer.by)
            handling.seconds.observe(self._clock.read() - call.read_at)
        self._link.write(context.encoded(message_id, answer))
        self._done()

    def _time(self) -> Answer:
        return Answer("gateway", gateway_answer("Heartbeat", decisions.time_text(self._clock.time_ms)))

    def _booted(self, status: str) -> None:
        turn = self.turn
        turn.boot = status
        turn.triggered = frozenset()
        self._gated = status in ("Pending", "Rejected") or turn.leaving

    def _done(self) -> None:
        """The CALL at the head is answered, or needs no answer: serve the next one."""
        if not self.closed:
            self._queue.pop(0)
            bounds = self._bounds
            if bounds.large:
                bounds.weigh()
            if self._queue or self._watched or bounds.paused:
                self.serve()
            else:
                self._lane.gate(closed=self._gated)

    def _commanded(self) -> None:
        """No command is in flight any more."""
        if self.turn.leaving:
            self._quiet()

    def _quiet(self) -> None:
        """Go on with what waited for the last open CALL, or for the last command."""
        if self.turn.open_calls:
            self._bounds.limit_reading()  # a drain reads on for the answer to a command alone
        elif self._reason is None:
            if self._commands is not None:
                self._commands.resume()
        elif not self.turn.finishing:
            self._close(self._reason)

    def failed(self, fault: BaseException | None = None) -> None:
        """A fault of ours: this session ends, the others go on. ``fault``: where it is not being handled."""
        identity, session = _core.identity(self._publisher.token), self._publisher.session
        log.error("session.failed", identity=identity, session=session, exc_info=fault or True)
        self._close(Reason.INTERNAL)

    def _close(self, reason: Reason) -> None:
        if not self.closed:
            self.ended()
            self._link.close(reason)
