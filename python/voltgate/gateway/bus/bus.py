"""The bus: one NATS connection of one process. Publishes, PubAcks, questions, reading back, commands.

Every answer from NATS comes through one wildcard inbox, told apart by integer tokens, so a message costs a
dict entry and no future, task or subscription. What the session puts here leaves in one write per loop turn.
Not here: what is published (session, links), whether NATS is well enough to take chargers (outage).
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import orjson
import structlog
from nats.errors import SlowConsumerError

from voltgate.config import Nats
from voltgate.gateway.bus import uplink
from voltgate.gateway.bus.client import Client, Subscription, parse_headers
from voltgate.gateway.bus.connect import BusError, connect_options, keep_reconnecting
from voltgate.gateway.bus.interests import Interest, Interests
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Ack, NotRead, NotStored, Reply, Request, Stored, Ticket
from voltgate.gateway.metrics import Metrics

log = structlog.get_logger()

RETRY_AFTER = 0.25  # seconds; short 503s of a leader election are normal (NATS.md, JetStream)
# The stream, or what it may use of the server or the account, is full.
FULL = {10077, 10047, 10028, 10023, 10002}
# The same Nats-Msg-Id is on its way to a quorum: soon it is a duplicate, or can be stored.
IN_PROCESS = 10158
_READ_TIMEOUT = 5.0
_GOODBYE = 1.0  # seconds for what is left to reach NATS at the end


class Bus:
    """See the module. ``on_change(connected)`` tells when NATS went away or came back."""

    def __init__(self, config: Nats, clock: Wheel, metrics: Metrics) -> None:
        self._config, self._clock, self._metrics = config, clock, metrics
        self.client = Client()
        self.on_change: Callable[[bool], None] = lambda connected: None
        self.on_tx: Callable[[str], None] = lambda cause: None
        self.tx_late = 0  # PubAcks of class tx that did not come in time, in a row
        self._connected = False
        self._closing = False
        self._tokens = 0
        self._inbox = ""
        # Insertion order is deadline order: every store waits equally long.
        self._stores: dict[int, Ticket[Any, Any]] = {}
        self._asks: dict[int, Ticket[Any, Any]] = {}
        self._out: list[bytes] = []
        self._waiting_bytes = self._written_bytes = 0
        self._max_waiting = config.max_pending_bytes
        self._max_payload = 0
        self._interests = Interests(clock, self._say)
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ack_seconds = metrics.publish_ack_seconds.cell()
        metrics.bus_connected.read = lambda: [((), float(self._connected))]
        metrics.bus_pending.read = lambda: [((), float(len(self._stores) + len(self._asks)))]

    # -- life ---------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether NATS answers, as far as the client knows."""
        return self._connected

    @property
    def max_payload(self) -> int:
        """What the server takes, headers and body together, in bytes."""
        return self.client.max_payload

    async def start(self) -> None:
        """Connect and subscribe. Raises BusError when no server can be reached."""
        await self._connect()
        self._tasks = [asyncio.create_task(self._pump())]
        self._clock.after(RETRY_AFTER, self._sweep)

    async def stop(self) -> None:
        """Send what is left and disconnect, also from a NATS that no longer reads."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_GOODBYE):
                if self._connected:
                    await self._write()
                    await self.client.flush()
        if self._inbox:  # nats-py cannot close a client that was never connected
            uplink.forget(self.client)  # it would write what waits to a connection that is gone, and fail
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self.client.close()
            uplink.cut(self.client)

    async def _connect(self) -> None:
        client = Client()
        uplink.attach(client, self._config.urls)
        options = connect_options(self._config)
        try:
            await client.connect(
                **options,
                name="voltgate",
                # Never reached: _send counts first. nats-py would stop the pump for ten seconds.
                pending_size=2 * self._max_waiting,
                flusher_queue_size=0,  # a full one would hold up the pings that find a dead server
                error_cb=self._client_error,
                disconnected_cb=partial(self._disconnected, client),
                reconnected_cb=partial(self._reconnected, client),
                closed_cb=partial(self._closed, client),
            )
            keep_reconnecting(client)
            inbox = client.new_inbox()
            await uplink.hand_over(client, Subscription(client, f"{inbox}.*", self._received).command)
            await client.flush()
        except Exception as error:
            await client.close()
            raise BusError(f"NATS at {self._config.shown} cannot be used: {error}") from None
        self.client, self._inbox, self._connected = client, inbox + ".", True
        self._max_payload = client.max_payload
        self._interests.begin(client)

    async def _reconnect_closed(self) -> None:
        """The client closes itself for good on some server errors; a new one takes its place."""
        while not self._closing and not self._connected:
            try:
                await self._connect()
            except BusError as error:
                log.warning("bus.connect_failed", error=str(error))
                await asyncio.sleep(1 + random.random())  # noqa: S311 - jitter
        if self._connected:
            self.on_change(True)

    async def _disconnected(self, client: Client) -> None:
        if self._connected and client is self.client:
            self._connected = False
            if not self._closing:
                self.on_change(False)
            self._fail_all()
        uplink.forget(client)

    async def _reconnected(self, client: Client) -> None:
        self._connected = client is self.client
        self._interests.resume()
        self.on_change(self._connected)

    async def _closed(self, client: Client) -> None:
        await self._disconnected(client)
        if client is self.client and not self._closing:
            self._tasks.append(asyncio.create_task(self._reconnect_closed()))

    async def _client_error(self, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            self._metrics.bus_dropped.add()
        if not self._closing:
            log.warning("bus.client", error=str(error) or type(error).__name__)

    def _fail_all(self) -> None:
        """Nothing sent before a disconnect is waited for after it: who knows whether it arrived."""
        stores, self._stores = self._stores, {}
        asks, self._asks = self._asks, {}
        self._out, self._waiting_bytes, self._written_bytes = [], 0, 0
        for ticket in stores.values():
            self._metrics.publish_failures.add("away")
            ticket.done(ticket.arg, NotStored.UNKNOWN)
        for ticket in asks.values():
            self._end_ask(ticket, "away")

    # -- the session's side (ports.Bus) ---------------------------------------------------------------

    def ticket(self, done: Callable[[Any, Any], None], arg: Any) -> Ticket[Any, Any]:
        """See ports.Bus."""
        self._tokens = token = self._tokens + 1
        return Ticket(token, f"{self._inbox}{token}", done, arg)

    def store(self, ticket: Ticket[Any, Any], hpub: bytes, tx: bool = False) -> None:
        """See ports.Bus."""
        now = self._clock.now
        ticket.hpub, ticket.tx, ticket.sent = hpub, tx, now
        ticket.deadline = now + self._config.publish_timeout
        self._stores[ticket.token] = ticket
        if not self._send(hpub):
            self._failed(ticket, "away")

    def ask(self, ticket: Ticket[Any, Any], hpub: bytes, timeout: float) -> None:
        """See ports.Bus."""
        self._expect(ticket, "ask", timeout)
        if not self._send(hpub):
            self._asks.pop(ticket.token, None)
            self._end_ask(ticket, "away")

    def emit(self, hpub: bytes) -> None:
        """See ports.Bus."""
        if not self._send(hpub):
            self._metrics.publish_failures.add("away")

    def read(
        self, stream: str, seq: int, subject: str | None, done: Callable[[Any, Any], None], arg: Any
    ) -> None:
        """See ports.Bus. A direct get: any replica answers (NATS.md, JetStream)."""
        query: dict[str, Any] = {"seq": seq}
        if subject is not None:
            query = {"last_by_subj": subject} if not seq else query | {"next_by_subj": subject}
        ticket = self.ticket(done, arg)
        self._expect(ticket, "read", _READ_TIMEOUT)
        body = orjson.dumps(query)
        command = b"PUB $JS.API.DIRECT.GET.%s %s %d\r\n%s\r\n" % (
            stream.encode(), ticket.reply.encode(), len(body), body,
        )  # fmt: skip
        if not self._send(command):
            self._asks.pop(ticket.token, None)
            self._end_ask(ticket, "away")

    def _expect(self, ticket: Ticket[Any, Any], kind: Literal["ask", "read"], timeout: float) -> None:
        ticket.kind = kind
        self._asks[ticket.token] = ticket
        ticket.timer = self._clock.after(timeout, self._ask_timed_out, ticket)

    # -- commands -----------------------------------------------------------------------------------

    def subscribe(self, subject: str, take: Callable[[Request], None]) -> Interest:
        """Hand requests on ``subject`` to ``take`` until the interest is ended; none is shared.

        Stays over reconnects. Where nobody subscribes, NATS says "no responders" at once.
        """
        return self._interests.add(self.client, subject, take)

    # -- the way out --------------------------------------------------------------------------------

    def _send(self, command: bytes) -> bool:
        # A command over max_payload would make the server drop the connection of every charger (NATS.md).
        size = len(command)
        if not self._connected or size > self._max_payload:
            return False
        if self._waiting_bytes + self._written_bytes > self._max_waiting:
            self._written_bytes = uplink.waiting(self.client)  # the server may have read since
            if self._waiting_bytes + self._written_bytes > self._max_waiting:
                return False
        if not self._out:
            self._wake.set()
        self._out.append(command)
        self._waiting_bytes += size
        return True

    def _say(self, client: Client, command: bytes) -> bool:
        """About a subscription, whose id is its client's: passes all bounds, there are two a charger."""
        if not self._connected or client is not self.client:
            return False
        self._out.append(command)
        self._wake.set()
        return True

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            try:
                await self._write()
            except Exception as error:  # the client's own reconnect deals with the connection
                log.warning("bus.write", error=str(error) or type(error).__name__)

    async def _write(self) -> None:
        self._wake.clear()
        out, self._out, self._waiting_bytes = self._out, [], 0
        if out:
            await uplink.hand_over(self.client, b"".join(out))
        # What has not left yet, because the server reads slowly or not at all.
        self._written_bytes = uplink.waiting(self.client)

    # -- the way in ---------------------------------------------------------------------------------

    def _received(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        del reply
        try:
            token = int(subject[len(self._inbox) :])
            ticket = self._stores.get(token)
            if ticket is None:
                self._clock.refresh()
                self._route(token, parse_headers(headers), bytes(data))
                return
            self._clock.now = now = time.monotonic()
            body = orjson.loads(data) if data else {}
            if isinstance(body, dict) and "seq" in body and "stream" in body and "error" not in body:
                del self._stores[token]
                self._ack_seconds.observe(now - ticket.sent)
                if ticket.tx:
                    self.tx_late = 0
                ticket.done(ticket.arg, Ack(body["stream"], body["seq"], "duplicate" in body))
            else:
                self._not_acked(ticket, body if isinstance(body, dict) else {})
        except Exception:  # of one charger: the others, and the connection, go on
            log.exception("bus.callback_failed", subject=subject.decode(errors="replace"))

    def _route(self, token: int, headers: dict[str, str], data: bytes) -> None:
        ticket = self._asks.pop(token, None)
        if ticket is None:
            return  # late: its deadline has passed, or somebody answered twice
        if ticket.timer is not None:
            ticket.timer.cancel()
        if ticket.kind == "read":
            self._was_read(ticket, headers, data)
        elif headers.get("Status") == "503" and not data:
            self._end_ask(ticket, "no_responders")
        else:
            ticket.done(ticket.arg, Reply("reply", headers, data))

    def _not_acked(self, ticket: Ticket[Any, Any], body: dict[str, Any]) -> None:
        error = body.get("error") or {}
        if error.get("err_code") in FULL:
            self._failed(ticket, "full")
        elif not error or error.get("code") == 503 or error.get("err_code") == IN_PROCESS:
            # No responders, or no leader for a moment.
            if self._clock.now + RETRY_AFTER < ticket.deadline:
                self._clock.after(RETRY_AFTER, self._store_again, ticket)
            else:
                self._failed(ticket, "no_responders")
        else:
            self._failed(ticket, "refused")

    def _store_again(self, ticket: Ticket[Any, Any]) -> None:
        if ticket.token in self._stores:
            self._metrics.publish_retries.add()
            if not self._send(ticket.hpub):
                self._failed(ticket, "away")

    def _failed(self, ticket: Ticket[Any, Any], cause: str) -> None:
        if self._stores.pop(ticket.token, None) is None:
            return
        self._metrics.publish_failures.add(cause)
        if ticket.tx:
            self.tx_late += cause == "timeout"
            self.on_tx(cause)
        ticket.done(ticket.arg, NotStored.REFUSED if cause == "refused" else NotStored.UNKNOWN)

    def _sweep(self) -> None:
        """Fail the stores whose PubAck did not come in time; at half-time send again what is silent.

        A leader that steps down swallows what it has not stored. Once, and only class tx: it carries its
        Nats-Msg-Id, so at worst the PubAck says duplicate.
        """
        now, half = self._clock.now, self._config.publish_timeout / 2
        late, silent = [], []
        for ticket in self._stores.values():
            if ticket.deadline - half > now:
                break
            if ticket.deadline <= now:
                late.append(ticket)
            elif ticket.tx and not ticket.again:
                silent.append(ticket)
        for ticket in late:
            self._failed(ticket, "timeout")
        for ticket in silent:
            ticket.again = True
            if self._send(ticket.hpub):
                self._metrics.publish_retries.add()
        if not self._closing:
            self._clock.after(RETRY_AFTER, self._sweep)

    def _ask_timed_out(self, ticket: Ticket[Any, Any]) -> None:
        if self._asks.pop(ticket.token, None) is not None:
            self._end_ask(ticket, "timeout")

    def _end_ask(
        self, ticket: Ticket[Any, Any], outcome: Literal["no_responders", "timeout", "away"]
    ) -> None:
        if ticket.timer is not None:
            ticket.timer.cancel()
        ticket.done(ticket.arg, NotRead.UNREADABLE if ticket.kind == "read" else Reply(outcome, {}, b""))

    def _was_read(self, ticket: Ticket[Any, Any], headers: dict[str, str], data: bytes) -> None:
        if headers.get("Status") == "404":
            ticket.done(ticket.arg, NotRead.MISSING)
        elif "Nats-Sequence" in headers:
            ticket.done(ticket.arg, Stored(int(headers["Nats-Sequence"]), headers, data))
        else:
            ticket.done(ticket.arg, NotRead.UNREADABLE)
