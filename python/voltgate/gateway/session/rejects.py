"""What one charger said and was refused: kept as reject facts, so that nothing is lost (CONTRACT 2.2, 3.2).

Made with the first refused frame of a connection: most have none.
"""

from collections.abc import Callable

from voltgate._core import Frame, Publisher, Violation
from voltgate.gateway.interfaces import LIVE, Ack, NotStored, Outside
from voltgate.gateway.rates import RejectRate
from voltgate.gateway.session import redact
from voltgate.gateway.session.call import Call, Refused
from voltgate.gateway.session.context import Terms

BYTES = 4096  # of a refused frame that are stored, but for tx actions


class Rejects:
    """See the module; above ``limits.rejects_per_minute`` they are only counted, but for tx actions."""

    def __init__(self, publisher: Publisher, terms: Terms, outside: Outside) -> None:
        self._publisher, self._terms = publisher, terms
        self._bus, self._clock = outside.bus, outside.clock
        self._rate = RejectRate(terms.limits)

    def store(
        self, call: Call, why: Violation | Refused, done: Callable[[Call, Ack | NotStored], None]
    ) -> None:
        """Store a refused CALL, then call ``done(call, ack)``."""
        tx = call.rule is not None and call.rule.class_ == "tx"
        if tx or self._taken():
            ticket = self._bus.ticket(done, call)
            self._bus.store(ticket, self._fact(call.frame, why, ticket.reply, 0 if tx else BYTES))
        else:
            done(call, LIVE)

    def stray(self, frame: Frame) -> None:
        """A CALLRESULT or CALLERROR no CALL of ours waits for, or a CALLRESULTERROR: kept, never answered."""
        text = "the charger could not use our answer" if frame.type == 5 else "it answers no open CALL"
        if self._taken():
            why = frame.violation or Refused("GenericError", "", text)
            self._bus.emit(self._fact(frame, why, "", BYTES))

    def _taken(self) -> bool:
        if self._rate.take(self._clock.now):
            return True
        self._terms.metrics.rejects_unstored.add(self._terms.codec.version)
        return False

    def _fact(self, frame: Frame, why: Violation | Refused, reply: str, limit: int) -> bytes:
        raw, now = redact.stray(frame), self._clock.time_ms
        return self._publisher.reject(frame, raw, why, now, reply, limit)
