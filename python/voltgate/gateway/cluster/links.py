"""Links: which chargers are online. An ``up`` and a ``down`` per connection in ``OCPP_LINKS``
(docs/contract.md 3.6).

The sequence of the ``up`` is the connection's epoch. A ``down`` is written only directly behind its own
``up``, so a superseded connection can never mark its successor as offline. What stands behind an epoch
decides:

1. an ``up`` or ``down`` of a session at another gateway: the session here is superseded
2. one of an earlier session of this process, or its own ``down``: ``up`` is written again, behind it
3. an ended session never writes ``up`` again; if one is stored after all, its ``down`` follows
4. a last link of this process whose session is not open here: its ``down`` is written

Every ``up`` but a session's first is conditional on the last sequence read or heard. The rules are
model-checked: tests/model/README.md.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import structlog

from voltgate.gateway.cluster.link import LinkFact
from voltgate.gateway.interfaces import Ack, Bus, Clock, NotRead, NotStored, Stored

log = structlog.get_logger()

AGAIN = 5.0  # seconds until a fact that was not stored is written again


class Heard(NamedTuple):
    """A message of the stream: ``ours`` if it is about a session of this process."""

    seq: int
    up: bool
    session: str
    ours: bool


class Connected(Protocol):
    """The chargers connected here, as far as their links are concerned."""

    def link_known(self, link: LinkFact, known: bool) -> None:
        """Its ``up`` is stored and its connection has not ended; or its ``up`` must be written again."""

    def link_superseded(self, link: LinkFact) -> None:
        """Another gateway has the charger."""

    def links_missing(self) -> None:
        """The stream does not hold what it acknowledged: it must be read anew."""


class Links:
    """Writes the link facts of one process, again and again until they are stored."""

    def __init__(self, bus: Bus, clock: Clock, prefix: str, stream: str, connected: Connected) -> None:
        self._bus, self._clock, self._prefix, self._stream = bus, clock, prefix, stream
        self._connected = connected
        self._held: dict[str, LinkFact] = {}  # by token: of the open sessions
        # By token, as all below: in an outage it grows to the number of chargers, no further.
        self._owed: dict[str, LinkFact] = {}
        self._unclaimed: dict[str, int] = {}  # last links, of ended sessions of this process
        self._pending: Counter[str] = Counter()  # publishes and reads without an answer
        self._waiting = False

    # -- of the sessions here --------------------------------------------------------------------------

    def up(self, link: LinkFact) -> None:
        """Store the first ``up`` of a session; the epoch comes with its PubAck."""
        self._held[link.token] = link
        self._unclaimed.pop(link.token, None)
        self._write_up(link)

    def end(self, link: LinkFact, reason: str, superseded: bool = False) -> None:
        """Store the ``down``, at once or as soon as the epoch is known; a superseded session needs none."""
        link.ended = reason
        if self._held.get(link.token) is link:
            del self._held[link.token]
        if link.epoch is not None and not superseded:
            self._write_down(link)

    def lost(self) -> None:
        """The stream is a new one, or was restored from a backup: it holds no links, or old ones."""
        self._unclaimed.clear()
        for link in list(self._held.values()):
            link.foreign = link.ours = link.stored = 0
            link.rolled_back = True
            if link.epoch is not None:  # else its `up` is on its way
                self._up_again(link, 0)

    def verify(self) -> None:
        """After an outage: whether the stream still holds what it acknowledged. See Connected.links_missing.

        A stream that was restored from a backup may have grown beyond what was read of it before, and nothing
        else shows it. The newest epoch is the first that a backup does not hold.
        """
        stored = [link for link in self._held.values() if link.epoch is not None]
        if stored:
            self._read_last(max(stored, key=lambda link: link.epoch or 0), self._verified)

    def _verified(self, link: LinkFact, stored: Stored | NotRead) -> None:
        self._answered(link.token)
        if stored is NotRead.UNREADABLE:
            self._clock.after(AGAIN, self.verify)
        elif link.epoch is not None and not link.ended and _is_gone(link, link.epoch, stored):
            log.warning("links.rolled_back", stream=self._stream, epoch=link.epoch)
            self._connected.links_missing()

    def heard(self, token: str, heard: Heard) -> None:
        """What stands behind a session's epoch decides who has the charger (docs/contract.md 3.6)."""
        self._unclaimed.pop(token, None)
        link = self._held.get(token)
        if link is None:
            if heard.ours and heard.up:
                self._unclaimed[token] = heard.seq
                self._wait()
        elif heard.up and heard.session == link.session:
            link.stored = heard.seq
            if link.epoch is not None and link.epoch < heard.seq:
                link.epoch = heard.seq  # an earlier publish of the same, stored late
        elif link.epoch is not None:
            self._overtaken(link, heard.seq, heard.ours)
        elif heard.ours:
            link.ours = heard.seq
        else:
            link.foreign = heard.seq

    def _overtaken(self, link: LinkFact, seq: int, ours: bool) -> None:
        assert link.epoch is not None
        if seq > link.epoch:
            if ours:
                self._up_again(link, seq)
            else:
                self._connected.link_superseded(link)

    def _up_again(self, link: LinkFact, seq: int) -> None:
        """Its ``up`` is hidden by the message at ``seq``."""
        link.behind, link.epoch, link.replaces = seq, None, None
        self._connected.link_known(link, False)
        self._write_up(link)

    # -- of sessions that are not open here --------------------------------------------------------------

    def mark_down(
        self, token: str, epoch: int, done: Callable[[Any, Stored | NotRead], None], arg: Any
    ) -> None:
        """Write the ``down`` of the link at ``epoch``; ``done(arg, its up)`` when that was read back."""

        def read(_: None, stored: Stored | NotRead) -> None:
            if isinstance(stored, Stored):
                self._mark_down(token, stored)
            done(arg, stored)

        self._bus.read_leader(self._stream, epoch, None, read, None)

    def _mark_down(self, token: str, stored: Stored) -> None:
        if (link := LinkFact.parse(token, stored)) is not None:
            link.ended = "gateway_lost"
            self._write_down(link)

    def _claim(self, token: str, seq: int) -> None:
        """The charger's last link is of an ended session of this process: it must not stay ``up``."""

        def read(_: None, stored: Stored | NotRead) -> None:
            if stored is NotRead.UNREADABLE and token not in self._held:
                self._unclaimed.setdefault(token, seq)
                self._wait()

        self.mark_down(token, seq, read, None)

    # -- what became of a publish ------------------------------------------------------------------------

    def _write_up(self, link: LinkFact) -> None:
        self._write(link, "up", link.behind, self._up_stored)

    def _write_down(self, link: LinkFact) -> None:
        self._write(link, "down", link.epoch, self._down_stored)

    def _up_stored(self, link: LinkFact, ack: Ack | NotStored) -> None:
        self._answered(link.token)
        if isinstance(ack, Ack):
            self._stands(link, ack.seq)
        elif ack is NotStored.REFUSED and link.behind is not None:
            self._read_last(link, self._refused)
        elif ack is NotStored.REFUSED:
            # Not a matter of time: the stream would refuse it for ever.
            log.error("link.refused", identity=link.identity, session=link.session, stream=self._stream)
        else:
            self._owe(link)

    def _stands(self, link: LinkFact, epoch: int) -> None:
        """Its ``up`` is stored; what was heard before that is known counts now."""
        epoch = max(epoch, link.stored)
        link.epoch, link.behind, link.rolled_back = epoch, None, False
        if link.ended:
            self._write_down(link)
        elif link.foreign > epoch:
            self._connected.link_superseded(link)
        elif link.ours > epoch:
            self._up_again(link, link.ours)
        else:
            self._connected.link_known(link, True)

    def _down_stored(self, link: LinkFact, ack: Ack | NotStored) -> None:
        self._answered(link.token)
        # Refused is as good as stored: a newer link follows our epoch.
        if ack is NotStored.UNKNOWN:
            self._owe(link)

    def _answered(self, token: str) -> None:
        self._pending[token] -= 1
        if not self._pending[token]:
            del self._pending[token]

    def _owe(self, link: LinkFact) -> None:
        other = self._owed.get(link.token)
        if link.ended and other is not None and other is not link:
            return  # its successor is owed already, and reads what it left
        self._owed[link.token] = link
        self._wait()

    def _wait(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._clock.after(AGAIN, self._settle)

    def _settle(self) -> None:
        """Write what was not stored, and the ``down`` of what was left behind."""
        self._waiting = False
        owed, self._owed = self._owed, {}
        for link in owed.values():
            if link.epoch is not None:
                self._write_down(link)
            else:
                # Its `up` may be stored or not: an unconditional second one could hide a newer connection's.
                self._read_last(link, self._unknown)
        unclaimed, self._unclaimed = self._unclaimed, {}
        for token, seq in unclaimed.items():
            if self._pending[token]:
                self._unclaimed[token] = seq
                self._wait()
            else:
                self._claim(token, seq)

    def _read_last(self, link: LinkFact, done: Callable[[LinkFact, Stored | NotRead], None]) -> None:
        self._pending[link.token] += 1
        subject = f"{self._prefix}.link.{link.token}"
        self._bus.read_leader(self._stream, 0, subject, done, link)

    def _refused(self, link: LinkFact, stored: Stored | NotRead) -> None:
        """Another message stands where its ``up`` was to be."""
        self._decide(link, stored, ())

    def _unknown(self, link: LinkFact, stored: Stored | NotRead) -> None:
        """Its ``up`` may have been stored; if not, it follows the link it replaces."""
        self._decide(link, stored, (link.replaces,))

    def _decide(self, link: LinkFact, stored: Stored | NotRead, hides: tuple[str | None, ...]) -> None:
        self._answered(link.token)
        if stored is NotRead.UNREADABLE:
            self._owe(link)
            return
        last = stored if isinstance(stored, Stored) else None
        other = LinkFact.parse(link.token, last) if last is not None else None  # None: no `up`
        if last is not None and other is not None and other.session == link.session:
            self._stands(link, last.seq)
        elif link.ended:
            # It never writes `up` again; an earlier session's must not stay (docs/contract.md 3.6).
            if last is not None and other is not None and other.gateway == link.gateway:
                self.heard(link.token, Heard(last.seq, True, other.session, True))
        elif (
            other is None or other.gateway == link.gateway or other.session in hides or _is_older(other, link)
        ):
            link.behind = last.seq if last is not None else 0
            self._write_up(link)
        else:
            self._connected.link_superseded(link)

    def _write(
        self,
        link: LinkFact,
        state: Literal["up", "down"],
        behind: int | None,
        done: Callable[[LinkFact, Ack | NotStored], None],
    ) -> None:
        self._pending[link.token] += 1
        ticket = self._bus.ticket(done, link)
        self._bus.store(ticket, link.publish(self._prefix, state, behind, self._clock.time_ms, ticket.reply))


def _is_gone(link: LinkFact, epoch: int, last: Stored | NotRead) -> bool:
    """Whether ``last``, the charger's last link, shows that its ``up`` at ``epoch`` was never stored."""
    if not isinstance(last, Stored) or last.seq < epoch:
        return True
    other = LinkFact.parse(link.token, last)
    return last.seq == epoch and (other is None or other.session != link.session)


def _is_older(other: LinkFact, link: LinkFact) -> bool:
    """Whether a restored stream names a connection that ended before this one began: its gateway is gone, or
    has not missed it.
    """
    return link.rolled_back and "" < other.at < link.at
