"""The clock of one process and its timers. The time sources are passed in.

One wheel serves every charger: keepalive, handshakes, deadlines of questions. A timer costs a list append; a
cancelled one is skipped when its slot is due.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVarTuple

import structlog

from voltgate._core import Now

log = structlog.get_logger()

Ts = TypeVarTuple("Ts")

TICK = 0.05  # seconds; how late a timer may fire


def later(seconds: float, fire: Callable[[], None]) -> asyncio.TimerHandle:
    """Call ``fire`` in ``seconds`` by the running loop: for what cannot wait for a tick of the wheel."""
    return asyncio.get_running_loop().call_later(seconds, fire)


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


class Wheel(Now):
    """Fires callbacks when they are due: at most :data:`TICK` late, never early."""

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        """``monotonic``: seconds that never go back. ``wall``: seconds since the Unix epoch."""
        del monotonic, wall
        self._slots: dict[int, list[Timer]] = {}
        self._turned = int(self.now / TICK)

    def after(self, seconds: float, fire: Callable[[*Ts], None], *args: *Ts) -> Timer:
        """Call ``fire(*args)`` in ``seconds``."""
        timer = Timer(fire, args)
        slot = max(int((self.now + seconds) / TICK) + 1, self._turned + 1)
        self._slots.setdefault(slot, []).append(timer)
        return timer

    def advance(self) -> None:
        """Fire all due timers, in order of slots."""
        self.follow()
        target = int(self.now / TICK)
        while self._turned < target:
            self._turned += 1
            for timer in self._slots.pop(self._turned, ()):
                try:
                    timer._run()
                except Exception:
                    # A failing timer must not stop the keepalive of all other connections.
                    log.exception("timer.failed")
