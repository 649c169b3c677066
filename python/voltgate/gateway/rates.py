"""How many refused frames of one charger are stored. Numbers in, numbers out."""

from collections import deque

from voltgate.config import Limits


class RejectRate:
    """At most ``limits.rejects_per_minute`` in any minute; all others are only counted (CONTRACT 3.2)."""

    __slots__ = ("_limit", "_times")

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.rejects_per_minute
        self._times: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Whether one more may be stored at ``now``."""
        while self._times and now - self._times[0] >= 60:
            self._times.popleft()
        if len(self._times) >= self._limit:
            return False
        self._times.append(now)
        return True
