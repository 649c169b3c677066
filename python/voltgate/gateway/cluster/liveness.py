"""Which gateways are alive. Any surviving gateway marks a dead gateway's links as down (docs/contract.md
3.6).

Each gateway stores a sign of life every five seconds; after fifteen seconds without one it counts as dead.
All times are those of the server that stored the signs, so no gateway's clock matters. A gateway judges
others only while its own last sign has just come back through the same stream: one that was frozen knows
nothing.
"""

import re
from collections import deque

import structlog

from voltgate import _core
from voltgate.gateway.bus.follow import Feed
from voltgate.gateway.cluster.links import Links
from voltgate.gateway.cluster.peers import Peers
from voltgate.gateway.interfaces import Bus, Clock, NotRead, PeerLink, Stored

log = structlog.get_logger()

DEAD_AFTER = 15.0
FRESH = 7.0  # our own sign comes every 5 s
SWEEP = 1.0
PATIENCE = 2.0  # seconds the first of the living gateways has before the others do its work
_LEAVING = 2.0  # seconds for the last links of a gateway that removed its key itself
_AT_ONCE = 64  # links that are being marked down at a time

# The name of a gateway comes from whoever wrote its links: a wildcard would purge the signs of all.
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}")


class Liveness:
    """See the module. ``signs`` is the whole of the bucket ``ocpp_gateways``."""

    def __init__(self, signs: Feed, bus: Bus, clock: Clock, peers: Peers, links: Links) -> None:
        self._signs, self._bus, self._clock, self._peers, self._links = signs, bus, clock, peers, links
        self._prefix = f"$KV.{signs.stream.removeprefix('KV_')}."
        self._seen: dict[str, float] = {}  # the last sign of each gateway
        self._left: set[str] = set()  # those of them that removed their key themselves
        self._own_sign = self._own_received = 0.0
        self._to_mark: deque[tuple[str, PeerLink]] = deque()
        self._busy = 0
        signs.listen(self._received)
        clock.after(SWEEP, self._sweep)

    async def run(self) -> None:
        """Follow the signs of life, for the life of the process."""
        await self._signs.run()

    def _received(self, subject: str, stored: Stored) -> None:
        gateway = subject.removeprefix(self._prefix)
        if "KV-Operation" in stored.headers:  # it has marked its links down itself
            self._seen[gateway] = stored.at - DEAD_AFTER + _LEAVING
            self._left.add(gateway)
        else:
            self._seen[gateway] = stored.at
            self._left.discard(gateway)
        if gateway == self._peers.gateway:
            self._own_sign, self._own_received = stored.at, self._clock.now

    @property
    def _now(self) -> float:
        """The server's time."""
        return self._own_sign + self._clock.now - self._own_received if self._own_sign else 0.0

    def _sweep(self) -> None:
        self._clock.after(SWEEP, self._sweep)
        for gateway in self._peers.named():  # without any sign so far: its time begins now
            self._seen.setdefault(gateway, self._now)
        fresh = self._own_sign and self._clock.now - self._own_received < FRESH
        if not fresh or self._busy or not (self._signs.keeps_up and self._peers.keeps_up):
            return
        own, dead_since = self._peers.gateway, self._now - DEAD_AFTER
        others = [(name, seen) for name, seen in self._seen.items() if name != own]
        first = all(own < name for name, seen in others if seen > dead_since)
        if not first:
            dead_since -= PATIENCE
        for gateway in [name for name, seen in others if seen <= dead_since]:
            self._dead(gateway)

    def _dead(self, gateway: str) -> None:
        links = self._peers.of(gateway)
        if links:
            log.warning("peer.dead", gateway=gateway, links=len(links))
            self._to_mark.extend(links)
            self._mark_down()
            return
        del self._seen[gateway]
        if gateway in self._left:
            self._left.discard(gateway)
        elif _KEY.fullmatch(gateway):
            purge = [("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")]
            self._bus.emit(_core.publish(self._prefix + gateway, "", purge, b""))

    def _mark_down(self) -> None:
        """A few at a time."""
        while self._to_mark and self._busy < _AT_ONCE:
            self._busy += 1
            token, link = self._to_mark.popleft()
            self._links.mark_down(token, link.epoch, self._marked, (token, link))

    def _marked(self, dead: tuple[str, PeerLink], stored: Stored | NotRead) -> None:
        self._busy -= 1
        if stored is not NotRead.UNREADABLE:  # else the next sweep tries again
            self._peers.forget(*dead)
        self._mark_down()
