"""The other gateways: who lives, and what a dead one leaves behind (CONTRACT 3.6).

Each gateway stores a sign of life every five seconds; one that has been silent for fifteen is dead, and its
links are set down by whoever notices. All times are those of the server that stored the signs, so nobody's
clock matters; and nobody is judged unless our own last sign has just come back through the same stream: a
process that was frozen itself knows nothing.
"""

import re
from collections import deque

import structlog

from voltgate import _core
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.follow import Follow
from voltgate.gateway.cluster.links import LinkFact, Links
from voltgate.gateway.cluster.peers import Elsewhere
from voltgate.gateway.interfaces import Clock, Held, NotRead, Stored

log = structlog.get_logger()

DEAD_AFTER = 15.0
FRESH = 7.0  # our own sign comes every 5 s
SWEEP = 1.0
PATIENCE = 2.0  # seconds the first of the living has before the others do its work
_LEAVING = 2.0  # seconds for the last links of a gateway that has said good-bye
_AT_ONCE = 64  # links that are being set down

# A gateway is named by whoever wrote its links: a wildcard would take away the signs of all.
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}")


class Neighbours:
    """See the module; :meth:`run` runs for the life of the process."""

    def __init__(
        self, outside: tuple[Bus, Clock], stream_prefix: str, gateway: str, elsewhere: Elsewhere, links: Links
    ) -> None:
        bucket = f"{stream_prefix.lower()}_gateways"
        self._bus, self._clock = bus, clock = outside
        self._gateway, self._elsewhere, self._links = gateway, elsewhere, links
        self._stream, self._prefix = f"{stream_prefix}_LINKS", f"$KV.{bucket}."
        self._follow = Follow(bus, clock, f"KV_{bucket}", self._heard, whole=True)
        self._seen: dict[str, float] = {}
        self._left: set[str] = set()  # of those, who has said good-bye
        self._own_sign = self._own_heard = 0.0
        self._to_set_down: deque[tuple[str, Held]] = deque()
        self._busy = 0
        elsewhere.on_gateway = self._named

    async def run(self) -> None:
        """Follow the signs of life."""
        self._clock.after(SWEEP, self._sweep)
        await self._follow.run()

    def _heard(self, subject: str, stored: Stored) -> None:
        gateway = subject.removeprefix(self._prefix)
        if "KV-Operation" in stored.headers:  # it has set its links down itself
            self._seen[gateway] = stored.at - DEAD_AFTER + _LEAVING
            self._left.add(gateway)
        else:
            self._seen[gateway] = stored.at
            self._left.discard(gateway)
        if gateway == self._gateway:
            self._own_sign, self._own_heard = stored.at, self._clock.now

    def _named(self, gateway: str) -> None:
        """A link names a gateway; if it has never given a sign, its time begins now."""
        self._seen.setdefault(gateway, self._now)

    @property
    def _now(self) -> float:
        """The server's time."""
        return self._own_sign + self._clock.now - self._own_heard if self._own_sign else 0.0

    def _sweep(self) -> None:
        self._clock.after(SWEEP, self._sweep)
        fresh = self._own_sign and self._clock.now - self._own_heard < FRESH
        if not fresh or self._busy or not (self._follow.keeps_up and self._elsewhere.keeps_up):
            return
        dead_since = self._now - DEAD_AFTER
        others = [(name, seen) for name, seen in self._seen.items() if name != self._gateway]
        first = all(self._gateway < name for name, seen in others if seen > dead_since)
        if not first:
            dead_since -= PATIENCE
        for gateway in [name for name, seen in others if seen <= dead_since]:
            self._bury(gateway)

    def _bury(self, gateway: str) -> None:
        left = self._elsewhere.of(gateway)
        if not left:
            del self._seen[gateway]
            if gateway in self._left:
                self._left.discard(gateway)
            elif _KEY.fullmatch(gateway):
                purge = [("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")]
                self._bus.emit(_core.publish(self._prefix + gateway, "", purge, b""))
            return
        log.warning("gateway.lost", lost=gateway, links=len(left))
        self._to_set_down.extend(left)
        self._set_down()

    def _set_down(self) -> None:
        """Some at a time: read each link back, and answer it with its ``down``."""
        while self._to_set_down and self._busy < _AT_ONCE:
            self._busy += 1
            token, held = self._to_set_down.popleft()
            self._bus.read(self._stream, held.epoch, None, self._read, (token, held))

    def _read(self, dead: tuple[str, Held], stored: Stored | NotRead) -> None:
        token, held = dead
        self._busy -= 1
        if isinstance(stored, Stored) and (link := LinkFact.parse(token, stored)) is not None:
            self._links.down(link, "gateway_lost")
        if stored is not NotRead.UNREADABLE:  # else it is tried again with the next sweep
            self._elsewhere.forget(token, held)
        self._set_down()
