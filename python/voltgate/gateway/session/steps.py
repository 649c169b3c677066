"""Steps that the bus or the clock takes in a session: not in a closed one, and with no fault that spreads."""

from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar


class Guarded(Protocol):
    """Whose steps are guarded."""

    closed: bool

    def failed(self) -> None:
        """End it: a fault of ours is never the charger's, and costs nobody else anything."""


S = TypeVar("S", bound=Guarded)
T = TypeVar("T")
R = TypeVar("R")


def guarded(step: Callable[[S, T, R], None]) -> Callable[[S, T, R], None]:
    """``step(self, what, result)``, skipped where ``self.closed``; an exception ends ``self``."""

    @wraps(step)
    def guarded_step(self: S, what: T, result: R) -> None:
        if self.closed:
            return
        try:
            step(self, what, result)
        except Exception:
            self.failed()

    return guarded_step
