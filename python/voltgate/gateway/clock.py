"""The clock of one process and its timers. Time comes from the two callables it is given.

One wheel serves every charger: keepalive, handshakes, deadlines of questions. A timer costs a list append; a
cancelled one is skipped when its slot is due.
"""

from collections.abc import Callable
from typing import Any, TypeVarTuple

import structlog

log = structlog.get_logger()

Ts = TypeVarTuple("Ts")

TICK = 0.05  # seconds; how late a timer may fire


class Timer:
    """One timer; ``cancel`` may be called at any time and more than once."""

    __slots__ = ("_args", "_fire")

    def __init__(self, fire: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._fire: Callable[..., None] | None = fire
        self._args = args

    def cancel(self) -> None:
        """Never fire."""
        self._fire = None
        self._args = ()

    def _run(self) -> None:
        fire, args = self._fire, self._args
        self.cancel()
        if fire is not None:
            fire(*args)


class Wheel:
    """Fires callbacks when their time has come; at most :data:`TICK` late, never early."""

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        """``monotonic``: seconds that never go back. ``wall``: seconds since the Unix epoch."""
        self._monotonic, self._wall = monotonic, wall
        self._set()
        self._slots: dict[int, list[Timer]] = {}
        self._turned = int(self.now / TICK)

    def refresh(self) -> None:
        """Bring ``now`` and ``time_ms`` up to date: once per chunk from a socket, not once per look."""
        self.now = now = self._monotonic()
        self.time_ms = int((now + self._offset) * 1000)

    def _set(self) -> None:
        """Take over the wall clock, which may have been set, once a tick."""
        self._offset = self._wall() - self._monotonic()
        self.refresh()

    def after(self, seconds: float, fire: Callable[[*Ts], None], *args: *Ts) -> Timer:
        """Call ``fire(*args)`` in ``seconds``."""
        timer = Timer(fire, args)
        slot = max(int((self.now + seconds) / TICK) + 1, self._turned + 1)
        self._slots.setdefault(slot, []).append(timer)
        return timer

    def advance(self) -> None:
        """Fire what is due by now, in order of slots."""
        self._set()
        target = int(self.now / TICK)
        while self._turned < target:
            self._turned += 1
            for timer in self._slots.pop(self._turned, ()):
                try:
                    timer._run()
                except Exception:
                    # One timer that fails must not end the keepalive of all other connections.
                    log.exception("timer.failed")
