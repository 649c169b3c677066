"""Rate limits of one charger and of the process. Numbers in, numbers out: time and limits are arguments."""

import math
from collections import deque


class RejectRate:
    """At most so many in any minute; all others are only counted (docs/contract.md 3.2)."""

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


class HandshakeRate:
    """``limits.handshakes_per_second`` over the whole process, with a burst of one second."""

    __slots__ = ("_at", "_tokens")

    def __init__(self) -> None:
        self._tokens, self._at = math.inf, 0.0

    def take(self, now: float, per_second: float) -> bool:
        """Whether one more may be answered at ``now``."""
        self._tokens = min(self._tokens + (now - self._at) * per_second, max(per_second, 1.0))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
