"""How many sockets a listener accepts: a token bucket for all of them, and one for each source.

The first bound that a socket meets, before TLS costs anything: beyond it the socket is reset without an
answer. Behind a load balancer the source is the charger, whose address is known after the PROXY header.
"""

from collections.abc import Callable
from enum import Enum

from voltgate.gateway.edge.socket import Shared
from voltgate.gateway.rates import Bucket, entry, source_of

SOURCES = 20_000  # with a bucket of their own; beyond it newcomers share one


class Overrun(Enum):
    """The bound that a socket was beyond; ``name.lower()`` is its ``result``."""

    ACCEPTS = "limits.accepts_per_second"
    SOURCE_ACCEPTS = "limits.source_accepts_per_second"

    @property
    def label(self) -> str:
        """The ``result`` label of ``voltgate_handshakes_total``."""
        return self.name.lower()


class Accepts:
    """Of one listener. ``proxied``: the source is not known at the accept."""

    def __init__(self, shared: Shared, proxied: bool, turned_away: Callable[[Overrun, str], None]) -> None:
        self._shared, self._proxied, self._turned_away = shared, proxied, turned_away
        self._all, self._rest = Bucket(), Bucket()
        self._sources: dict[str, Bucket] = {}

    def accept(self, peer: str) -> bool:
        """Whether a socket of ``peer`` may stay; else it is counted."""
        limits = self._shared.limits
        if not self._all.take(self._shared.clock.now, limits.accepts_per_second, limits.accepts_burst):
            self._turned_away(Overrun.ACCEPTS, peer)
            return False
        return self._proxied or self.name(peer)

    def name(self, peer: str) -> bool:
        """The same of its source, as soon as ``peer`` is the charger."""
        limits = self._shared.limits
        rate, burst = limits.source_accepts_per_second, limits.source_accepts_burst
        if self._of(source_of(peer), rate, burst).take(self._shared.clock.now, rate, burst):
            return True
        self._turned_away(Overrun.SOURCE_ACCEPTS, peer)
        return False

    def _of(self, source: str, rate: float, burst: float) -> Bucket:
        now = self._shared.clock.now
        found = entry(self._sources, source, SOURCES, lambda one: one.is_full(now, rate, burst), Bucket)
        return found or self._rest
