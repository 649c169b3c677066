"""The refused frames of one charger, kept as reject facts so that nothing is lost.

See docs/contract.md 2.2, 3.2.

Made with the first refused frame of a connection: most have none.
"""

from collections.abc import Callable

from voltgate._core import Frame, Violation
from voltgate.gateway.interfaces import LIVE, Ack, NotStored
from voltgate.gateway.session import payloads
from voltgate.gateway.session.bounds import Bounds
from voltgate.gateway.session.call import Call, GatewayViolation
from voltgate.gateway.session.context import Surroundings
from voltgate.gateway.session.turn import Turn

BYTES = 4096  # stored of a refused frame, unless its action is of class tx


class Rejects:
    """See the module; above ``limits.rejects_per_minute`` they are only counted, except for class tx."""

    def __init__(self, surroundings: Surroundings, turn: Turn, bounds: Bounds) -> None:
        self._turn = turn
        self._publisher, self._context = surroundings.publisher, surroundings.context
        self._bus, self._clock = surroundings.outside.bus, surroundings.outside.clock
        self._allowance, self._bounds = surroundings.allowance, bounds

    def store(
        self,
        call: Call,
        why: Violation | GatewayViolation,
        done: Callable[[Call, Ack | NotStored], None],
    ) -> None:
        """Store a refused CALL, then call ``done(call, ack)``."""
        tx = call.handling is not None and call.handling.tx
        if tx or self._may_store():
            ticket = self._bus.ticket(done, call)
            self._bus.store(
                ticket, self._fact(call.frame, why, ticket.reply, 0 if tx else BYTES, trace=call.traceparent)
            )
        else:
            done(call, LIVE)

    def stray(self, frame: Frame) -> None:
        """Store a CALLRESULT or CALLERROR to no CALL of ours, or a CALLRESULTERROR; it is never answered."""
        text = "the charger could not use our answer" if frame.type == 5 else "it answers no open CALL"
        if self._may_store():
            why = frame.violation or GatewayViolation("GenericError", "", text)
            self._bus.emit(self._fact(frame, why, "", BYTES))

    def broken(self, frame: Frame, size: int, why: str) -> None:
        """Store what ends the connection: the beginning of a frame of ``size`` bytes, never answered."""
        if self._may_store():
            fault = frame.violation if not frame.is_text else None
            code = fault.code if fault else "GenericError"
            self._bus.emit(self._fact(frame, GatewayViolation(code, "", why), "", BYTES, size))

    def _may_store(self) -> bool:
        if self._allowance.reject(self._clock.now, self._context.limits.rejects_per_minute):
            return True
        self._context.metrics.rejects_unstored.add(self._context.codec.version)
        return False

    def _fact(  # noqa: PLR0913, PLR0917 - one reject fact
        self,
        frame: Frame,
        why: Violation | GatewayViolation,
        reply: str,
        limit: int,
        size: int = 0,
        trace: str = "",
    ) -> bytes:
        raw, now = payloads.storable(frame, self._turn.secretive), self._clock.time_ms
        fact = self._publisher.reject(frame, raw, why, now, reply, limit, size, trace)
        self._bounds.stored(len(fact))
        return fact
