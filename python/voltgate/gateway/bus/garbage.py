"""What comes from NATS and is not what it should be: counted by kind, and logged now and then.

Anybody with a NATS user can publish something; what is wrong with it is neither a traceback nor a line each.
"""

from typing import get_args

import structlog

from voltgate.gateway.interfaces import Clock
from voltgate.gateway.interfaces import Garbage as Kind
from voltgate.gateway.telemetry.metrics import Metrics

log = structlog.get_logger()

EVERY = 60.0  # seconds between two lines about one kind
_CUT = 200


class Garbage:
    """Counts ``voltgate_bus_garbage_total{kind}``."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._silent_until: dict[Kind, float] = {}
        for kind in get_args(Kind):
            metrics.bus_garbage.cell(kind)

    def __call__(self, kind: Kind, what: str) -> None:
        """One message; ``what``: where it came, or what is wrong with it."""
        self._metrics.bus_garbage.add(kind)
        now = self._clock.now
        if self._silent_until.get(kind, 0.0) <= now:
            self._silent_until[kind] = now + EVERY
            log.warning("message.refused", kind=kind, error=what[:_CUT])
