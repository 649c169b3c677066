"""One question to a backend, from the first try to its answer or the fallback (docs/contract.md 3.4).

A question is a NATS request. While it has no responder it is asked again every 250 ms for ``ask_grace``,
unless the fallback says nothing; then, or without a valid reply in ``ask_timeout``, the action's fallback is
the answer. After a reply that cannot be used another one is awaited for 2 s; a backend that says that it
failed brings the fallback at once. No CALL is left open.
"""

from collections.abc import Callable
from enum import Enum

import structlog

from voltgate import _core
from voltgate._core import Violation
from voltgate.gateway.interfaces import Reply, Ticket
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session import decisions
from voltgate.gateway.session.call import Answer, Call, GatewayViolation, Step
from voltgate.gateway.session.context import Surroundings
from voltgate.gateway.session.decisions import BackendFailed
from voltgate.gateway.session.steps import guarded
from voltgate.gateway.telemetry.metrics import AskOutcome
from voltgate.policy import fallback_payload

log = structlog.get_logger()

AGAIN = 0.25  # seconds between questions while there is no responder
BETTER = 2.0  # seconds for a valid reply, after one that is not

Done = Callable[[Call, Answer | Reason], None]


class Unanswered(Enum):
    """Why the fallback is the answer: what a charger is told, and why its socket is closed instead."""

    NO_BACKEND = "no backend answered", Reason.UNANSWERED
    BAD_REPLY = "the backend's answer was invalid", Reason.BAD_REPLY
    FAILED = "the backend failed", Reason.BACKEND_FAILED


class Question:
    """Calls ``done(call, answer)`` once, or with the reason why the charger's socket must be closed."""

    __slots__ = (
        "_asked_at", "_call", "_done", "_surroundings", "_ticket", "_trace", "_violation", "_wait_until",
    )  # fmt: skip

    def __init__(self, call: Call, surroundings: Surroundings, done: Done) -> None:
        self._call, self._surroundings, self._done = call, surroundings, done
        self._asked_at = surroundings.outside.clock.now
        self._ticket: Ticket[None, Reply] | None = None
        self._trace = call.question_began()
        self._violation = ""  # of the first reply that could not be used
        self._wait_until = 0.0  # for a better one

    @property
    def closed(self) -> bool:
        """Whether the charger is gone."""
        return self._call.step is Step.DONE

    def ask(self) -> None:
        """Ask, for the first time or again."""
        if self.closed:
            return
        call, context, (bus, clock, *_) = self._call, self._surroundings.context, self._surroundings.outside
        assert call.fact is not None
        left = self._asked_at + context.nats.ask_timeout - clock.now
        if left <= 0:  # ask_grace is as long as ask_timeout
            return self._fall_back("no_responders", Unanswered.NO_BACKEND)
        deadline = clock.time_ms + int(left * 1000)
        self._ticket = ticket = bus.ticket(self._replied, None)
        publisher, trace = self._surroundings.publisher, self._trace
        question = publisher.question(call.fact, call.time_ms, deadline, ticket.reply, trace)
        bus.ask(ticket, question, left)

    def failed(self) -> None:
        """A fault of ours."""
        identity = _core.identity(self._surroundings.publisher.token)
        log.exception("question.failed", identity=identity, action=self._call.frame.action)
        self._done(self._call, Reason.INTERNAL)

    @guarded
    def _replied(self, _: None, reply: Reply) -> None:
        clock = self._surroundings.outside.clock
        if reply.outcome == "away":
            self._done(self._call, Reason.OUTAGE)
        elif reply.outcome == "reply":
            self._judge(reply)
        elif self._violation:
            self._fall_back("invalid", Unanswered.BAD_REPLY)
        elif reply.outcome == "no_responders" and (left := self._asked_at + self._grace() - clock.now) > 0:
            clock.after(min(AGAIN, left), self.ask)
        else:
            self._fall_back(reply.outcome, Unanswered.NO_BACKEND)

    def _grace(self) -> float:
        """Seconds for a responder to come: none where the fallback says nothing that anybody waits for."""
        assert self._call.handling is not None
        nats = self._surroundings.context.nats
        empty = self._call.handling.rule.fallback.is_empty
        return 0.0 if empty else min(nats.ask_grace, nats.ask_timeout)

    def _judge(self, reply: Reply) -> None:
        context = self._surroundings.context
        action, limit = self._call.frame.action or "", context.limits.max_message_bytes
        match decisions.backend_answer(context.codec, action, reply, limit):
            case Answer() as answer:
                self._end("error" if answer.code else "reply", answer)
            case BackendFailed(code):
                context.reply_faults.note(action, "", f"service error {code}", self._asked_at)
                self._fall_back("failed", Unanswered.FAILED)
            case violation:
                self._refuse(violation)

    def _refuse(self, violation: Violation | GatewayViolation) -> None:
        """The reply cannot be used: another responder may give a better one (docs/contract.md 3.4)."""
        context, (bus, clock, *_) = self._surroundings.context, self._surroundings.outside
        action = self._call.frame.action or ""
        context.metrics.reply_violations.add(context.codec.version, action, violation.code)
        context.reply_faults.note(action, violation.pointer, violation.reason, clock.now)
        if not self._violation:
            self._violation = decisions.tag(violation)
            self._wait_until = min(clock.now + BETTER, self._asked_at + context.nats.ask_timeout)
        left = self._wait_until - clock.now
        if left > 0 and self._ticket is not None:
            bus.await_reply(self._ticket, left)
        else:
            self._fall_back("invalid", Unanswered.BAD_REPLY)

    def _fall_back(self, outcome: AskOutcome, why: Unanswered) -> None:
        assert self._call.handling is not None
        rule, (text, reason) = self._call.handling.rule, why.value
        if rule.fallback.closes:
            self._end(outcome, reason)
        elif rule.fallback.code:
            self._end(outcome, Answer("fallback", code=rule.fallback.code, description=text))
        else:
            now = decisions.time_text(self._surroundings.outside.clock.time_ms)
            self._end(outcome, Answer("fallback", fallback_payload(rule, now)))

    def _end(self, outcome: AskOutcome, answer: Answer | Reason) -> None:
        metrics, clock = self._surroundings.context.metrics, self._surroundings.outside.clock
        metrics.asks.add(outcome)
        self._call.question_ended(outcome)
        metrics.ask_seconds.cell().observe(clock.now - self._asked_at)
        if self._violation and isinstance(answer, Answer):
            answer = answer._replace(reply_violation=self._violation)
        self._done(self._call, answer)
