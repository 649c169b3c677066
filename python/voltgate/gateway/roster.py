"""The chargers connected to this process, from the accepted upgrade to the end of the connection.

Here a connection, its session, its link and its subscriptions belong together: records that change, links at
other gateways and the end of a connection have their effect on the others from here. When a charger must go
because the process drains or NATS is away is decided in ``worker``; who may connect in ``edge/listener``.
"""

import random
import uuid
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import structlog

from voltgate._core import Publisher, TransactionKeys
from voltgate.config import Config, Limits
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.follow import Follow
from voltgate.gateway.bus.subscriptions import Interest
from voltgate.gateway.clock import Timer, Wheel
from voltgate.gateway.cluster.link import LinkFact
from voltgate.gateway.cluster.links import Heard, Links
from voltgate.gateway.cluster.ownership import Ownership
from voltgate.gateway.cluster.peers import Peers
from voltgate.gateway.edge.connection import Connection
from voltgate.gateway.edge.listener import Admission
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.gc_policy import GcPolicy
from voltgate.gateway.interfaces import Holder, NotRead, Outside
from voltgate.gateway.rates import Allowance, Budgets, source_of
from voltgate.gateway.reasons import Reason
from voltgate.gateway.registry.record import Known, Record
from voltgate.gateway.registry.registry import Registry
from voltgate.gateway.registry.rotation import Hash, Rotation
from voltgate.gateway.session.context import Context
from voltgate.gateway.session.session import Session
from voltgate.gateway.telemetry.metrics import Metrics
from voltgate.gateway.telemetry.tracing import Tracing
from voltgate.policy import rules
from voltgate.schemas import SUBPROTOCOLS, VERSIONS

log = structlog.get_logger()

AGE_JITTER = 0.2  # the part of limits.max_connection_age over which connections of one age end
AGAIN = 5.0  # seconds until a connection that is old, and has something open, is looked at again


@dataclass(slots=True)
class Charger:
    """One connected charger."""

    session: Session
    link: LinkFact
    connection: Connection
    admission: Admission
    allowance: Allowance
    since: float
    interests: tuple[Interest, ...] = ()
    ageing: Timer | None = None

    def leave(self, reason: Reason) -> None:
        """Take no more commands, finish what was begun, and close."""
        self.unsubscribe()
        self.session.leave(reason)

    def unsubscribe(self) -> None:
        """Commands and kicks for this charger get "no responders" from now on."""
        interests, self.interests = self.interests, ()
        for interest in interests:
            interest.end()


@dataclass(frozen=True, slots=True)
class Process:
    """What the rooms of one process are made with."""

    name: str
    config: Config
    bus: Bus
    clock: Wheel
    metrics: Metrics
    tracing: Tracing | None = None


class Roster:
    """See the module. ``registry``, ``peers``, ``ownership`` and ``links`` report to it and are its own."""

    def __init__(self, process: Process, gc_policy: GcPolicy, hash_password: Hash) -> None:
        """Compiles schemas and policy. Raises ConfigError."""
        self._name, self._bus, self._metrics = process.name, process.bus, process.metrics
        self._nats, self._gc_policy = process.config.nats, gc_policy
        self._limits, self._clock = process.config.limits, process.clock
        self._budgets = Budgets(process.metrics.budgets_shared.cell())
        bus, clock, nats = process.bus, process.clock, self._nats
        stream = f"{nats.stream_prefix}_LINKS"
        self.links = Links(bus, clock, nats.prefix, stream, self)
        self.peers = Peers(Follow(bus, clock, stream, whole=True), process.name, self, bus.garbage)
        self.ownership = Ownership(clock, bus, self.peers, nats.rpc_prefix, self._move)
        self.registry = Registry(bus, clock, nats.stream_prefix, self.record_changed)
        self._rotation = Rotation(bus, clock, nats.stream_prefix, hash_password)
        self._outside = Outside(bus, clock, self._rotation, process.name)
        keys, table = TransactionKeys(), rules(process.config)
        # By version and what a record asks for: its validation level, and whether it is half duplex.
        self._contexts: dict[tuple[str, str | None, bool], Context] = {
            (version, None, False): Context.of(
                version, process.config, table[version], self._metrics, keys, process.tracing
            )
            for version in SUBPROTOCOLS
        }
        self._chargers: dict[Holder, Charger] = {}
        self._online: Tally[str] = Tally(dict.fromkeys(SUBPROTOCOLS, 0))
        self._metrics.connections.read = lambda: [((name,), float(n)) for name, n in self._online.items()]

    def __len__(self) -> int:
        return len(self._chargers)

    def __iter__(self) -> Iterator[Charger]:
        """The chargers connected now; they may be closed meanwhile."""
        return iter(list(self._chargers.values()))

    def here(self, identity: str) -> Charger | None:
        """The charger, if it is connected here."""
        holder = self.ownership.holder(identity)
        return self._chargers.get(holder) if holder is not None else None

    def take(self, limits: Limits) -> None:
        """Apply ``limits`` to the sessions there are, and to new ones."""
        self._limits = limits
        for context in self._contexts.values():
            context.take(limits)
        for charger in self:
            self._age(charger)

    def flush(self) -> None:
        """Publish what is noted about chargers: the process stops."""
        for context in self._contexts.values():
            context.violations.flush()

    # -- coming -------------------------------------------------------------------------------------

    def start_session(self, admission: Admission, upgrade: Upgrade, replaced: str | None) -> None:
        """See listener.Entrance."""
        version, identity = VERSIONS[admission.subprotocol], admission.identity
        context, session_id = self._context_of(version, admission.record), uuid.uuid4().hex
        connection = upgrade.accept(context.codec, admission.record.quirks)
        publisher = Publisher(version, identity, session_id, self._nats.prefix, self._nats.rpc_prefix)
        allowance = self._allowance_of(admission, connection.peer)
        session = Session(publisher, context, connection, self._outside, allowance)
        link = LinkFact(
            identity=identity,
            token=publisher.token,
            version=version,
            session=session_id,
            remote=connection.peer,
            replaces=replaced,
            security_profile=admission.security_profile,
            gateway=self._name,
        )
        charger = Charger(session, link, connection, admission, allowance, self._clock.now)
        self._chargers[connection] = charger
        self.ownership.hold(identity, connection, session_id)
        self._online[version] += 1
        self._metrics.handshakes.add("accepted")
        # Before the `up`, on the same connection to NATS: whoever sees it finds them (docs/contract.md 3.5).
        rpc, requested = self._nats.rpc_prefix, partial(self.ownership.requested, connection, session_id)
        charger.interests = (
            self._bus.subscribe(f"{rpc}.send.*.{link.token}", session.command),
            self._bus.subscribe(f"{rpc}.link.*.{link.token}", requested),
        )
        self.links.up(link)
        self._gc_policy.grown(len(self._chargers))
        log.debug("charger.connected", identity=identity, session=session_id, peer=connection.peer)
        connection.start(session, self._ended)
        self._age(charger)
        if admission.known is not None:
            # The record may have changed while the charger waited for its 101.
            self.registry.find(identity, partial(self._record_read, identity))
            if admission.authenticated:
                self._rotation.logged_in(admission.known)

    def _context_of(self, version: str, record: Record) -> Context:
        level, half_duplex = record.validation, "half_duplex" in record.quirks
        context = self._contexts.get((version, level, half_duplex))
        if context is None:
            context = self._contexts[version, None, False].at(level, half_duplex)
            self._contexts[version, level, half_duplex] = context
        return context

    def _allowance_of(self, admission: Admission, peer: str) -> Allowance:
        source = None if admission.authenticated else source_of(peer)
        allowance = self._budgets.of(admission.identity, source, self._clock.now, self._limits)
        allowance.users += 1
        return allowance

    # -- links.Connected ----------------------------------------------------------------------------

    def link_superseded(self, link: LinkFact) -> None:
        """See links.Connected."""
        charger = self.here(link.identity)
        if charger is not None and charger.link is link:
            charger.connection.close(Reason.SUPERSEDED)

    def links_missing(self) -> None:
        """See links.Connected."""
        self.peers.read_anew()

    def link_known(self, link: LinkFact, known: bool) -> None:
        """See links.Connected: commands are sent while it is known."""
        charger = self.here(link.identity)
        if charger is not None and charger.link is link:
            charger.session.linked(known)

    # -- the registry -------------------------------------------------------------------------------

    def record_changed(self, identity: str, known: Known | None) -> None:
        """A change takes effect at once, on connected chargers too (docs/contract.md 3.8)."""
        charger = self.here(identity)
        reason = charger.admission.ended_by(known) if charger is not None else None
        if charger is None or reason is None:
            return
        if reason is Reason.RECORD_CHANGED:
            charger.leave(reason)
        else:
            charger.connection.close(reason)

    def _record_read(self, identity: str, known: Known | NotRead) -> None:
        if known is not NotRead.UNREADABLE:
            self.record_changed(identity, known if isinstance(known, Known) else None)

    # -- peers.Local ---------------------------------------------------------------------------------

    def heard(self, token: str, heard: Heard) -> None:
        """See peers.Local."""
        self.links.heard(token, heard)

    def changed_hands(self, identity: str) -> None:
        """See peers.Local."""
        self.ownership.changed_hands(identity)

    def links_lost(self) -> None:
        """See peers.Local."""
        self.links.lost()

    # -- going --------------------------------------------------------------------------------------

    def _age(self, charger: Charger) -> None:
        """End its connection when ``limits.max_connection_age`` is reached, a little earlier for some.

        As late as possible where that was lowered below the age of many: they must not all end together.
        """
        if charger.ageing is not None:
            charger.ageing.cancel()
            charger.ageing = None
        longest = self._limits.max_connection_age
        if longest:
            early = random.uniform(0, AGE_JITTER * longest)  # noqa: S311 - jitter
            left = charger.since + longest - early - self._clock.now
            charger.ageing = self._clock.after(max(left, early), self._aged, charger)

    def _aged(self, charger: Charger) -> None:
        if charger.session.turn.idle:
            charger.leave(Reason.AGED)
        else:
            charger.ageing = self._clock.after(AGAIN, self._aged, charger)

    def _move(self, holder: Holder) -> bool:
        """See Ownership."""
        charger = self._chargers.get(holder)
        if charger is None or not charger.session.turn.idle:
            return False
        charger.leave(Reason.REBALANCED)
        return True

    def _ended(self, connection: Connection, reason: Reason) -> None:
        charger = self._chargers.pop(connection)
        link = charger.link
        charger.unsubscribe()
        if charger.ageing is not None:
            charger.ageing.cancel()
        charger.allowance.users -= 1
        self.ownership.release(link.identity, connection)
        self._online[link.version] -= 1
        self._metrics.disconnects.add(reason.label)
        self.links.end(link, reason.label, reason is Reason.SUPERSEDED)
        log.debug("charger.disconnected", identity=link.identity, session=link.session, reason=reason.label)
