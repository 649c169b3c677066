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
        self.resting = self.paused = self._wait() > 0
        if self.resting:
            self._rest()

    def count(self, calls: float, rest: bool = True) -> None:
        """A message was received, or what costs as much; above a rate and its burst the socket rests."""
        context, allowance, now = self._context, self._allowance, self._clock.now
        due = allowance.calls
        allowance.calls = due = (due if due > now else now) + context.interval * calls
        over = due - now > context.burst or allowance.stored - now > context.stored_burst
        if over and rest and not (self.resting or self._turn.ended):
            self.resting = True
            self._rest()
            self.limit_reading()

    def stored(self, size: int) -> None:
        """A fact of ``size`` bytes is stored for this charger; counted with its next message."""
        self._allowance.store(self._clock.now, size * self._context.byte_interval)

    def _wait(self) -> float:
        """Seconds until neither budget is overdrawn."""
        context, allowance = self._context, self._allowance
        spent = max(allowance.calls - context.burst, allowance.stored - context.stored_burst)
        return spent - self._clock.now

    def _rest(self) -> None:
        context, allowance = self._context, self._allowance
        stored = allowance.stored - context.stored_burst > allowance.calls - context.burst
        if stored:
            context.metrics.paused.add("stored_bytes")
        else:
            context.metrics.paused.add("calls_per_second")
        self._clock.after(min(self._wait(), LOOK_AGAIN), self._rested)

    def _rested(self) -> None:
        wait = self._wait()
        if self._turn.ended:
            return
        if wait > 0:
            self._clock.after(min(wait, LOOK_AGAIN), self._rested)
            return
        self.resting = False
        self.limit_reading()

    def limit_reading(self) -> None:
        """Read from the socket, or stop reading, as the open CALLs and the turn ask for."""
        turn = self._turn
        full = len(turn.calls) >= self._context.limits.open_calls
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
