"""Links: who is online. An ``up`` and a ``down`` per connection in ``OCPP_LINKS`` (CONTRACT 3.6).

The sequence of the ``up`` is the connection's epoch; ``down`` is written only where no newer ``up`` stands
after it, so a superseded connection can never mark its successor as offline. What is written a second time is
written behind what was read, and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from voltgate import _core
from voltgate.gateway.interfaces import Ack, Bus, Clock, NotRead, NotStored, Stored
from voltgate.gateway.registry.record import is_identity

AGAIN = 5.0  # seconds until a fact the bus did not take is written again
_UP = "ocpp.link.up"


@dataclass(slots=True)
class LinkFact:
    """One connection's facts; ``epoch`` is known once ``up`` is stored."""

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
    on_up: Callable[[], None] | None = None
    """Called once, when the ``up`` is stored and the connection still stands."""
    on_superseded: Callable[[], None] | None = None
    """Called when a newer connection of this charger was found instead."""
    facts: int = 0

    @classmethod
    def parse(cls, token: str, stored: Stored) -> "LinkFact | None":
        """The link of an ``up`` read back; None for what is none. Only what ownership hangs on must be there.

        What says more about it is as its gateway, maybe of another release, has told it.
        """
        try:
            identity, link = _core.identity(token), orjson.loads(stored.data)
            state, session, gateway = link["state"], link["session"], link["gateway"]
        except (ValueError, KeyError, TypeError):
            return None
        if state != "up" or not (isinstance(session, str) and isinstance(gateway, str)):
            return None
        if not is_identity(identity):
            return None  # NATS ends the connection of who publishes to a subject beyond its bounds
        version, remote = link.get("version", ""), link.get("remote", "")
        replaces, profile = link.get("replaces"), link.get("security_profile", 0)
        return cls(identity, token, version, session, remote, replaces, profile, gateway, stored.seq)


class Links:
    """Writes the link facts of one process, again and again until the bus has taken them."""

    def __init__(self, bus: Bus, clock: Clock, prefix: str, stream: str) -> None:
        self._bus, self._clock, self._prefix, self._stream = bus, clock, prefix, stream
        # By token, so that no outage makes it longer than there are chargers.
        self._owed: dict[str, LinkFact] = {}
        self._waiting = False

    def up(self, link: LinkFact) -> None:
        """Store the ``up``; the epoch comes with its PubAck."""
        self._write(link, "up", None, _behind(link.behind), self._up_stored)

    def up_again(self, link: LinkFact, seq: int) -> None:
        """Somebody believed this gateway dead and wrote the ``down`` at ``seq``: it stands all the same."""
        link.behind, link.epoch, link.replaces = seq, None, None
        self.up(link)

    def down(self, link: LinkFact, reason: str) -> None:
        """Store the ``down``, at once or as soon as the epoch is known."""
        link.ended = reason
        if link.epoch is not None:
            self._write(link, "down", reason, _behind(link.epoch), self._down_stored)

    def _up_stored(self, link: LinkFact, ack: Ack | NotStored) -> None:
        if not isinstance(ack, Ack):
            if ack is NotStored.UNKNOWN or link.behind is None:
                self._owe(link)
            else:
                self._superseded(link)
            return
        link.epoch, link.behind = ack.seq, None
        on_up, link.on_up = link.on_up, None
        if link.ended:
            self.down(link, link.ended)
        elif on_up is not None:
            on_up()

    def _down_stored(self, link: LinkFact, ack: Ack | NotStored) -> None:
        # Refused is as good as stored: a newer connection stands behind our epoch.
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
        """Write what the bus did not take."""
        self._waiting = False
        owed, self._owed = self._owed, {}
        for link in owed.values():
            if link.epoch is not None:
                self.down(link, link.ended)
            else:
                # Its `up` may be stored or not: a blind second one could hide a newer connection's.
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
        """Somebody newer stands where its ``up`` was to be."""
        if not link.ended and link.on_superseded is not None:
            link.on_superseded()

    def _write(
        self, link: LinkFact, state: str, reason: str | None, headers: tuple[tuple[str, str], ...], done: Any
    ) -> None:
        link.facts += 1
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
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
        events = (
            ("ce-specversion", "1.0"),
            ("ce-id", f"{link.session}/{state}-{link.facts}"),
            ("ce-source", f"/chargers/{link.token}"),
            ("ce-type", _UP if state == "up" else "ocpp.link.down"),
            ("ce-subject", link.identity),
            ("ce-time", at),
            ("ce-datacontenttype", "application/json"),
            ("ocpp-session", link.session),
        )
        ticket = self._bus.ticket(done, link)
        subject = f"{self._prefix}.link.{link.token}"
        self._bus.store(ticket, _core.publish(subject, ticket.reply, [*events, *headers], orjson.dumps(body)))


def _behind(seq: int | None) -> tuple[tuple[str, str], ...]:
    """Only where the charger's last link is the one at ``seq`` (0: where it has none)."""
    return () if seq is None else (("Nats-Expected-Last-Subject-Sequence", str(seq)),)


def _is_up(stored: Stored | None) -> bool:
    return stored is not None and stored.headers.get("ce-type") == _UP
