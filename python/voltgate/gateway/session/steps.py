"""Callbacks from the bus or the clock into a session: skipped once it is closed, and no fault spreads."""

from collections.abc import Callable
from functools import wraps
from typing import Protocol, TypeVar


class Guarded(Protocol):
    """An object whose callbacks are guarded."""

    @property
    def closed(self) -> bool:
        """Whether results no longer matter."""

    def failed(self) -> None:
        """End it after an exception: a fault of ours must not reach other chargers."""


S = TypeVar("S", bound=Guarded)
T = TypeVar("T")
R = TypeVar("R")


def guarded(step: Callable[[S, T, R], None]) -> Callable[[S, T, R], None]:
    """``step(self, what, result)``, skipped if ``self.closed``; an exception ends ``self``."""

    @wraps(step)
    def guarded_step(self: S, what: T, result: R) -> None:
        if self.closed:
            return
        try:
            step(self, what, result)
        except Exception:
            self.failed()

    return guarded_step
