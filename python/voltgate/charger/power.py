"""The power that a simulated charger may take: limits of its connectors (0: of the whole charger)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

RATED_W = 22_000.0  # of a place without a limit


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one place, until a time."""

    profile: int
    watts: float
    until: datetime | None = None

    @property
    def valid(self) -> bool:
        """Whether its time is not over."""
        return self.until is None or datetime.now(UTC) < self.until


def allowed(limits: Mapping[int, Limit], place: int) -> float:
    """Watts of a place by its own limit; infinite without a valid one."""
    found = limits.get(place)
    return found.watts if found is not None and found.valid else inf
