"""One question to a backend, from the first try to its answer or the fallback (docs/contract.md 3.4).

A question is a NATS request. While it has no responder it is asked again every 250 ms for ``ask_grace``;
then, or without a valid reply in ``ask_timeout``, the action's fallback is the answer. No CALL is left open.
"""

from collections.abc import Callable

import structlog

from voltgate.gateway.interfaces import Reply
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session import decisions
from voltgate.gateway.session.call import Answer, Call, Step
from voltgate.gateway.session.context import Surroundings
from voltgate.gateway.session.steps import guarded
from voltgate.policy import fallback_payload

log = structlog.get_logger()

AGAIN = 0.25  # seconds between questions while there is no responder

Done = Callable[[Call, Answer | Reason], None]


class Question:
    """Calls ``done(call, answer)`` once, or with the reason why the charger's socket must be closed."""

    __slots__ = ("_asked_at", "_call", "_done", "_surroundings")

    def __init__(self, call: Call, surroundings: Surroundings, done: Done) -> None:
        self._call, self._surroundings, self._done = call, surroundings, done
        self._asked_at = surroundings.outside.clock.now

    @property
    def closed(self) -> bool:
        """Whether the charger is gone."""
        return self._call.step is Step.DONE

    def ask(self) -> None:
        """Ask, for the first time or again."""
        if self.closed:
            return
        call, context, (bus, clock, _) = self._call, self._surroundings.context, self._surroundings.outside
        assert call.fact is not None
        left = self._asked_at + context.nats.ask_timeout - clock.now
        deadline = clock.time_ms + int(left * 1000)
        ticket = bus.ticket(self._replied, None)
        question = self._surroundings.publisher.question(call.fact, call.time_ms, deadline, ticket.reply)
        bus.ask(ticket, question, left)

    def failed(self) -> None:
        """A fault of ours."""
        log.exception("question.failed", action=self._call.frame.action)
        self._done(self._call, Reason.INTERNAL)

    @guarded
    def _replied(self, _: None, reply: Reply) -> None:
        context, clock = self._surroundings.context, self._surroundings.outside.clock
        grace = min(context.nats.ask_grace, context.nats.ask_timeout)
        if reply.outcome == "away":
            self._done(self._call, Reason.OUTAGE)
        elif reply.outcome == "no_responders" and clock.now + AGAIN - self._asked_at < grace:
            clock.after(AGAIN, self.ask)
        else:
            answer = self._answer(reply)
            judged = "invalid" if answer is None else "error" if answer.code else "reply"
            context.metrics.asks.add(judged if reply.outcome == "reply" else reply.outcome)
            context.metrics.ask_seconds.cell().observe(clock.now - self._asked_at)
            self._done(self._call, answer or self._fallback())

    def _answer(self, reply: Reply) -> Answer | None:
        if reply.outcome != "reply":
            return None
        context = self._surroundings.context
        action, limit = self._call.frame.action or "", context.limits.max_message_bytes
        return decisions.backend_answer(context.codec, action, reply, limit)

    def _fallback(self) -> Answer | Reason:
        assert self._call.handling is not None
        rule = self._call.handling.rule
        if rule.fallback.closes:
            return Reason.UNANSWERED
        if rule.fallback.code:
            return Answer("fallback", code=rule.fallback.code, description="no backend answered")
        now = decisions.time_text(self._surroundings.outside.clock.time_ms)
        return Answer("fallback", fallback_payload(rule, now))
