"""The links of the other gateways, followed from the start: which charger is connected where
(docs/contract.md 3.6).

A charger that is up in two places belongs to the higher epoch, in whatever order the gateways learn of it.
"""

from collections.abc import Callable
from typing import Protocol

import orjson

from voltgate import _core
from voltgate.gateway.bus.follow import Feed
from voltgate.gateway.cluster.link import is_name
from voltgate.gateway.cluster.links import Heard
from voltgate.gateway.interfaces import Garbage, PeerLink, Stored


class Local(Protocol):
    """The chargers connected here, as far as the links of others are concerned."""

    def heard(self, token: str, heard: Heard) -> None:
        """A charger's last link, wherever it is connected."""

    def changed_hands(self, identity: str) -> None:
        """Another gateway took the charger over."""

    def links_lost(self) -> None:
        """The stream is a new one: it holds no links, and earlier epochs mean nothing."""


class Peers:
    """See the module; 300 B for each charger that is not ours. ``links`` is the whole of ``OCPP_LINKS``."""

    def __init__(
        self, links: Feed, gateway: str, local: Local, garbage: Callable[[Garbage, str], None]
    ) -> None:
        self.gateway = gateway
        """Our own name."""
        self._feed, self._local, self._garbage = links, local, garbage
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

    def read_anew(self) -> None:
        """The stream was restored from a backup: what was read of it means nothing."""
        self._feed.read_anew()

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
            session = gateway = None
        if not (is_name(session) and is_name(gateway)):  # not written by a gateway
            self._garbage("link", f"the link of {token}")
            return
        if state not in ("up", "down"):
            return  # a newer release's: it disconnects no charger
        up, ours = state == "up", gateway == self.gateway
        if up and not ours:
            self._links[token] = PeerLink(stored.seq, session, gateway)
            self._named.add(gateway)
            if link.get("replaces"):
                self._local.changed_hands(identity)
        else:
            self._links.pop(token, None)
        self._local.heard(token, Heard(stored.seq, up, session, ours))
