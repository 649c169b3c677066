"""What upgrades may take of one turn of the loop: a storm of dials delays no charger that is connected."""

from collections import deque
from collections.abc import Callable

from voltgate.gateway.clock import Wheel

SECONDS = 0.002  # of one turn


class Paced:
    """Runs steps at once while the turn has time left, else in order in the next turns.

    ``soon(run)`` calls ``run`` in the next turn of the loop.
    """

    def __init__(self, clock: Wheel, soon: Callable[[Callable[[], None]], object]) -> None:
        self._clock, self._soon = clock, soon
        self._waiting: deque[Callable[[], None]] = deque()
        self._spent = 0.0
        self._planned = False

    def __len__(self) -> int:
        return len(self._waiting)

    def run(self, step: Callable[[], None]) -> None:
        """Run ``step`` now or later."""
        if self._waiting or self._spent >= SECONDS:
            self._waiting.append(step)
        else:
            self._take(step)

    def _take(self, step: Callable[[], None]) -> None:
        clock = self._clock
        clock.refresh()
        began = clock.now
        try:
            step()
        finally:  # a step that fails ends its own connection only
            clock.refresh()
            self._spent += clock.now - began
            if (self._spent or self._waiting) and not self._planned:
                self._planned = True
                self._soon(self._next)

    def _next(self) -> None:
        """The next turn of the loop."""
        self._spent, self._planned = 0.0, False
        while self._waiting and self._spent < SECONDS:
            self._take(self._waiting.popleft())
