"""Who holds which charger beside us: the links of the other gateways, followed from the start (CONTRACT 3.6).

A charger that is up in two places belongs to the higher epoch, whoever learns of it when.
"""

from collections.abc import Callable
from typing import Protocol

import orjson

from voltgate import _core
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.follow import Follow
from voltgate.gateway.interfaces import Clock, Held, Stored


class Told(Protocol):
    """Who holds chargers here."""

    def moved(self, identity: str, held: Held) -> None:
        """The charger came up at another gateway."""

    def set_down(self, identity: str, session: str, seq: int) -> None:
        """A link was set down by a message of sequence ``seq``; it may be one of ours that stands."""

    def changed_hands(self, identity: str) -> None:
        """Another gateway took the charger over from somebody."""

    def links_lost(self) -> None:
        """The stream was made anew: no link stands in it, and no epoch of before means anything."""


class Elsewhere:
    """See the module; some 300 B for each charger that is not ours."""

    def __init__(self, bus: Bus, clock: Clock, stream: str, gateway: str, told: Told) -> None:
        self._gateway, self._told = gateway, told
        self._follow = Follow(bus, clock, stream, self._heard, whole=True)
        self._follow.on_anew = self._begin_anew
        self._held: dict[str, Held] = {}
        self.on_gateway: Callable[[str], None] = lambda gateway: None

    async def run(self) -> None:
        """Follow the links for the life of the process."""
        await self._follow.run()

    async def loaded(self) -> None:
        """Until all that stood before the start is known."""
        await self._follow.caught_up.wait()

    @property
    def keeps_up(self) -> bool:
        """Whether nothing is missing here, but for what is on its way."""
        return self._follow.caught_up.is_set() and self._follow.keeps_up

    def find(self, token: str) -> Held | None:
        """Where else the charger is."""
        return self._held.get(token)

    def of(self, gateway: str) -> list[tuple[str, Held]]:
        """What ``gateway`` holds, by token."""
        return [(token, held) for token, held in self._held.items() if held.gateway == gateway]

    def forget(self, token: str, held: Held) -> None:
        """``held`` stands no more."""
        if self._held.get(token) is held:
            del self._held[token]

    def _begin_anew(self) -> None:
        self._held.clear()
        self._told.links_lost()

    def _heard(self, subject: str, stored: Stored) -> None:
        token = subject.rpartition(".")[2]
        try:
            identity, link = _core.identity(token), orjson.loads(stored.data)
            state, session, gateway = link["state"], link["session"], link["gateway"]
        except (ValueError, KeyError, TypeError):
            return  # written by no gateway
        if not (isinstance(session, str) and isinstance(gateway, str)):
            return
        if state == "up":
            if gateway == self._gateway:
                self._held.pop(token, None)
                return
            self._held[token] = held = Held(stored.seq, session, gateway)
            self.on_gateway(gateway)
            if link.get("replaces"):
                self._told.changed_hands(identity)
            self._told.moved(identity, held)
        elif state == "down":  # another state is a later release's, and takes no charger from anybody
            self._held.pop(token, None)
            self._told.set_down(identity, session, stored.seq)
