"""The bus: publishes and their PubAcks, questions, commands, reading back. One per process.

Every answer from NATS comes through one wildcard inbox and is identified by a counter with a keyed tag, so a
message costs a dict entry and no future, task or subscription. Nothing in it is trusted: not its subject
(``_core.Inbox``), not its body (acks). Not here: the connection itself (connection), what is published
(session, links), whether NATS is well enough to take chargers (outage).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal, assert_never

import structlog
from nats.js import JetStreamManager

from voltgate import _core
from voltgate._core import Lane
from voltgate.config import Config, Nats
from voltgate.gateway.bus import connect, reads, streams
from voltgate.gateway.bus.acks import Acks, NoAck
from voltgate.gateway.bus.connection import Connection
from voltgate.gateway.bus.domain import js_api
from voltgate.gateway.bus.garbage import Garbage
from voltgate.gateway.bus.gauges import Gauges
from voltgate.gateway.bus.subscriptions import Interest, Subscription, Take, parse_headers
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, NotRead, NotStored, Reply, Request, Stored, Ticket
from voltgate.gateway.telemetry.metrics import Metrics

log = structlog.get_logger()

RETRY_AFTER = 0.25  # seconds; short 503s of a leader election are normal
_READ_TIMEOUT = 5.0


class Bus:
    """See the module."""

    def __init__(self, config: Nats, clock: Wheel, metrics: Metrics) -> None:
        self._config, self._clock, self._metrics = config, clock, metrics
        self.garbage = Garbage(clock, metrics)
        """See interfaces.Bus."""
        self._connection = Connection(
            config, clock, metrics, self.garbage, self._acked, self._received, self._changed
        )
        self.outgoing = self._connection.outgoing
        """See interfaces.Bus."""
        self._acks, self._api = Acks(config), js_api(config.domain)
        self._gauges = Gauges(config, self._connection, metrics)
        self._measuring: asyncio.Task[None] | None = None
        self._on_change: Callable[[bool], None] | None = None
        self._on_tx_failed: Callable[[str], None] | None = None
        self._closing = False
        self._asks: dict[int, Ticket[Any, Any]] = {}
        self._fill: dict[str, float] = {}
        self._ack_seconds = metrics.publish_ack_seconds.cell()
        metrics.counted.append(lambda: self._ack_seconds.add(*self.outgoing.ack_seconds()))
        metrics.bus_connected.read = lambda: [((), float(self.connected))]
        metrics.bus_pending.read = lambda: [((), float(self.outgoing.stores + len(self._asks)))]
        metrics.bus_pending_bytes.read = lambda: [((), float(self._connection.waiting))]
        metrics.bus_reconnects.read = lambda: [((), float(max(self.connections - 1, 0)))]
        metrics.bus_info.read = self._connection.info
        metrics.stream_fill.read = lambda: [((stream,), fill) for stream, fill in self._fill.items()]

    def listen(self, changed: Callable[[bool], None], tx_failed: Callable[[str], None]) -> None:
        """Once: ``changed(connected)`` when NATS goes away or comes back; ``tx_failed(cause)`` for each store
        of class tx without PubAck.
        """
        if self._on_change is not None:
            raise RuntimeError("the bus has its listener already")
        self._on_change, self._on_tx_failed = changed, tx_failed

    # -- life ---------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether NATS answers, as far as the client knows."""
        return self._connection.connected

    @property
    def connections(self) -> int:
        """How many connections to NATS there were."""
        return self._connection.number

    @property
    def tx_acks(self) -> int:
        """PubAcks of class tx so far."""
        return self.outgoing.tx_acks

    @property
    def max_payload(self) -> int:
        """What the server takes, headers and body together, in bytes."""
        return self._connection.client.max_payload

    @property
    def server_release(self) -> tuple[int, int, int]:
        """The release of the NATS server."""
        return connect.server_release(self._connection.client)

    async def start(self) -> None:
        """Connect and subscribe. Raises BusError when no server can be reached."""
        await self._connection.start()
        self._measuring = asyncio.create_task(self._gauges.run())
        self._clock.after(RETRY_AFTER, self._sweep)

    async def stop(self) -> None:
        """Send what is left and disconnect, also from a NATS that no longer reads."""
        self._closing = True
        if self._measuring is not None:
            self._measuring.cancel()
        await self._connection.stop()

    def _changed(self, connected: bool) -> None:
        if not self._closing and self._on_change is not None:
            self._on_change(connected)
        if not connected:
            self._fail_all()

    def _fail_all(self) -> None:
        """Nothing sent before a disconnect is waited for after it: whether it arrived is unknown."""
        asks, self._asks = self._asks, {}
        for owner in self.outgoing.fail_all():
            self._metrics.publish_failures.add("away")
            _not_stored(owner, NotStored.UNKNOWN)
        for ticket in asks.values():
            self._end_ask(ticket, "away")

    # -- the session's side (interfaces.Bus) -------------------------------------------------------------

    def ticket(self, done: Callable[[Any, Any], None], arg: Any) -> Ticket[Any, Any]:
        """See interfaces.Bus."""
        return Ticket(*self.outgoing.ticket(), done, arg)

    def store(self, ticket: Ticket[Any, Any], hpub: bytes, tx: bool = False) -> None:
        """See interfaces.Bus."""
        self.outgoing.put(ticket.token, ticket, hpub, tx, self._clock.now)
        if not self._connection.send(hpub):
            self._failed(ticket.token, "away")

    def ask(self, ticket: Ticket[Any, Any], hpub: bytes, timeout: float) -> None:
        """See interfaces.Bus."""
        self.await_reply(ticket, timeout)
        if not self._connection.send(hpub):
            self._end_ask(ticket, "away")

    def await_reply(self, ticket: Ticket[Any, Any], timeout: float) -> None:
        """See interfaces.Bus."""
        ticket.kind = "ask"
        self._expect(ticket, timeout)

    def emit(self, hpub: bytes) -> None:
        """See interfaces.Bus."""
        if not self._connection.send(hpub):
            self._metrics.publish_failures.add("away")

    def read(
        self, stream: str, seq: int, subject: str | None, done: Callable[[Any, Any], None], arg: Any
    ) -> None:
        """See interfaces.Bus. A direct get: any replica answers."""
        ticket = self.ticket(done, arg)
        ticket.kind, ticket.stream, ticket.subject = "read", stream, subject
        self._query(ticket, f"{self._api}DIRECT.GET.{stream}", seq)

    def read_leader(
        self, stream: str, seq: int, subject: str | None, done: Callable[[Any, Any], None], arg: Any
    ) -> None:
        """See interfaces.Bus. Not a direct get."""
        ticket = self.ticket(done, arg)
        ticket.kind, ticket.stream, ticket.subject = "read_leader", stream, subject
        self._query(ticket, f"{self._api}STREAM.MSG.GET.{stream}", seq)

    def _query(self, ticket: Ticket[Any, Any], api: str, seq: int) -> None:
        """Reading has no effect, so it is asked again until the deadline: after a 503, or if nothing came."""
        ticket.command = _core.publish(api, ticket.reply, [], reads.query(seq, ticket.subject))
        self._expect(ticket, _READ_TIMEOUT)
        self._read(ticket)

    def _read(self, ticket: Ticket[Any, Any]) -> None:
        if self._connection.send(ticket.command):
            ticket.asked += 1
            ticket.again = self._clock.after(_READ_TIMEOUT / 2, self._read, ticket)
        else:
            self._end_ask(ticket, "away")

    def _refused(self, ticket: Ticket[Any, Any]) -> None:
        """By a 503. In a storm there is a read for each charger: the waits double."""
        if ticket.again is not None:
            ticket.again.cancel()
        wait = RETRY_AFTER * 2 ** (ticket.asked - 1)
        ticket.again = self._clock.after(wait, self._read, ticket)

    def _expect(self, ticket: Ticket[Any, Any], timeout: float) -> None:
        self._asks[ticket.token] = ticket
        ticket.timer = self._clock.after(timeout, self._end_ask, ticket, "timeout")

    # -- subscriptions and streams -------------------------------------------------------------------

    def subscribe(self, subject: str, take: Callable[[Request], None], group: bool = True) -> Interest:
        """Pass requests on ``subject`` to ``take`` until the interest is ended.

        Stays over reconnects. Where there is no subscription, NATS answers "no responders" at once.
        ``group``: a request reaches one gateway; else every one.
        """
        return self._connection.interests.add(self._connection.client, subject, take, group)

    def jetstream(self) -> JetStreamManager:
        """The management of streams and consumers."""
        return self._connection.jetstream()

    async def open_inbox(self, take: Take) -> Subscription:
        """A subscription of an inbox of its own, until :meth:`close_inbox` or the connection ends."""
        return await self._connection.open_inbox(take)

    async def close_inbox(self, subscription: Subscription) -> None:
        """See open_inbox."""
        await self._connection.close_inbox(subscription)

    async def plan(self, config: Config) -> list[streams.Change]:
        """See streams.plan."""
        return await streams.plan(self._connection.client, config)

    async def covering(self, config: Config) -> str | None:
        """See streams.covering."""
        return await streams.covering(self._connection.client, config)

    async def fill(self, stream: str, within: float) -> float | None:
        """How full ``stream`` is, 0 to 1; None where no leader answers ``within`` seconds."""
        fill = await streams.fill(self._connection.jetstream(within), stream)
        if fill is None:
            self._fill.pop(stream, None)
        else:
            self._fill[stream] = fill
        return fill

    # -- the way in ---------------------------------------------------------------------------------

    def _acked(  # noqa: PLR0913, PLR0917 - as it comes from the core
        self, token: int, stream: str, domain: str, seq: int, duplicate: bool, body: bytes
    ) -> None:
        """A plain PubAck that no lane waits for (``_core.PubAcks``).

        Any that no store waits for is a message like others.
        """
        command = self.outgoing.command(token)
        try:
            if command is None or not self._acks.keeps(stream, domain, command):
                self._judge(token, b"", body)
            else:
                self._clock.now = time.monotonic()
                self._stored(token, Ack(stream, seq, duplicate))
        except Exception:  # of one charger: the others, and the connection, go on
            log.exception("bus.callback_failed", subject=self._connection.inbox.subject(token))

    def _received(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        del reply
        token = self._connection.inbox.counter(subject)
        if token is None:
            self.garbage("token", repr(subject))
            return
        try:
            self._judge(token, headers, data)
        except Exception:  # as above
            log.exception("bus.callback_failed", subject=subject.decode(errors="replace"))

    def _judge(self, token: int, headers: bytes, data: bytes) -> None:
        command = self.outgoing.command(token)
        if command is None:
            self._clock.refresh()
            self._route(token, headers, data)
            return
        self._clock.now = time.monotonic()
        match self._acks.judge(command, headers, data):
            case Ack() as ack:
                self._stored(token, ack)
            case NoAck() as why:
                self._not_acked(token, why, data)

    def _stored(self, token: int, ack: Ack) -> None:
        now = self._clock.now
        owner: Ticket[Any, Any] | Lane | None = self.outgoing.settle(token, now)
        if isinstance(owner, Lane):
            owner.stored(token, ack.duplicate, now)
        elif owner is not None:
            owner.done(owner.arg, ack)

    def _route(self, token: int, headers: bytes, data: bytes) -> None:
        ticket = self._asks.get(token)
        if ticket is None:
            return  # its deadline has passed, or it was answered before
        fields = parse_headers(headers)
        result: Reply | Stored | NotRead | reads.Unanswered
        if ticket.kind == "read":
            result = reads.parse_direct(fields, bytes(data), ticket.stream, ticket.subject)
        elif ticket.kind == "read_leader":
            result = reads.parse_leader(fields, bytes(data), ticket.subject)
        elif fields.get("Status") == "503" and not data:
            result = Reply("no_responders", {}, b"")
        else:
            result = Reply("reply", fields, bytes(data))
        if result is reads.Unanswered.NOT_NOW:
            self._refused(ticket)
        elif result is reads.Unanswered.FOREIGN:
            self.garbage("read", f"a reply of {len(data)} bytes to a read of {ticket.stream}")
        else:
            self._answered(ticket)
            ticket.done(ticket.arg, result)

    def _not_acked(self, token: int, why: NoAck, data: bytes) -> None:
        match why:
            case NoAck.GARBAGE:  # what JetStream says is still to come, or is missing at the deadline
                self.garbage("ack", f"{len(data)} bytes that are no PubAck of this message's stream")
            case NoAck.FULL:
                self._failed(token, "full")
            case NoAck.REFUSED:
                self._failed(token, "refused")
            case NoAck.NOT_NOW:
                sent = self.outgoing.sent(token)
                assert sent is not None
                if self._clock.now + RETRY_AFTER < sent + self._config.publish_timeout:
                    self._clock.after(RETRY_AFTER, self._store_again, token)
                else:
                    self._failed(token, "no_responders")
            case _:
                assert_never(why)

    def _store_again(self, token: int) -> None:
        if (command := self.outgoing.command(token)) is not None:
            self._metrics.publish_retries.add()
            if not self._connection.send(command):
                self._failed(token, "away")

    def _failed(self, token: int, cause: str) -> None:
        failed = self.outgoing.fail(token)
        if failed is None:
            return
        owner, tx = failed
        self._metrics.publish_failures.add(cause)
        if tx and self._on_tx_failed is not None:
            self._on_tx_failed(cause)
        _not_stored(owner, NotStored.REFUSED if cause == "refused" else NotStored.UNKNOWN)

    def _sweep(self) -> None:
        """Fail the stores whose PubAck did not come in time; at half-time send again what is silent.

        A leader that steps down loses what it has not stored. Once, and only class tx: it carries its
        Nats-Msg-Id, so at worst the PubAck says duplicate.
        """
        now, timeout = self._clock.now, self._config.publish_timeout
        late, silent = self.outgoing.overdue(now - timeout, now - timeout / 2)
        for token in late:
            self._failed(token, "timeout")
        for token in silent:
            command = self.outgoing.command(token)
            if command is not None and self._connection.send(command):
                self._metrics.publish_retries.add()
        if not self._closing:
            self._clock.after(RETRY_AFTER, self._sweep)

    def _answered(self, ticket: Ticket[Any, Any]) -> None:
        self._asks.pop(ticket.token, None)
        for timer in (ticket.timer, ticket.again):
            if timer is not None:
                timer.cancel()

    def _end_ask(
        self, ticket: Ticket[Any, Any], outcome: Literal["no_responders", "timeout", "away"]
    ) -> None:
        self._answered(ticket)
        ticket.done(ticket.arg, Reply(outcome, {}, b"") if ticket.kind == "ask" else NotRead.UNREADABLE)


def _not_stored(owner: "Ticket[Any, Any] | Lane", why: NotStored) -> None:
    """The publish of a ticket or of a lane is not stored, or may not be."""
    if isinstance(owner, Lane):
        owner.not_stored()
    else:
        owner.done(owner.arg, why)
