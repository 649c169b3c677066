"""What waits to be written to NATS, and when it is: each write costs both sides 8 to 15 us.

    idle --add--> DUE --take--> idle    nothing was written in the last millisecond
         --add--> HELD --1 ms, or 32 KiB--> DUE --take--> idle    something was

The first write leaves at once, so a charger that waits for its answer waits no longer. No loop, no NATS and
no clock are in here: time and timer are arguments.
"""

from collections.abc import Callable

from voltgate.gateway.interfaces import Timer

EVERY = 0.001  # seconds between two writes, at least
AT_ONCE = 32 * 1024  # bytes that do not wait


class Outbox:
    """Joins commands to one write; ``due()`` is called when it is time to :meth:`take` them."""

    __slots__ = ("_due", "_is_due", "_later", "_now", "_parts", "_taken_at", "_timer", "size")

    def __init__(
        self,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Timer],
        due: Callable[[], None],
    ) -> None:
        """``now``: monotonic seconds; ``later``: calls back in that many seconds."""
        self._now, self._later, self._due = now, later, due
        self._parts: list[bytes] = []
        self.size = 0
        """Bytes that wait."""
        self._taken_at = -EVERY
        self._timer: Timer | None = None
        self._is_due = False

    def add(self, part: bytes) -> None:
        """One more command, whole."""
        self._parts.append(part)
        self.size += len(part)
        if self._is_due:
            return
        if self.size >= AT_ONCE or (self._timer is None and self._now() - self._taken_at >= EVERY):
            self._fire()
        elif self._timer is None:
            self._timer = self._later(EVERY, self._fire)

    def _fire(self) -> None:
        self._stop_timer()
        self._is_due = True
        self._due()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> bytes:
        """All that waits, as one block; may be called at any time."""
        self._stop_timer()
        parts, self._parts, self.size, self._is_due = self._parts, [], 0, False
        self._taken_at = self._now()
        return b"".join(parts)
