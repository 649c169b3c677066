"""One gateway process: its wiring and its life. Start, serve, close chargers in an outage, drain, stop.

Nothing about OCPP or NATS is decided here. The chargers connected to the process are in ``roster``.
"""

import asyncio
import contextlib
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import structlog

from voltgate.config import Config
from voltgate.ending import ended
from voltgate.gateway import preflight, reload
from voltgate.gateway.accepting import Make
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.connect import UnreachableError
from voltgate.gateway.bus.follow import Follow
from voltgate.gateway.bus.outage import Outage
from voltgate.gateway.bus.services import Services, service_of
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.cluster.liveness import Liveness
from voltgate.gateway.edge.accepts import Accepts, Overrun
from voltgate.gateway.edge.front import Front
from voltgate.gateway.edge.listener import Admission, Entrance, Listener
from voltgate.gateway.edge.paced import Stage
from voltgate.gateway.edge.proxied import Untrusted
from voltgate.gateway.edge.proxy import Refused
from voltgate.gateway.edge.secured import Handshakes
from voltgate.gateway.edge.socket import Shared
from voltgate.gateway.edge.tls import Failure, TlsError
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.gc_policy import GcPolicy
from voltgate.gateway.listening import ListenError, Listening, Place
from voltgate.gateway.preflight import NotYetError, StartError
from voltgate.gateway.rates import Bucket, Budgets
from voltgate.gateway.reasons import Reason, Refusal
from voltgate.gateway.registry.credentials import Passwords
from voltgate.gateway.registry.hashing import Hashing
from voltgate.gateway.registry.security import Security
from voltgate.gateway.reload import ReloadError, Reloads
from voltgate.gateway.roster import Process, Roster
from voltgate.gateway.telemetry import tracing
from voltgate.gateway.telemetry.metrics import Metrics

log = structlog.get_logger()

_DRAIN_TICK = 0.05
_AGAIN = 0.5  # seconds between two tries to find NATS and its streams
_GOODBYE = 1.0  # seconds for chargers to read their Close frame, at the very end


class Worker:
    """Serves every configured listener until :meth:`stop` is called. See :meth:`run`."""

    def __init__(
        self, config: Config, place: Place | None = None, wait: float = 0.0, tickets: bytes = b""
    ) -> None:
        """``place``: among several that share the ports; ``wait``: seconds for NATS, JetStream and streams
        that are not there yet; ``tickets``: the secret of session tickets, which all of them share. Raises
        ConfigError, or StartError.
        """
        if faults := preflight.unserved(config):
            raise StartError("\n".join(faults))
        self.config = config
        self._wait, self._tickets = wait, tickets
        self.listening = Listening(config.listeners, place)
        self.name = name = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.metrics = metrics = Metrics(str(place.number if place is not None else 0))
        self._clock = clock = Wheel(time.monotonic, time.time)
        self.bus = Bus(config.nats, clock, metrics)
        self.outage = Outage(config.nats, self.bus, clock, metrics, name, self._outage_changed)
        slow, hasher = config.registry, Hashing(config.registry.hash_threads)
        self._passwords = Passwords(hasher, slow.max_hashes, slow.max_hashes_per_address, clock)
        self._gc_policy = GcPolicy(metrics)
        self._tracing = tracing.start(config.tracing, metrics, name)
        process = Process(name, config, self.bus, clock, metrics, self._tracing)
        self.roster = roster = Roster(process, self._gc_policy, self._passwords.hash)
        Services(self.bus, clock, service_of(name, config.nats, metrics, lambda: roster.ownership.requests))
        signs = Follow(self.bus, clock, f"KV_{config.nats.stream_prefix.lower()}_gateways", whole=True)
        self._liveness = Liveness(signs, self.bus, clock, roster.peers, roster.links)
        self._shared = Shared(clock, config.limits, metrics)
        self._entrance = Entrance(
            roster.registry,
            self._passwords,
            roster.ownership,
            Security(self.bus, clock, config.nats.prefix, name),
            Bucket(),
            Budgets(metrics.budgets_shared.cell()),
            self.closed,
            self._start_session,
        )
        self._fronts: list[Front] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self._reloads = Reloads(metrics)
        self.opened = asyncio.Event()
        """The listeners are open, or were."""
        self.filled = asyncio.Event()
        """A charger was accepted, and ``limits.max_connections`` is reached."""
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._grace_over = asyncio.Event()
        self.draining = False
        for reason in (*Failure, *Refused, *Untrusted, *Overrun):
            metrics.handshakes.cell(reason.label)
        metrics.limit.read = self._bounds
        metrics.handshakes_in_progress.read = lambda: [((), float(self._shared.upgrading))]
        self._left = 0  # chargers that a drain asked to leave
        metrics.ready.read = lambda: [((name,), float(not fault)) for name, fault in self.checks().items()]
        metrics.certificate_expiry.read = self._expiries
        metrics.draining.read = lambda: [((), float(self.draining))]

    # -- life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect to NATS, verify the streams, open the listeners. Raises StartError or BusError."""
        await self._find_nats()
        self._spawn(self.outage.watch())
        self._spawn(self.roster.registry.run())
        self._spawn(self.roster.peers.run())
        self._spawn(self._liveness.run())
        await self.outage.over.wait()
        await self.roster.peers.loaded()
        await self._open()
        self.opened.set()
        self._gc_policy.start()

    async def _find_nats(self) -> None:
        """Connect, and verify the streams. What is not there yet is waited for; a contradiction is final."""
        loop = asyncio.get_running_loop()
        ends, said = loop.time() + self._wait, ""
        while True:
            try:
                if not self.bus.connections:
                    await self.bus.start()
                    self._spawn(self._turn())
                await preflight.verify(self.bus, self.config)
            except (UnreachableError, NotYetError) as error:
                if loop.time() >= ends:
                    raise
                if (reason := str(error)) != said:
                    said = reason
                    log.warning("start.delayed", reason=reason, seconds=round(ends - loop.time()))
                await asyncio.sleep(_AGAIN)
            else:
                return

    async def run(self) -> None:
        """Serve until stopped, then leave as docs/contract.md 4.5 says."""
        try:
            await self.start()
            log.info("gateway.started", gateway=self.name, listeners=self.addresses)
            await self._stop.wait()
            await self._drain()
        finally:
            await self._shut()
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Begin to drain; called again: stop at once."""
        if self._stop.is_set():
            self._stop_now.set()
            self._grace_over.set()
        self._stop.set()

    def abandon(self) -> None:
        """The supervisor is gone: accept no more connections, and drain without grace."""
        self.listening.close()
        self._grace_over.set()
        self._stop.set()

    def reload(self, config: Config, tickets: bytes = b"") -> None:
        """Take limits and drain settings, on live connections too, and read the files of TLS again
        (docs/contract.md 4.2). ``tickets``: another secret, so that no session from before is resumed.

        Raises ReloadError, and keeps all as it was, where NATS would not take what the limits allow.
        """
        self._reloads.failed()
        if self.bus.connections:  # else the start compares the two
            size = preflight.message_size(config, self.bus.max_payload)
            if size.severity == "fail":
                raise ReloadError(size.text)
        self.config = reload.taken(self.config, reload.settings(config))
        self._shared.take(config.limits)
        self.roster.take(config.limits)
        self._tickets = tickets
        results = ["taken" if front.reload(tickets) else "kept" for front in self._fronts if front.expiries]
        for result in results:
            self.metrics.certificate_reloads.add(result)
        if "kept" not in results:
            self._reloads.succeeded()

    def reload_failed(self) -> None:
        """New settings were refused before they came here."""
        self._reloads.failed()

    @property
    def addresses(self) -> list[str]:
        """``host:port`` of every open listener."""
        return self.listening.addresses

    @property
    def full(self) -> bool:
        """Whether it has as many chargers as it may."""
        return len(self.roster) - self._shared.ending >= self._shared.limits.max_connections

    def checks(self) -> dict[str, str]:
        """What readiness depends on: name -> "" or what is wrong."""
        return {
            "nats": "" if self.bus.connected else "not connected",
            "streams": self.outage.reason,
            "draining": "leaving" if self.draining else "",
            "connections": "limits.max_connections is reached" if self.full else "",
            "listeners": "" if self.listening.is_open else "not open yet",
        }

    def _bounds(self) -> list[tuple[tuple[str], float]]:
        """The bounds in force, as a metric."""
        limits = self._shared.limits.model_dump() | {"max_pending_bytes": self.config.nats.max_pending_bytes}
        return [((name,), float(bound)) for name, bound in limits.items() if isinstance(bound, int | float)]

    def closed(self) -> Refusal | None:
        """See listener.Entrance."""
        if self.draining:
            return Refusal.DRAINING
        if self.outage.reason:
            return Refusal.BUS_AWAY
        return Refusal.FULL if self.full else None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in a task; a process whose clock or watch has failed must end."""

        def left(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (fault := task.exception()) is not None:
                self._fault = fault
                self.stop()

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(left)

    def _start_session(self, admission: Admission, upgrade: Upgrade, replaced: str | None) -> None:
        self.roster.start_session(admission, upgrade, replaced)
        if self.full:
            self.filled.set()

    async def _open(self) -> None:
        makers: list[Make] = []
        shared, tls = self._shared, self.metrics.tls_handshakes
        handshakes = Handshakes(
            shared.paced,
            shared.soon,
            lambda version, resumed: tls.add(version, str(resumed).lower()),
            self._turned_away,
        )
        for number, settings in enumerate(self.config.listeners):
            accepts = Accepts(shared, settings.proxy_protocol, self._overrun)
            try:
                front = Front(settings, handshakes, self._turned_away, accepts.name, self._tickets)
            except TlsError as error:  # it has changed since the configuration was checked
                raise StartError(f"listeners.{number}.{error}") from None
            self._fronts.append(front)
            listener = Listener(settings, self.config.registry, self._entrance, shared, front)
            makers.append(
                partial(_accepted, front, partial(Upgrade, shared, listener.decide, accepts.accept))
            )
        no_descriptor = partial(shared.refused, identity=None, label="no_descriptor")
        try:
            self.listening.open(makers, shared.paced.accept, no_descriptor)
        except ListenError as error:
            raise StartError(str(error)) from None

    def _overrun(self, bound: Overrun, peer: str) -> None:
        """A socket of ``peer`` was reset at its accept."""
        self._shared.refused(peer, None, bound.label)

    def _turned_away(self, reason: Failure | Refused | Untrusted, peer: str) -> None:
        """A socket of ``peer`` ended before its upgrade request began."""
        self._shared.refused(peer, None, reason.label)
        if reason.is_security:
            self._entrance.security.note(reason.label, None, peer)

    def _expiries(self) -> Iterator[tuple[tuple[str], float]]:
        for number, front in enumerate(self._fronts):
            for one in front.expiries:
                yield (f"listeners.{number}.{one.key}",), one.at.timestamp()

    async def _turn(self) -> None:
        """Advance the clock, and measure how late the event loop runs."""
        lag = self.metrics.loop_lag.cell()
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            lag.observe(max(loop.time() - due, 0.0))
            self._clock.advance()

    async def _shut(self) -> None:
        self.listening.close()
        for connection in list(self._shared.open):
            connection.close(Reason.DRAIN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                while self._shared.open and not self._stop_now.is_set():
                    await self._unless_stopped(_DRAIN_TICK)
        for connection in list(self._shared.open):
            connection.abort()
        await asyncio.sleep(0)  # the loop must see them closed before it may be closed itself
        self._shared.paced.finish(Stage.END)
        await ended(self._tasks)
        await self._passwords.stop()
        self.roster.flush()
        self.outage.remove_liveness()
        await self.bus.stop()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.stop)
        self._gc_policy.stop()
        log.info("gateway.stopped", gateway=self.name)

    # -- closing chargers ---------------------------------------------------------------------------

    async def _drain(self) -> None:
        drain, began = self.config.drain, time.monotonic()
        self.draining = True
        log.info("drain.began", chargers=len(self.roster), rate=drain.rate)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain.deadline):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._grace_over.wait(), drain.grace)
                self.listening.close()
                while self.roster and not self._stop_now.is_set():
                    # Again for the chargers whose upgrade was being decided when the drain began.
                    await self._close_paced(Reason.DRAIN)
                    await self._unless_stopped(_DRAIN_TICK)
        unfinished = sum(charger.session.leaving for charger in self.roster)
        log.info(
            "drain.ended",
            closed=self._left - unfinished,
            cut=len(self.roster),  # before what they had begun was finished
            seconds=round(time.monotonic() - began, 1),
        )

    async def _close_paced(self, reason: Reason) -> None:
        """Let sessions leave at ``drain.rate`` a second, in no order a charger could predict."""
        leaving = [charger for charger in self.roster if not charger.session.leaving]
        random.shuffle(leaving)
        owed = 0.0
        while leaving and not self._stop_now.is_set():
            owed += self.config.drain.rate * _DRAIN_TICK * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            while owed >= 1 and leaving:
                leaving.pop().leave(reason)
                self._left += 1
                owed -= 1
            await self._unless_stopped(_DRAIN_TICK)

    async def _unless_stopped(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop_now.wait(), seconds)

    def _outage_changed(self) -> None:
        if not self.outage.reason:
            self.roster.links.verify()
        else:
            self._clock.after(self.config.nats.outage_close, self._outage_lasts, self.outage.since)

    def _outage_lasts(self, since: float) -> None:
        if self._still_away(since):
            self._spawn(self._close_in_outage(since))

    def _still_away(self, since: float) -> bool:
        """Whether the outage that began at ``since`` has not ended."""
        return bool(self.outage.reason) and self.outage.since == since

    async def _close_in_outage(self, since: float) -> None:
        """Close the chargers at ``drain.rate``, so that they queue (docs/contract.md 2.3)."""
        for charger in self.roster:
            if not self._still_away(since):
                return
            charger.leave(Reason.OUTAGE)
            await asyncio.sleep(random.uniform(0.5, 1.5) / self.config.drain.rate)  # noqa: S311 - jitter


def _accepted(front: Front, upgrade: Callable[[], Upgrade]) -> asyncio.Protocol:
    """The protocol of a socket that a listener has accepted."""
    return front.wrap(upgrade())


def _host() -> str:
    """The host's name as a part of a KV key."""
    return "".join(c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname())
