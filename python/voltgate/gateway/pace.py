"""How much one charger may say: CALLs per second, refused frames per minute. Numbers in, numbers out."""

from collections import deque

from voltgate.config import Limits


class CallRate:
    """A token bucket: ``limits.calls_per_second`` with a burst (CONTRACT 2.2)."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, limits: Limits, now: float) -> None:
        self._rate, self._burst = limits.calls_per_second, float(limits.calls_burst)
        self._tokens, self._at = self._burst, now

    def take(self, now: float) -> float:
        """Count one frame; how many seconds the socket should rest after it, 0 for none."""
        self._tokens = min(self._tokens + (now - self._at) * self._rate, self._burst) - 1
        self._at = now
        return max(-self._tokens / self._rate, 0.0)


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
