"""How many refused frames of one charger are stored. Numbers in, numbers out."""

from collections import deque


class RejectRate:
    """At most so many in any minute; all others are only counted (CONTRACT 3.2)."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def take(self, now: float, limit: int) -> bool:
        """Whether one more may be stored at ``now``; ``limit``: ``limits.rejects_per_minute`` now."""
        while self._times and now - self._times[0] >= 60:
            self._times.popleft()
        if len(self._times) >= limit:
            return False
        self._times.append(now)
        return True
