"""One charger's conversation: which CALL is open, what was stored, who answers (CONTRACT 2.2, 2.3, 3.4).

CALLs are served strictly in order, one at a time; a charger that pipelines waits in the queue, and at
``limits.open_calls`` its socket is not read.

    received -> queued -> at the head:
      refused?  --yes--> reject fact --PubAck--> CALLERROR
        | no
      repeat of an answered CALL? --yes--> the same answer again
        | no
      fact --PubAck--> tx and duplicate? --yes--> Response read back? --yes--> that answer
        |                    | no                      | no
        |  (class event: the question leaves together with the fact)
        +--> question --reply--> valid? --yes--> backend's answer
                 |                  | no
                 +--none in time----+---------> fallback: an answer, or the socket is closed
      answer has content? --yes--> Response fact --PubAck--> written
                        --no---------------------------------> written

Whatever cannot be stored is not answered: the socket is closed with 1013 and the charger queues (OCPP.md C).
No socket, no NATS and no clock live here; ``ports`` names what comes from outside.
"""

from collections import deque

import orjson
import structlog

from voltgate._core import Frame, Publisher, Violation
from voltgate.gateway.interfaces import LIVE, Ack, Link, NotStored, Outside, Request
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session import decisions
from voltgate.gateway.session.call import EMPTY, Answer, Answered, Call, Plain, Refused
from voltgate.gateway.session.commands import Commands
from voltgate.gateway.session.context import Terms
from voltgate.gateway.session.question import Question
from voltgate.gateway.session.rejects import Rejects
from voltgate.gateway.session.replay import Replay
from voltgate.gateway.session.steps import guarded
from voltgate.policy import Rule, gateway_answer

log = structlog.get_logger()

LARGE = 16_384  # bytes; 99 % of messages fit 2 kB (OCPP.md A21)
_ANSWERS = (3, 4, 5)


class Session:
    """See the module. ``received`` and ``leave`` are called by the connection and the worker."""

    __slots__ = (
        "_answered", "_bus", "_clock", "_closed_road", "_commands", "_due", "_heavy", "_leaving", "_link",
        "_open_calls", "_outside", "_paused", "_publisher", "_queue", "_rejects", "_serving", "_slow",
        "_terms", "_version", "_watched", "boot", "closed", "triggered",
    )  # fmt: skip

    def __init__(self, publisher: Publisher, terms: Terms, link: Link, outside: Outside) -> None:
        self.closed = False
        self.triggered: set[str] = set()  # what a command asked for: passes while Pending
        self._publisher, self._terms, self._link, self._outside = publisher, terms, link, outside
        self._bus, self._clock = outside.bus, outside.clock
        self._version = terms.codec.version
        self._queue: deque[Call] = deque()
        self._answered = Answered()
        self._commands: Commands | None = None  # made when the first one arrives
        self.boot = ""  # a backend's last word on BootNotification
        self._leaving: Reason | None = None
        self._paused = self._slow = self._serving = False
        self._watched = False  # something waits for the last open CALL
        self._heavy = 0
        self._open_calls = terms.limits.open_calls
        self._closed_road = False  # gated or leaving: no CALL is plain
        self._due = 0.0  # until when the CALLs so far would have lasted at limits.calls_per_second
        self._rejects: Rejects | None = None  # made when the first frame is refused

    # -- from the connection ------------------------------------------------------------------------

    def received(self, frame: Frame) -> None:
        """One decoded message. Whatever it holds, it gets the answer the contract names."""
        terms = self._terms
        plain = terms.plain.get(frame.plain)
        if plain is None or self._queue or self._closed_road:
            self._look_at(frame)
        elif plain.class_ == "live":
            self._answer_at_once(frame, plain)
        else:
            self._store_plain(frame, plain)
        # limits.calls_per_second with its burst: above it the socket is read slower, nothing is dropped.
        now, due = self._clock.now, self._due
        self._due = due = (due if due > now else now) + terms.interval
        if due - now > terms.burst:
            self._rest(due - now - terms.burst)

    # Three steps of the road below in one go, for a sound CALL that the gateway answers itself and that finds
    # nothing before it: nearly all of them.

    def _answer_at_once(self, frame: Frame, plain: Plain) -> None:
        clock, terms = self._clock, self._terms
        self._bus.emit(self._publisher.live(frame, clock.time_ms))
        payload = gateway_answer("Heartbeat", decisions.time_text(clock.time_ms)) if plain.beat else b"{}"
        answer = terms.codec.answer(frame, payload)
        cells = terms.cells
        plain.received[0] += 1
        plain.answered[0] += 1
        plain.seconds.counts[0] += 1  # at once: the first bucket, and nothing to the sum
        cells.results[0] += 1
        cells.bytes_in[0] += frame.size
        cells.bytes_out[0] += len(answer)
        self._link.write(answer)

    def _store_plain(self, frame: Frame, plain: Plain) -> None:
        message_id, size, terms = frame.message_id, frame.size, self._terms
        asks = plain.may_ask and frame.has_id_token
        if message_id is None or asks or size > LARGE or message_id in self._answered:
            self._look_at(frame)
            return
        plain.received[0] += 1
        terms.cells.bytes_in[0] += size
        clock, bus = self._clock, self._bus
        call = Call(frame, message_id, plain.rule, clock.now)
        call.begun, call.time_ms, call.plain = True, clock.time_ms, plain
        self._queue.append(call)
        ticket = bus.ticket(self._plain_stored, call)
        call.fact = fact = self._publisher.fact(plain.class_, frame, clock.time_ms, ticket.reply)
        if plain.may_ask and terms.keys.conflicts(fact):
            terms.metrics.key_conflicts.add()
        bus.store(ticket, fact.command, plain.tx)
        if self._open_calls == 1:
            self._limit_reading()

    def _plain_stored(self, call: Call, ack: Ack | NotStored) -> None:
        plain = call.plain
        if self.closed or plain is None or not isinstance(ack, Ack) or ack.duplicate:
            self._stored(call, ack)
            return
        try:
            terms, cells = self._terms, self._terms.cells
            if not plain.tx:
                self._answered.add(call.message_id or "", call.frame, EMPTY)
            answer = terms.codec.answer(call.frame, b"{}")
            plain.answered[0] += 1
            plain.seconds.observe(self._clock.now - call.read_at)
            cells.results[0] += 1
            cells.bytes_out[0] += len(answer)
            self._link.write(answer)
            self._done()
        except Exception:
            self.failed()

    # The road: everything else goes it step by step.

    def _look_at(self, frame: Frame) -> None:
        if self.closed:
            return
        kind, action, terms = frame.type, frame.action, self._terms
        rule = terms.rules.get(action) if action is not None else None
        if kind == 2 and rule is not None and frame.violation is None:
            terms.counts[rule.action].received[0] += 1
        elif frame.is_text:
            terms.count_odd(frame)
        else:
            self._close(Reason.NOT_UTF8)
            return
        size = frame.size
        terms.cells.bytes_in[0] += size
        if kind in _ANSWERS:
            if self._commands is None or not self._commands.answered(frame):
                self._refusals().stray(frame)
        else:
            message_id = frame.message_id
            if self._queue and kind == 2 and any(call.same(message_id, action) for call in self._queue):
                # The same call, not another one (CONTRACT 2.2).
                self._terms.metrics.duplicates.add(rule.class_ if rule else "event")
            else:
                call = Call(frame, message_id, rule, self._clock.now)
                call.time_ms = self._clock.time_ms
                self._queue.append(call)
                if size > LARGE:
                    self._weigh()
                self._serve()

    def command(self, request: Request) -> None:
        """A backend's command for this charger (CONTRACT 3.5)."""
        if self._commands is None:
            self._commands = Commands(self._publisher, self._terms, self._link, self._outside, self)
            self._watched = self._watched or self._terms.half_duplex
        self._commands.take(request)

    def leave(self, reason: Reason) -> None:
        """Finish the CALLs that were read, then close; a drain waits for the command in flight too.

        Whatever else ends a connection takes effect at once: commands may take a day to be answered.
        """
        self._leaving, self._closed_road, self._watched = reason, True, True
        if self._commands is not None:
            self._commands.leave()
        self._serve()

    def ended(self) -> None:
        """The socket is gone."""
        self.closed = self._closed_road = True
        for call in self._queue:
            call.gone = True
        self._queue.clear()
        commands, self._commands = self._commands, None  # it holds us: no cycle shall stay
        if commands is not None:
            commands.ended()

    @property
    def calling(self) -> bool:
        """Whether a CALL of the charger is open."""
        return bool(self._queue)

    @property
    def leaving(self) -> bool:
        """Whether it was told to leave, or has left."""
        return self.closed or self._leaving is not None

    # -- the transitions ----------------------------------------------------------------------------

    def _serve(self) -> None:
        """Begin the CALL at the head, and the next where that was answered on the spot; no recursion."""
        if self._serving:
            return
        self._serving = True
        try:
            while self._queue and not self._queue[0].begun:
                self._queue[0].begun = True
                self._begin(self._queue[0])
        finally:
            self._serving = False
        if self._watched and not self._queue:
            self.quiet()
        if self._paused or self.leaving or len(self._queue) >= self._open_calls:
            self._limit_reading()

    def quiet(self) -> None:
        """Go on with what waited for the last open CALL, or for the last command."""
        if self._queue:
            self._limit_reading()  # a drain reads on for the answer to a command alone
        elif self._leaving is None:
            if self._commands is not None:
                self._commands.uncrossed()
        elif not self._finishing:
            self._close(self._leaving)

    @property
    def _finishing(self) -> bool:
        """Whether a drain waits for the answer to a command (CONTRACT 4.5)."""
        return self._leaving is Reason.DRAIN and self._commands is not None and self._commands.busy

    def _begin(self, call: Call) -> None:
        rule, frame, message_id = call.rule, call.frame, call.message_id
        refusal = decisions.refusal(frame, rule)
        if refusal is None and rule is not None and self.boot:
            refusal = decisions.gated(self._terms.codec.ocpp, self.boot, self.triggered, rule.action)
        if refusal is not None or rule is None or message_id is None:
            self._reject(call, refusal or Refused("InternalError", "", "no policy for this action"))
            return
        if rule.class_ != "tx" and (repeat := self._answered.find(message_id, frame)) is not None:
            self._terms.metrics.duplicates.add(rule.class_)
            self._answer(call, repeat._replace(by="replay"))
            return
        if rule.validation == "lenient":
            call.violation = decisions.passed_on(frame)
        if rule.answer == "backend" or (rule.answer == "backend-if-idtoken" and frame.has_id_token):
            call.asks = True
        self._store(call, rule)

    def _advance(self, call: Call) -> None:
        """The next step of the CALL at the head, whatever has just happened to it."""
        rule, ack, answer = call.rule, call.ack, call.answer
        if self.closed or ack is None or rule is None:
            return
        if answer is not None:
            if (
                rule.class_ != "live"
                and not call.recorded
                and (answer.has_content or answer.by == "fallback")
            ):
                self._record(call, answer)
            else:
                self._answer(call, answer)
        elif rule.answer == "none":  # a SEND
            self._done()
        elif ack.duplicate and rule.class_ == "tx" and not call.replayed:
            self._replay(call, ack)
        elif call.asks:
            if not call.asked:
                self._ask(call)
        elif rule.action == "Heartbeat":
            call.answer = Answer(
                "gateway", gateway_answer("Heartbeat", decisions.time_text(self._clock.time_ms))
            )
            self._advance(call)
        else:
            self._answer(call, EMPTY)

    # -- storing ------------------------------------------------------------------------------------

    def _store(self, call: Call, rule: Rule) -> None:
        bus, publisher, now = self._bus, self._publisher, call.time_ms
        if rule.class_ == "live":
            call.fact = publisher.fact("live", call.frame, now, "", call.violation)
            call.ack = LIVE
            bus.emit(call.fact.command)
            self._advance(call)
            return
        ticket = bus.ticket(self._stored, call)
        call.fact = fact = publisher.fact(rule.class_, call.frame, now, ticket.reply, call.violation)
        if rule.action == "TransactionEvent" and self._terms.keys.conflicts(fact):
            self._terms.metrics.key_conflicts.add()
        bus.store(ticket, fact.command, rule.class_ == "tx")
        # A question about money is asked only once its fact is safe; others need not wait for it.
        if call.asks and rule.class_ != "tx" and not self.closed:
            self._ask(call)

    @guarded
    def _stored(self, call: Call, ack: Ack | NotStored) -> None:
        if not isinstance(ack, Ack):
            self._close(Reason.NOT_STORED)
            return
        call.ack = ack
        if ack.duplicate:
            self._terms.metrics.duplicates.add(self._terms.class_of(call.frame.action))
        self._advance(call)

    def _replay(self, call: Call, ack: Ack) -> None:
        if not (call.asks or call.frame.action == "Heartbeat"):
            call.replayed = True  # the answer never had content: there is no Response to look for
            self._advance(call)
            return
        prefix, token = self._terms.nats.prefix, self._publisher.token
        subject = f"{prefix}.tx.{self._version}.{call.frame.action}Response.{token}"
        Replay(call, ack.stream, self._bus, self._replayed).find(subject, ack.seq)

    @guarded
    def _replayed(self, call: Call, outcome: Answer | Reason | None) -> None:
        if isinstance(outcome, Reason):
            self._close(outcome)
            return
        call.replayed = True
        call.answer, call.recorded = outcome, outcome is not None
        self._advance(call)

    def _record(self, call: Call, answer: Answer) -> None:
        assert call.rule is not None
        assert call.fact is not None
        ticket = self._bus.ticket(self._recorded, call)
        response = self._publisher.response(call.fact, answer, self._clock.time_ms, ticket.reply)
        self._bus.store(ticket, response, call.rule.class_ == "tx")

    @guarded
    def _recorded(self, call: Call, ack: Ack | NotStored) -> None:
        if not isinstance(ack, Ack):
            self._close(Reason.NOT_STORED)
        elif ack.duplicate:
            # Another worker answered the same message first: its answer is the one that counts.
            Replay(call, ack.stream, self._bus, self._replayed).read(ack.seq)
        else:
            call.recorded = True
            self._advance(call)

    # -- asking -------------------------------------------------------------------------------------

    def _ask(self, call: Call) -> None:
        call.asked = True
        Question(call, self._publisher, self._terms, self._outside, self._asked).ask()

    @guarded
    def _asked(self, call: Call, outcome: Answer | Reason) -> None:
        if isinstance(outcome, Reason):
            self._close(outcome)
        else:
            call.answer = outcome
            self._advance(call)

    # -- refusing -----------------------------------------------------------------------------------

    def _reject(self, call: Call, refusal: Violation | Refused) -> None:
        """Store what was refused, then say so: nothing a charger said is lost (CONTRACT 2.2)."""
        call.refusal = refusal
        self._refusals().store(call, refusal, self._refused)

    @guarded
    def _refused(self, call: Call, ack: Ack | NotStored) -> None:
        if not isinstance(ack, Ack):
            self._close(Reason.NOT_STORED)
            return
        violation = call.refusal
        assert violation is not None
        message_id = decisions.error_id(self._terms.codec.ocpp, call.frame, violation.code)
        if message_id is None:
            self._done()
        else:
            error = self._terms.codec.encode_error(message_id, violation.code, violation.reason)
            self._write(call, error, "refused", True)

    def _refusals(self) -> Rejects:
        if self._rejects is None:
            self._rejects = Rejects(self._publisher, self._terms, self._outside)
        return self._rejects

    # -- answering ----------------------------------------------------------------------------------

    def _answer(self, call: Call, answer: Answer) -> None:
        codec, message_id, by = self._terms.codec, call.message_id, answer.by
        assert message_id is not None
        assert call.rule is not None
        if answer.code:
            frame = codec.encode_error(message_id, answer.code, answer.description)
        else:
            frame = codec.encode_result(message_id, answer.payload)
        action, class_ = call.rule.action, call.rule.class_
        if (plain := action.removesuffix("-Signed")) == "BootNotification":
            if by == "backend" and not answer.code:
                self.boot = orjson.loads(answer.payload).get("status", "")
                self._closed_road = self.boot in ("Pending", "Rejected") or self.leaving
                self.triggered.clear()
        elif class_ == "event" and by != "fallback" and plain != "Heartbeat":
            self._answered.add(message_id, call.frame, answer)
        self._write(call, frame, by, bool(answer.code))

    def _write(self, call: Call, frame: bytes, by: str, error: bool) -> None:
        self._terms.count_answered(call.rule, by, self._clock.now - call.read_at)
        cells = self._terms.cells
        (cells.errors if error else cells.results)[0] += 1
        cells.bytes_out[0] += len(frame)
        self._link.write(frame)
        self._done()

    def _done(self) -> None:
        """The CALL at the head is answered, or needs no answer: the next one's turn."""
        if not self.closed:
            self._queue.popleft()
            if self._heavy:
                self._weigh()
            self._serve()

    # -- bounds -------------------------------------------------------------------------------------

    def _rest(self, seconds: float) -> None:
        if not self._slow and not self.closed:
            self._slow = True
            self._terms.metrics.paused.add("calls_per_second")
            self._clock.after(seconds, self._faster, None, None)
            self._limit_reading()

    @guarded
    def _faster(self, _: None, __: None) -> None:
        self._slow = False
        self._limit_reading()

    def _limit_reading(self) -> None:
        full = len(self._queue) >= self._terms.limits.open_calls
        pause = full or self._slow or (self.leaving and not self._finishing)
        if pause == self._paused or self.closed:
            return
        self._paused = pause
        if not pause:
            self._link.resume()
            return
        if full:
            self._terms.metrics.paused.add("open_calls")
        self._link.pause()

    # -- small things -------------------------------------------------------------------------------

    def _weigh(self) -> None:
        """Large messages count towards ``limits.max_buffered_bytes`` until they are answered."""
        sizes = (len(call.frame.raw) for call in self._queue)
        self._heavy = sum(size for size in sizes if size > LARGE)
        self._link.hold(self._heavy)

    def failed(self) -> None:
        """A fault of ours: this session ends, the others go on."""
        log.exception("session.failed", charger=self._publisher.token)
        self._close(Reason.INTERNAL)

    def _close(self, reason: Reason) -> None:
        if not self.closed:
            self.ended()
            self._link.close(reason)
