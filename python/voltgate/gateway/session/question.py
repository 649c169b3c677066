"""One question to a backend, from the first try to its answer or the fallback (CONTRACT 3.4).

A question is a NATS request. While nobody listens it is asked again every 250 ms for ``ask_grace``; then, or
without a valid reply in ``ask_timeout``, the action's fallback stands in. Never silence.
"""

from collections.abc import Callable

import structlog

from voltgate._core import Publisher
from voltgate.gateway.interfaces import Outside, Reply
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session import decisions
from voltgate.gateway.session.call import Answer, Call
from voltgate.gateway.session.context import Terms
from voltgate.policy import fallback_payload

log = structlog.get_logger()

AGAIN = 0.25  # seconds between questions while nobody listens

Done = Callable[[Call, Answer | Reason], None]


class Question:
    """Calls ``done(call, answer)`` once, or with the reason why the charger's socket must be closed."""

    __slots__ = ("_asked_at", "_call", "_done", "_outside", "_publisher", "_terms")

    def __init__(self, call: Call, publisher: Publisher, terms: Terms, outside: Outside, done: Done) -> None:
        self._call, self._publisher, self._terms = call, publisher, terms
        self._outside, self._done = outside, done
        self._asked_at = outside.clock.now

    def ask(self) -> None:
        """Ask, for the first time or again."""
        call, (bus, clock, _) = self._call, self._outside
        if call.gone:
            return
        assert call.fact is not None
        left = self._asked_at + self._terms.nats.ask_timeout - clock.now
        deadline = clock.time_ms + int(left * 1000)
        ticket = bus.ticket(self._replied, None)
        question = self._publisher.question(call.fact, call.time_ms, deadline, ticket.reply)
        bus.ask(ticket, question, left)

    def _replied(self, _: None, reply: Reply) -> None:
        if self._call.gone:
            return
        try:
            outcome = self._outcome(reply)
        except Exception:
            log.exception("question.failed", action=self._call.frame.action)
            outcome = Reason.INTERNAL
        if outcome is not None:
            self._done(self._call, outcome)

    def _outcome(self, reply: Reply) -> Answer | Reason | None:
        """What a reply comes to; None: asked again."""
        terms, clock = self._terms, self._outside.clock
        if reply.outcome == "away":
            return Reason.OUTAGE
        grace = min(terms.nats.ask_grace, terms.nats.ask_timeout)
        if reply.outcome == "no_responders" and clock.now + AGAIN - self._asked_at < grace:
            clock.after(AGAIN, self.ask)
            return None
        answer, outcome = None, str(reply.outcome)
        if outcome == "reply":
            action, limit = self._call.frame.action or "", terms.limits.max_message_bytes
            answer = decisions.backend_answer(terms.codec, action, reply, limit)
            outcome = "invalid" if answer is None else "error" if answer.code else "reply"
        terms.metrics.asks.add(outcome)
        terms.metrics.ask_seconds.cell().observe(clock.now - self._asked_at)
        return answer or self._fallback()

    def _fallback(self) -> Answer | Reason:
        rule = self._call.rule
        assert rule is not None
        if rule.fallback.closes:
            return Reason.UNANSWERED
        if rule.fallback.code:
            return Answer("fallback", code=rule.fallback.code, description="no backend answered")
        return Answer("fallback", fallback_payload(rule, decisions.time_text(self._outside.clock.time_ms)))
