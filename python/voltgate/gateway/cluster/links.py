"""Links: which chargers are online. An ``up`` and a ``down`` per connection in ``OCPP_LINKS``
(docs/contract.md 3.6).

The sequence of the ``up`` is the connection's epoch. A ``down`` is written only directly behind its own
``up``, so a superseded connection can never mark its successor as offline. Every rewrite is conditional on
the last sequence read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from voltgate import _core
from voltgate.gateway import cloudevents
from voltgate.gateway.interfaces import Ack, Bus, Clock, NotRead, NotStored, Stored
from voltgate.gateway.registry.record import is_identity

AGAIN = 5.0  # seconds until a fact that was not stored is written again
_UP = "ocpp.link.up"


@dataclass(slots=True)
class LinkFact:
    """The facts of one connection; ``epoch`` is known once ``up`` is stored."""

    identity: str
    token: str
    version: str
    session: str
    remote: str
    replaces: str | None
    security_profile: int
    gateway: str
    epoch: int | None = None
    behind: int | None = None
    """The sequence its next ``up`` must follow directly, where that matters."""
    ended: str = ""
    announced: bool = False
    """Whether the first ``up`` was stored while the connection was open."""
    facts: int = 0

    @classmethod
    def parse(cls, token: str, stored: Stored) -> "LinkFact | None":
        """The link of an ``up`` read back; None where it is not one. Requires only what ownership depends on.

        The other fields are passed on as another gateway, maybe of another release, wrote them.
        """
        try:
            identity, link = _core.identity(token), orjson.loads(stored.data)
            state, session, gateway = link["state"], link["session"], link["gateway"]
        except (ValueError, KeyError, TypeError):
            return None
        if state != "up" or not (isinstance(session, str) and isinstance(gateway, str)):
            return None
        if not is_identity(identity):
            return None  # NATS disconnects a client that publishes to a subject beyond its bounds
        version, remote = link.get("version", ""), link.get("remote", "")
        replaces, profile = link.get("replaces"), link.get("security_profile", 0)
        return cls(identity, token, version, session, remote, replaces, profile, gateway, stored.seq)


class Connected(Protocol):
    """The chargers connected here, as far as their links are concerned."""

    def link_stored(self, link: LinkFact) -> None:
        """Once per link: its ``up`` is stored, and its connection has not ended."""

    def link_superseded(self, link: LinkFact) -> None:
        """A newer link of the charger was found where its ``up`` was to be."""


class Links:
    """Writes the link facts of one process, again and again until they are stored."""

    def __init__(self, bus: Bus, clock: Clock, prefix: str, stream: str, connected: Connected) -> None:
        self._bus, self._clock, self._prefix, self._stream = bus, clock, prefix, stream
        self._connected = connected
        # By token: in an outage it grows to the number of chargers, no further.
        self._owed: dict[str, LinkFact] = {}
        self._waiting = False

    def up(self, link: LinkFact) -> None:
        """Store the ``up``; the epoch comes with its PubAck."""
        self._write(link, "up", None, link.behind, self._up_stored)

    def up_again(self, link: LinkFact, seq: int) -> None:
        """Another gateway considered this one dead and wrote the ``down`` at ``seq``: contradict it."""
        link.behind, link.epoch, link.replaces = seq, None, None
        self.up(link)

    def down(self, link: LinkFact, reason: str) -> None:
        """Store the ``down``, at once or as soon as the epoch is known."""
        link.ended = reason
        if link.epoch is not None:
            self._write(link, "down", reason, link.epoch, self._down_stored)

    def mark_down(
        self, token: str, epoch: int, done: Callable[[Any, Stored | NotRead], None], arg: Any
    ) -> None:
        """Write the ``down`` of a dead gateway's link; ``done(arg, its up)`` when that was read back."""

        def read(_: None, stored: Stored | NotRead) -> None:
            if isinstance(stored, Stored) and (link := LinkFact.parse(token, stored)) is not None:
                self.down(link, "gateway_lost")
            done(arg, stored)

        self._bus.read(self._stream, epoch, None, read, None)

    def _up_stored(self, link: LinkFact, ack: Ack | NotStored) -> None:
        if not isinstance(ack, Ack):
            if ack is NotStored.UNKNOWN or link.behind is None:
                self._owe(link)
            else:
                self._superseded(link)
            return
        link.epoch, link.behind = ack.seq, None
        if link.ended:
            self.down(link, link.ended)
        elif not link.announced:
            link.announced = True
            self._connected.link_stored(link)

    def _down_stored(self, link: LinkFact, ack: Ack | NotStored) -> None:
        # Refused is as good as stored: a newer link follows our epoch.
        if ack is NotStored.UNKNOWN:
            self._owe(link)

    def _owe(self, link: LinkFact) -> None:
        other = self._owed.get(link.token)
        if link.ended and other is not None and other is not link:
            return  # its successor is owed already, and hides it
        self._owed[link.token] = link
        if not self._waiting:
            self._waiting = True
            self._clock.after(AGAIN, self._settle)

    def _settle(self) -> None:
        """Write what was not stored."""
        self._waiting = False
        owed, self._owed = self._owed, {}
        for link in owed.values():
            if link.epoch is not None:
                self.down(link, link.ended)
            else:
                # Its `up` may be stored or not: an unconditional second one could hide a newer connection's.
                self._bus.read(self._stream, 0, f"{self._prefix}.link.{link.token}", self._last_read, link)

    def _last_read(self, link: LinkFact, stored: Stored | NotRead) -> None:
        if stored is NotRead.UNREADABLE:
            self._owe(link)
            return
        last = stored if isinstance(stored, Stored) else None
        session = last.headers.get("ocpp-session") if last is not None else None
        if last is not None and session == link.session and last.headers.get("ce-type") == _UP:
            self._up_stored(link, Ack(self._stream, last.seq, True))
        elif not link.ended and (session in (None, link.session, link.replaces) or not _is_up(last)):
            link.behind = last.seq if last is not None else 0
            self.up(link)
        else:
            self._superseded(link)

    def _superseded(self, link: LinkFact) -> None:
        if not link.ended:
            self._connected.link_superseded(link)

    def _write(
        self,
        link: LinkFact,
        state: str,
        reason: str | None,
        behind: int | None,
        done: Callable[[LinkFact, Ack | NotStored], None],
    ) -> None:
        """``behind``: stored only where the charger's last link has this sequence (0: where it has none)."""
        link.facts += 1
        at = cloudevents.time_text(self._clock.time_ms)
        body = {
            "state": state,
            "identity": link.identity,
            "version": link.version,
            "session": link.session,
            "replaces": link.replaces,
            "epoch": link.epoch,
            "gateway": link.gateway,
            "remote": link.remote,
            "security_profile": link.security_profile,
            "at": at,
            "reason": reason,
        }
        more = [("ocpp-session", link.session)]
        if behind is not None:
            more.append(("Nats-Expected-Last-Subject-Sequence", str(behind)))
        headers = cloudevents.headers(
            f"{link.session}/{state}-{link.facts}",
            f"chargers/{link.token}",
            _UP if state == "up" else "ocpp.link.down",
            at,
            identity=link.identity,
            extra=more,
        )
        ticket = self._bus.ticket(done, link)
        subject = f"{self._prefix}.link.{link.token}"
        self._bus.store(ticket, _core.publish(subject, ticket.reply, headers, orjson.dumps(body)))


def _is_up(stored: Stored | None) -> bool:
    return stored is not None and stored.headers.get("ce-type") == _UP
