"""How much of a thread's time one kind of work may take, where it must not put another behind."""

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


class Share:
    """``part``: of all time, in seconds a second; ``burst``: seconds at once after a rest."""

    def __init__(self, part: float, burst: float, now: Callable[[], float] = perf_counter) -> None:
        self._part, self._burst, self._now = part, burst, now
        self._left, self._at = burst, now()

    def has(self) -> bool:
        """Whether anything is left."""
        at = self._now()
        self._left = min(self._burst, self._left + (at - self._at) * self._part)
        self._at = at
        return self._left > 0

    def spend(self, work: Callable[[], T]) -> T:
        """Do this on the account of the share."""
        began = self._now()
        try:
            return work()
        finally:
            self._left -= self._now() - began
