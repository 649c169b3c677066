"""How fast and how much one charger may send: when its socket is not read.

At ``limits.open_calls``, above ``limits.calls_per_second`` and above ``limits.stored_bytes_per_second`` the
socket is not read for a while, so nothing is dropped; large messages count towards
``limits.max_buffered_bytes`` until they are answered. What was spent is in the charger's ``rates.Allowance``,
which outlives its connections.
"""

from voltgate.gateway.session.context import Surroundings
from voltgate.gateway.session.turn import Turn

LARGE = 16_384  # bytes; 99 % of messages fit 2 kB (docs/ocpp.md A21)
# Seconds after which a long rest is looked at again: the limits may have changed.
LOOK_AGAIN = 10.0


class Bounds:
    """See the module. The limits are read from the shared context: a reload changes them at once."""

    __slots__ = ("_allowance", "_clock", "_context", "_link", "_turn", "large", "paused", "resting")

    def __init__(self, surroundings: Surroundings, turn: Turn) -> None:
        self._context, self._link, self._turn = surroundings.context, surroundings.link, turn
        self._clock, self._allowance = surroundings.outside.clock, surroundings.allowance
        self.large = 0  # bytes of large open CALLs
        # A charger that has spent its budget begins as its last connection ended: not read.
        self.resting = self.paused = False
        self._rest()
        self.paused = self.resting

    def count(self, calls: float, rest: bool = True) -> None:
        """A message was received, or what costs as much; above a rate and its burst the socket rests."""
        if self._allowance.count(self._clock.now, calls, self._context.plan) and rest:
            self.overdrawn()

    def overdrawn(self) -> None:
        """A rate and its burst are exceeded: the socket rests."""
        if not (self.resting or self._turn.ended):
            self._rest()
            self.limit_reading()

    def stored(self, size: int) -> None:
        """A fact of ``size`` bytes is stored for this charger; counted with its next message."""
        self._allowance.store(self._clock.now, size, self._context.limits.stored_bytes_per_second)

    def _rest(self) -> None:
        """Rest if a budget is overdrawn, until it is not."""
        calls, stored = self._allowance.wait(self._clock.now, self._context.limits)
        wait = max(calls, stored)
        if wait <= 0:
            self.resting = False
            return
        if not self.resting:
            self.resting = True
            if stored > calls:
                self._context.metrics.paused.add("stored_bytes")
            else:
                self._context.metrics.paused.add("calls_per_second")
        self._clock.after(min(wait, LOOK_AGAIN), self._rested)

    def _rested(self) -> None:
        if not self._turn.ended:
            self._rest()
            self.limit_reading()

    def limit_reading(self) -> None:
        """Read from the socket, or stop reading, as the open CALLs and the turn ask for."""
        turn = self._turn
        full = turn.open_calls >= self._context.limits.open_calls
        pause = full or self.resting or (turn.leaving and not turn.finishing)
        if pause == self.paused or turn.ended:
            return
        self.paused = pause
        if not pause:
            self._link.resume()
            return
        if full:
            self._context.metrics.paused.add("open_calls")
        self._link.pause()

    def weigh(self) -> None:
        """Sum up the large open CALLs, after one of them came or went."""
        sizes = (len(call.frame.raw) for call in self._turn.calls)
        self.large = sum(size for size in sizes if size > LARGE)
        self._link.hold(self.large)
