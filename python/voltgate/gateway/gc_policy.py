"""Memory of a worker: what is collected.

Connections form no reference cycles, so long-lived objects are not rescanned.
"""

import gc
import time

from voltgate import allocator
from voltgate.gateway.telemetry.metrics import Metrics

_FREEZE_EVERY = 50  # chargers; at 1,000 a pause of 100 ms was seen in a storm of logins


class GcPolicy:
    """Collects rarely, and records each pause as a metric."""

    def __init__(self, metrics: Metrics) -> None:
        self._pauses = [metrics.gc_pause.cell(str(generation)) for generation in range(3)]
        self._began = 0.0
        self._frozen_at = 0

    def start(self) -> None:
        """Exclude all existing objects from scans, and scan the rest rarely."""
        allocator.keep_little()
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 50, 100)
        gc.callbacks.append(self._watch)

    def grown(self, chargers: int) -> None:
        """One more charger is connected."""
        if chargers >= self._frozen_at + _FREEZE_EVERY:
            gc.collect(1)
            gc.freeze()
            self._frozen_at = chargers

    def stop(self) -> None:
        """Stop measuring."""
        if self._watch in gc.callbacks:
            gc.callbacks.remove(self._watch)

    def _watch(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._pauses[info["generation"]].observe(time.perf_counter() - self._began)
