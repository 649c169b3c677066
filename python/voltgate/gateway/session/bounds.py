"""How fast and how much one charger may send: when its socket is not read.

At ``limits.open_calls`` and above ``limits.calls_per_second`` the socket is not read for a while, so nothing
is dropped; large messages count towards ``limits.max_buffered_bytes`` until they are answered.
"""

from voltgate.gateway.session.context import Surroundings
from voltgate.gateway.session.turn import Turn

LARGE = 16_384  # bytes; 99 % of messages fit 2 kB (docs/ocpp.md A21)


class Bounds:
    """See the module. The limits are read from the shared context: a reload changes them at once."""

    __slots__ = ("_clock", "_context", "_due", "_link", "_slow", "_turn", "large", "paused")

    def __init__(self, surroundings: Surroundings, turn: Turn) -> None:
        self._context, self._link, self._turn = surroundings.context, surroundings.link, turn
        self._clock = surroundings.outside.clock
        self._due = 0.0  # until when the messages so far would have lasted at limits.calls_per_second
        self.large = 0  # bytes of large open CALLs
        self._slow = self.paused = False

    def count(self) -> None:
        """One more message was received: above the rate and its burst the socket rests."""
        context, now, due = self._context, self._clock.now, self._due
        self._due = due = (due if due > now else now) + context.interval
        if due - now > context.burst and not self._slow and not self._turn.ended:
            self._slow = True
            context.metrics.paused.add("calls_per_second")
            self._clock.after(due - now - context.burst, self._rested)
            self.limit_reading()

    def _rested(self) -> None:
        self._slow = False
        self.limit_reading()

    def limit_reading(self) -> None:
        """Read from the socket, or stop reading, as the open CALLs and the turn ask for."""
        turn = self._turn
        full = len(turn.calls) >= self._context.limits.open_calls
        pause = full or self._slow or (turn.leaving and not turn.finishing)
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
