"""How often a source may fail to show who it is. What is valid is never refused: nobody locks out another."""

from collections import OrderedDict
from collections.abc import Callable

PER_MINUTE = 10
SOURCES = 10_000


class Attempts:
    """Failures of each source within a minute; ``now``: seconds of a clock that never goes back."""

    def __init__(self, now: Callable[[], float], most: int = PER_MINUTE, sources: int = SOURCES) -> None:
        self._now, self._most, self._sources = now, most, sources
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()  # source -> (since, failures)

    def spent(self, source: str) -> bool:
        """Whether the next one that fails has to wait."""
        return self._counted(source)[1] >= self._most

    def failed(self, source: str) -> int:
        """Count one. The seconds to wait, 0 while the source may try again at once."""
        since, failures = self._counted(source)
        self._failures[source] = since, failures + 1
        self._failures.move_to_end(source)
        if len(self._failures) > self._sources:
            self._failures.popitem(last=False)
        return 0 if failures < self._most else max(1, round(60 - (self._now() - since)))

    def _counted(self, source: str) -> tuple[float, int]:
        """Since when, and how many within a minute."""
        now = self._now()
        since, failures = self._failures.get(source, (now, 0))
        return (since, failures) if now - since < 60 else (now, 0)
