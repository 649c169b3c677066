"""The links of the other gateways, followed from the start: which charger is connected where
(docs/contract.md 3.6).

A charger that is up in two places belongs to the higher epoch, in whatever order the gateways learn of it.
"""

from typing import Protocol

import orjson

from voltgate import _core
from voltgate.gateway.bus.follow import Feed
from voltgate.gateway.interfaces import PeerLink, Stored


class Local(Protocol):
    """The chargers connected here, as far as the links of others are concerned."""

    def moved(self, identity: str, link: PeerLink) -> None:
        """The charger came up at another gateway."""

    def marked_down(self, identity: str, session: str, seq: int) -> None:
        """A message of sequence ``seq`` marked a link as down; it may be one of ours that is still open."""

    def changed_hands(self, identity: str) -> None:
        """Another gateway took the charger over."""

    def links_lost(self) -> None:
        """The stream is a new one: it holds no links, and earlier epochs mean nothing."""


class Peers:
    """See the module; 300 B for each charger that is not ours. ``links`` is the whole of ``OCPP_LINKS``."""

    def __init__(self, links: Feed, gateway: str, local: Local) -> None:
        self.gateway = gateway
        """Our own name."""
        self._feed, self._local = links, local
        self._links: dict[str, PeerLink] = {}
        self._named: set[str] = set()
        links.listen(self._received, self._begin_anew)

    async def run(self) -> None:
        """Follow the links for the life of the process."""
        await self._feed.run()

    async def loaded(self) -> None:
        """Wait until all links from before the start are known."""
        await self._feed.caught_up.wait()

    @property
    def keeps_up(self) -> bool:
        """Whether every link is known here, except for messages on their way."""
        return self._feed.caught_up.is_set() and self._feed.keeps_up

    def find(self, token: str) -> PeerLink | None:
        """The charger's link at another gateway."""
        return self._links.get(token)

    def of(self, gateway: str) -> list[tuple[str, PeerLink]]:
        """The links of ``gateway``, by token."""
        return [(token, link) for token, link in self._links.items() if link.gateway == gateway]

    def named(self) -> set[str]:
        """The gateways whose links came since the last call."""
        named, self._named = self._named, set()
        return named

    def forget(self, token: str, link: PeerLink) -> None:
        """``link`` is down."""
        if self._links.get(token) is link:
            del self._links[token]

    def _begin_anew(self) -> None:
        self._links.clear()
        self._local.links_lost()

    def _received(self, subject: str, stored: Stored) -> None:
        token = subject.rpartition(".")[2]
        try:
            identity, link = _core.identity(token), orjson.loads(stored.data)
            state, session, gateway = link["state"], link["session"], link["gateway"]
        except (ValueError, KeyError, TypeError):
            return  # not written by a gateway
        if not (isinstance(session, str) and isinstance(gateway, str)):
            return
        if state == "up":
            if gateway == self.gateway:
                self._links.pop(token, None)
                return
            self._links[token] = peer_link = PeerLink(stored.seq, session, gateway)
            self._named.add(gateway)
            if link.get("replaces"):
                self._local.changed_hands(identity)
            self._local.moved(identity, peer_link)
        elif state == "down":  # any other state is a newer release's, and disconnects nobody
            self._links.pop(token, None)
            self._local.marked_down(identity, session, stored.seq)
