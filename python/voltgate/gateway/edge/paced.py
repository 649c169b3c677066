"""What all sockets that come or go may take of one turn of the loop.

A storm of dials, or of chargers that are lost together, delays no charger that is connected: accepts, TLS
handshakes, requests, decisions and the ends of connections share one budget. After it was used up the loop
serves everybody else for twice as long. Steps wait in the order in which they came, by how far their socket
is: the nearest to its end goes first, since most of its cost is spent, and one of each stage a turn at least.
Else, in a storm that needs more CPU than its chargers have time, each would be begun and none would end
before its deadline. What cannot be served soon is best where it is, in the accept queue of the kernel.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from voltgate.gateway.clock import Wheel

SECONDS = 0.002  # of one turn
REST = 2  # times what was used, before the next turn that may use it
AT_ONCE = 16  # sockets accepted in one turn, about 1 ms
ENDS = 3  # times its own time that an end counts: it costs NATS a `down` and two subscriptions
CROWD = 32  # steps that wait, from which on one socket a turn is accepted


class Stage(IntEnum):
    """How far a socket is."""

    ACCEPT = 0
    HELLO = 1  # its first bytes of TLS
    HANDSHAKE = 2  # TLS, answered once: most of its CPU is spent
    REQUEST = 3  # the upgrade request is complete
    DECISION = 4  # its record was read, or its password judged
    END = 5  # the socket is lost, or the charger has sent a Close frame


class Paced:
    """Runs steps at once while the turn has time left, else in later turns.

    ``later(seconds, run)`` calls ``run``; with 0 in the next turn of the loop.
    """

    def __init__(self, clock: Wheel, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._clock, self._later = clock, later
        self._waiting: tuple[deque[Callable[[], None]], ...] = tuple(deque() for _ in Stage)
        self._spent = 0.0
        self._planned = self._running = False

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    def run(self, stage: Stage, step: Callable[[], None]) -> None:
        """Run ``step`` now or later; at once from within another step, of which it is a part."""
        if self._running:
            step()
        elif self._spent >= SECONDS or len(self):
            self._waiting[stage].append(step)
        else:
            self._take(stage, step)

    def wait(self, stage: Stage, step: Callable[[], None]) -> None:
        """Run ``step`` in a later turn."""
        self._waiting[stage].append(step)
        self._plan(0.0)

    def accept(self, some: Callable[[int], None]) -> None:
        """In a later turn, accept as many sockets as ``some`` is called with."""
        self.wait(Stage.ACCEPT, lambda: some(AT_ONCE if len(self) < CROWD else 1))

    def finish(self, stage: Stage) -> None:
        """Run all steps of a stage that wait: the process stops, and delays nobody."""
        waiting = self._waiting[stage]
        while waiting:
            waiting.popleft()()

    def _take(self, stage: Stage, step: Callable[[], None]) -> None:
        began = self._clock.read()
        self._running = True
        try:
            step()
        finally:  # a step that fails ends its own connection only
            self._running = False
            took = self._clock.read() - began
            self._spent += took * ENDS if stage is Stage.END else took
            self._plan(0.0)

    def _plan(self, seconds: float) -> None:
        if (self._spent or len(self)) and not self._planned:
            self._planned = True
            self._later(seconds, self._turn)

    def _turn(self) -> None:
        self._planned = False
        if self._spent >= SECONDS:  # used up since the last call: the others come first
            seconds, self._spent = self._spent * REST, 0.0
            self._plan(seconds)
            return
        self._spent = 0.0
        self._clock.refresh()
        for stage in reversed(Stage):
            if waiting := self._waiting[stage]:
                self._take(stage, waiting.popleft())
        for stage in reversed(Stage):
            waiting = self._waiting[stage]
            while waiting and self._spent < SECONDS:
                self._take(stage, waiting.popleft())
