"""One gateway process: joins listener, connection, session and bus; knows when to take chargers and to leave.

Nothing about OCPP or NATS is decided here; this is where the rooms meet.
"""

import asyncio
import contextlib
import os
import random
import secrets
import socket
import time
import uuid
from collections import Counter as Tally
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from voltgate import _core
from voltgate._core import Publisher
from voltgate.config import Config
from voltgate.gateway import preflight
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.follow import Follow
from voltgate.gateway.bus.outage import Outage
from voltgate.gateway.bus.subscriptions import Interest
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.cluster.links import LinkFact, Links
from voltgate.gateway.cluster.liveness import Liveness
from voltgate.gateway.cluster.ownership import Claim, Ownership
from voltgate.gateway.cluster.peers import Peers
from voltgate.gateway.edge.connection import Connection, Shared, Unfinished
from voltgate.gateway.edge.listener import Admission, HandshakeRate, Listener
from voltgate.gateway.gc_policy import Garbage
from voltgate.gateway.interfaces import Decided, Holder, NotRead, Outside, PeerLink
from voltgate.gateway.metrics import Metrics
from voltgate.gateway.preflight import StartError
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.credentials import Judged, Passwords
from voltgate.gateway.registry.record import Found, Known, Record
from voltgate.gateway.registry.registry import Registry
from voltgate.gateway.registry.rotation import Rotation
from voltgate.gateway.registry.security import Security
from voltgate.gateway.session.call import TransactionKeys
from voltgate.gateway.session.context import Terms
from voltgate.gateway.session.session import Session
from voltgate.policy import rules
from voltgate.schemas import SUBPROTOCOLS, VERSIONS

log = structlog.get_logger()

_DRAIN_TICK = 0.05
_GOODBYE = 1.0  # seconds for chargers to take their Close frame, after everything else


@dataclass(slots=True)
class Charger:
    """What the worker holds of one connected charger."""

    session: Session
    link: LinkFact
    connection: Connection
    admission: Admission
    interests: tuple[Interest, ...] = ()

    def leave(self, reason: Reason) -> None:
        """Take no more commands, finish what was begun, and close."""
        self.deaf()
        self.session.leave(reason)

    def deaf(self) -> None:
        """Who commands or kicks this charger hears "no responders" from now on."""
        interests, self.interests = self.interests, ()
        for interest in interests:
            interest.end()


class Worker:
    """Serves every configured listener until :meth:`stop` is called. See :meth:`run`."""

    def __init__(self, config: Config, number: int | None = None) -> None:
        """Compiles schemas and policy. ``number``: of several that share the ports. Raises ConfigError."""
        self.config = config
        self._shares_ports = number is not None
        self.name = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.metrics = metrics = Metrics(str(number or 0))
        self._clock = clock = Wheel(time.monotonic, time.time)
        self.bus = Bus(config.nats, clock, metrics)
        self.outage = Outage(config.nats, self.bus, clock, self.name, self._outage_changed)
        stream, signs = (
            f"{config.nats.stream_prefix}_LINKS",
            f"KV_{config.nats.stream_prefix.lower()}_gateways",
        )
        self._links = Links(self.bus, clock, config.nats.prefix, stream, self)
        self._peers = Peers(Follow(self.bus, clock, stream, whole=True), self.name, self)
        self._ownership = Ownership(clock, self.bus, self._peers, config.nats.rpc_prefix)
        self._liveness = Liveness(
            Follow(self.bus, clock, signs, whole=True), self.bus, clock, self._peers, self._links
        )
        self._registry = Registry(self.bus, clock, config.nats.stream_prefix, self._record_changed)
        slow = config.registry
        self._passwords = Passwords(slow.hash_threads, slow.max_hashes, slow.max_hashes_per_address)
        self._rotation = Rotation(self.bus, clock, config.nats.stream_prefix, self._passwords.hash)
        self._outside = Outside(self.bus, clock, self._rotation)
        self._security = Security(self.bus, clock, config.nats.prefix, self.name)
        self._rate = HandshakeRate(config.limits.handshakes_per_second, clock)
        self._shared = Shared(
            clock,
            config.limits,
            metrics,
            Unfinished(config.limits.max_buffered_bytes),
            [_compression()],
        )
        keys, table = TransactionKeys(), rules(config)
        # By version and what a record asks for: its level, and whether it is half duplex.
        self._terms: dict[tuple[str, str | None, bool], Terms] = {
            (version, None, False): Terms.of(version, config, table[version], metrics, keys)
            for version in SUBPROTOCOLS
        }
        self._chargers: dict[Holder, Charger] = {}
        self._online: Tally[str] = Tally()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._grace_over = asyncio.Event()
        self.draining = False
        self._garbage = Garbage(metrics)
        metrics.connections.read = lambda: [((version,), float(n)) for version, n in self._online.items()]
        metrics.draining.read = lambda: [((), float(self.draining))]

    # -- life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect to NATS, verify the streams, open the listeners. Raises StartError or BusError."""
        await self.bus.start()
        self._spawn(self._turn())
        await preflight.verify(self.bus, self.config)
        self._spawn(self.outage.watch())
        self._spawn(self._registry.run())
        self._spawn(self._peers.run())
        self._spawn(self._liveness.run())
        await self.outage.over.wait()
        await self._peers.loaded()
        await self._open()
        self._garbage.tame()

    async def run(self) -> None:
        """Serve until stopped, then leave as CONTRACT 4.5 says."""
        try:
            await self.start()
            log.info("gateway.ready", gateway=self.name, listeners=self.addresses)
            await self._stop.wait()
            await self._drain()
        finally:
            await self._shut()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Begin to leave; called again: leave at once."""
        if self._stop.is_set():
            self._stop_now.set()
            self._grace_over.set()
        self._stop.set()

    def abandon(self) -> None:
        """The supervisor is gone: nobody is let in any more, and the drain has no grace."""
        for server in self._servers:
            server.close()
        self._grace_over.set()
        self._stop.set()

    def reload(self, config: Config) -> None:
        """Take the limits of ``config`` for what happens from now on; all else stays (CONTRACT 4.2)."""
        limits = config.limits
        self.config = self.config.model_copy(update={"limits": limits})
        self._shared.limits = limits
        self._shared.unfinished.limit = limits.max_buffered_bytes
        self._rate = HandshakeRate(limits.handshakes_per_second, self._clock)
        for terms in self._terms.values():
            terms.take(limits)
        log.info("limits.reloaded")

    @property
    def addresses(self) -> list[str]:
        """``host:port`` of every open listener."""
        return [
            "{}:{}".format(*sock.getsockname()[:2]) for server in self._servers for sock in server.sockets
        ]

    def checks(self) -> dict[str, str]:
        """What readiness depends on: name -> "" or what is wrong."""
        full = len(self._chargers) >= self.config.limits.max_connections
        return {
            "nats": "" if self.bus.connected else "not connected",
            "streams": self.outage.reason,
            "draining": "leaving" if self.draining else "",
            "connections": "limits.max_connections is reached" if full else "",
        }

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` beside the loop; a process whose wheel or watch has died is better gone."""

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (fault := task.exception()) is not None:
                self._fault = fault
                self.stop()

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        for settings in self.config.listeners:
            listener = Listener(settings, self.config.registry, self, self._clock)
            make = partial(Connection, self._shared, listener.door)
            try:
                server = await loop.create_server(
                    make, settings.host, settings.port, backlog=4096, reuse_port=self._shares_ports or None
                )
            except OSError as error:
                raise StartError(
                    f"listener {settings.host}:{settings.port}: {error.strerror or error}"
                ) from None
            self._servers.append(server)

    async def _turn(self) -> None:
        """Turn the wheel, and measure how late the loop lets us."""
        lag = self.metrics.loop_lag.cell()
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            lag.observe(max(loop.time() - due, 0.0))
            self._clock.advance()

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._shared.open):
            connection.close(Reason.DRAIN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                while self._shared.open and not self._stop_now.is_set():
                    await self._unless_stopped(_DRAIN_TICK)
        for connection in list(self._shared.open):
            connection.abort()
        await asyncio.sleep(0)  # the loop must see them go before it may be closed
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            # Again, where asyncio.wait_for of Python 3.11, which nats-py uses, has swallowed it.
            await asyncio.wait(tasks, timeout=_GOODBYE)
            await asyncio.sleep(0)  # each takes itself out of the list
        self._passwords.stop()
        self.outage.remove_liveness()
        await self.bus.stop()
        self._garbage.stop()
        log.info("gateway.stopped", gateway=self.name)

    # -- leaving ------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        drain = self.config.drain
        self.draining = True
        log.info("drain.begins", chargers=len(self._chargers), rate=drain.rate)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain.deadline):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._grace_over.wait(), drain.grace)
                for server in self._servers:
                    server.close()
                while self._chargers and not self._stop_now.is_set():
                    # Who was just coming in when the drain began leaves too.
                    await self._close_paced(Reason.DRAIN)
                    await self._unless_stopped(_DRAIN_TICK)

    async def _close_paced(self, reason: Reason) -> None:
        """Let sessions leave at ``drain.rate`` a second, in no order a charger could predict."""
        leaving = [charger for charger in self._chargers.values() if not charger.session.leaving]
        random.shuffle(leaving)
        batch = self.config.drain.rate * _DRAIN_TICK
        owed = 0.0
        while leaving and not self._stop_now.is_set():
            owed += batch * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            while owed >= 1 and leaving:
                leaving.pop().leave(reason)
                owed -= 1
            await self._unless_stopped(_DRAIN_TICK)

    async def _unless_stopped(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop_now.wait(), seconds)

    def _outage_changed(self) -> None:
        if self.outage.reason:
            self._clock.after(self.config.nats.outage_close, self._close_idle, self.outage.since)

    def _close_idle(self, since: float) -> None:
        """The outage lasts: the chargers are told, so that they queue (CONTRACT 2.3)."""
        if self.outage.reason and self.outage.since == since:
            self._spawn(self._close_in_outage(since))

    async def _close_in_outage(self, since: float) -> None:
        for charger in list(self._chargers.values()):
            if not self.outage.reason or self.outage.since != since:
                return
            charger.leave(Reason.OUTAGE)
            await asyncio.sleep(random.uniform(0.5, 1.5) / self.config.drain.rate)  # noqa: S311 - jitter

    # -- listener.House -----------------------------------------------------------------------------

    def closed(self) -> Refusal | None:
        """See listener.House."""
        if self.draining:
            return Refusal.DRAINING
        if self.outage.reason:
            return Refusal.BUS_AWAY
        if len(self._chargers) >= self.config.limits.max_connections:
            return Refusal.FULL
        return None

    def take_handshake(self) -> bool:
        """See listener.House."""
        return self._rate.take()

    def find(self, identity: str, found: Found) -> None:
        """See listener.House."""
        self._registry.find(identity, found)

    def judge(self, known: Known | None, password: bytes, peer: str, judged: Judged) -> None:
        """See listener.House."""
        self._passwords.judge(known, password, peer.rpartition(":")[0], judged)

    def suspect(self, refusal: Refusal, known: Known | None, peer: str) -> None:
        """See listener.House."""
        self._security.note(refusal.label, known, peer)

    def claim(self, admission: Admission, connection: Connection, decided: Decided) -> None:
        """See listener.House."""
        identity = admission.identity
        self._ownership.claim(
            Claim(identity, _core.token(identity), connection, admission.authenticated, decided)
        )

    def start_session(self, admission: Admission, connection: Connection, replaced: str | None) -> None:
        """See listener.House."""
        version = VERSIONS[admission.subprotocol]
        session_id = uuid.uuid4().hex
        nats = self.config.nats
        publisher = Publisher(version, admission.identity, session_id, nats.prefix, nats.rpc_prefix)
        terms = self._terms_of(version, admission.record)
        session = Session(publisher, terms, connection, self._outside)
        link = LinkFact(
            identity=admission.identity,
            token=publisher.token,
            version=version,
            session=session_id,
            remote=connection.peer,
            replaces=replaced,
            security_profile=admission.security_profile,
            gateway=self.name,
        )
        self._chargers[connection] = Charger(session, link, connection, admission)
        self._ownership.hold(admission.identity, connection, session_id)
        self._online[version] += 1
        self.metrics.handshakes.add("accepted")
        self._links.up(link)
        self._garbage.grown(len(self._chargers))
        connection.start(session, terms.codec, self._ended)
        if admission.known is not None:
            # The record may have changed while the charger waited for its 101.
            self._registry.find(admission.identity, partial(self._record_read, admission.identity))
            if admission.authenticated:
                self._rotation.logged_in(admission.known)

    def _terms_of(self, version: str, record: Record) -> Terms:
        key = version, record.validation, "half_duplex" in record.quirks
        terms = self._terms.get(key)
        if terms is None:
            terms = self._terms[key] = self._terms[version, None, False].at(*key[1:])
        return terms

    def _record_read(self, identity: str, known: Known | NotRead) -> None:
        if known is not NotRead.UNREADABLE:
            self._record_changed(identity, known if isinstance(known, Known) else None)

    def _record_changed(self, identity: str, known: Known | None) -> None:
        """A change takes effect at once, on connected chargers too (CONTRACT 3.8)."""
        charger = self._here(identity)
        reason = charger.admission.ended_by(known) if charger is not None else None
        if charger is None or reason is None:
            return
        if reason is Reason.RECORD_CHANGED:
            charger.leave(reason)
        else:
            charger.connection.close(reason)

    # -- links.Connected ----------------------------------------------------------------------------

    def link_superseded(self, link: LinkFact) -> None:
        """See links.Connected."""
        charger = self._here(link.identity)
        if charger is not None and charger.link is link:
            charger.connection.close(Reason.SUPERSEDED)

    def link_stored(self, link: LinkFact) -> None:
        """See links.Connected: commands reach it from now on (docs/contract.md 3.5)."""
        charger = self._here(link.identity)
        if charger is None or charger.link is not link:
            return
        session, connection = charger.session, charger.connection
        newer = self._peers.find(link.token)
        if newer is not None and link.epoch is not None and newer.epoch > link.epoch:
            connection.close(Reason.SUPERSEDED)
        elif not session.leaving:
            rpc = self.config.nats.rpc_prefix
            requested = partial(self._ownership.requested, connection, link.session)
            charger.interests = (
                self.bus.subscribe(f"{rpc}.send.*.{link.token}", session.command),
                self.bus.subscribe(f"{rpc}.link.*.{link.token}", requested),
            )

    # -- peers.Local -----------------------------------------------------------------------------

    def _here(self, identity: str) -> Charger | None:
        connection = self._ownership.holder(identity)
        return self._chargers.get(connection) if connection is not None else None

    def moved(self, identity: str, link: PeerLink) -> None:
        """See peers.Local."""
        charger = self._here(identity)
        if charger is not None and charger.link.epoch is not None and charger.link.epoch < link.epoch:
            charger.connection.close(Reason.SUPERSEDED)

    def marked_down(self, identity: str, session: str, seq: int) -> None:
        """See peers.Local. We were cut off, and are back."""
        charger = self._here(identity)
        if charger is not None and charger.link.session == session and not charger.link.ended:
            self._links.up_again(charger.link, seq)

    def changed_hands(self, identity: str) -> None:
        """See peers.Local."""
        self._ownership.changed_hands(identity)

    def links_lost(self) -> None:
        """See peers.Local."""
        for charger in self._chargers.values():
            if charger.link.epoch is not None:  # else its `up` is on its way
                self._links.up_again(charger.link, 0)

    def _ended(self, connection: Connection, reason: Reason) -> None:
        charger = self._chargers.pop(connection)
        charger.deaf()
        self._ownership.release(charger.link.identity, connection)
        self._online[charger.link.version] -= 1
        self.metrics.disconnects.add(reason.label)
        if reason is not Reason.SUPERSEDED:
            # Its successor's `up` says it all (CONTRACT 3.6: a superseded link writes none).
            self._links.down(charger.link, reason.label)
        log.debug(
            "charger.down", identity=charger.link.identity, reason=reason.label, session=charger.link.session
        )


def _compression() -> ServerPerMessageDeflateFactory:
    """No context takeover and small windows: nothing is held per connection (FIGURES.md 1, OCPP.md D)."""
    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=11,
        client_max_window_bits=11,
    )


def _host() -> str:
    """The host's name as a part of a KV key."""
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
