"""The one connection of a process to NATS: connecting, reconnecting, and the bytes that wait to be written.

What is sent leaves in one write a millisecond at most (outbox). Not here: what the bytes mean (bus).
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable
from functools import partial

import structlog
from nats.errors import SlowConsumerError
from nats.js import JetStreamManager

from voltgate._core import Inbox, Outgoing, PubAcks
from voltgate.config import Nats
from voltgate.gateway.bus import uplink
from voltgate.gateway.bus.acks import KEY
from voltgate.gateway.bus.connect import BusError, connect_options, keep_reconnecting, unusable
from voltgate.gateway.bus.domain import BUCKETS, within
from voltgate.gateway.bus.garbage import Garbage
from voltgate.gateway.bus.outbox import Outbox
from voltgate.gateway.bus.subscriptions import Client, Interests, Subscription, Take
from voltgate.gateway.clock import Wheel, later
from voltgate.gateway.telemetry.metrics import Metrics

log = structlog.get_logger()

_LAST_WRITE = 1.0  # seconds for what is left to reach NATS at the end
_OVERLAP = 2.0  # seconds that a client stays after another has taken its place


class Connection:
    """``acked`` takes the plain PubAcks of the inbox, ``received`` each other message of it;
    ``changed(connected)``: NATS went away or came back.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        config: Nats,
        clock: Wheel,
        metrics: Metrics,
        garbage: Garbage,
        acked: uplink.TakeAck,
        received: Take,
        changed: Callable[[bool], None],
    ) -> None:
        self._config, self._metrics = config, metrics
        self._acked, self._received, self._changed = acked, received, changed
        self.client = Client(config.domain)
        self.connected = False
        self.number = 0
        """How many connections there were: a subscription of an earlier one may have missed messages."""
        # Of our own making: nats-py's names follow one from another, and subscribers of facts see this one.
        self._inbox = _new_inbox(config)
        self.inbox = Inbox(self._inbox, secrets.token_bytes(16))
        """The reply subjects of this process."""
        streams, bounds = config.stream_prefix, metrics.publish_ack_seconds.cell().bounds
        self.outgoing = Outgoing(self.inbox, f"{streams}_TX", f"{streams}_EVENTS", config.domain, bounds)
        """What waits to be written, or for its PubAck."""
        self.interests = Interests(clock, self._send_line, self._may_answer, garbage)
        self._closing = False
        self._moving = False  # another client is about to take the place of ``client``
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._out = Outbox(self.outgoing, time.monotonic, later, self._wake.set)
        self._max_waiting = config.max_pending_bytes
        self._key = KEY.replace(BUCKETS.encode(), within(config.domain, BUCKETS).encode())
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """Bytes on their way to NATS that are still in this process."""
        return self.outgoing.size + (uplink.waiting(self.client) if self.connected else 0)

    def info(self) -> list[tuple[tuple[str, str], float]]:
        """The server as a metric: its address and release."""
        if not self.connected or (url := self.client.connected_url) is None:
            return []
        version = self.client.connected_server_version
        return [((f"{url.hostname}:{url.port}", f"{version.major}.{version.minor}.{version.patch}"), 1.0)]

    # -- life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect and subscribe. Raises BusError when no server can be reached."""
        await self._connect()
        self._tasks = [asyncio.create_task(self._pump())]

    async def stop(self) -> None:
        """Send what is left and disconnect, also from a NATS that no longer reads."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WRITE)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LAST_WRITE):
                if self.connected:
                    await self._write()
                    await self.client.flush()
        if self.number:  # nats-py cannot close a client that was never connected
            uplink.forget(self.client)  # it would write what waits to a connection that is gone, and fail
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WRITE):
                    await self.client.close()
            uplink.cut(self.client)

    async def _dial(self, urls: list[str]) -> Client:
        """A client that is connected to one of them and receives the inbox. Raises BusError."""
        client = Client(self._config.domain)
        inbox = Subscription(client, f"{self._inbox}.*.*", self._received)
        uplink.attach(client, urls, PubAcks(self.inbox, inbox.id, self.outgoing), self._acked)
        options = connect_options(self._config, self._config.inbox_prefix) | {"servers": urls}
        try:
            await client.connect(
                **options,
                name="voltgate",
                # Never reached: send counts first. nats-py would stop the pump for ten seconds.
                pending_size=2 * self._max_waiting,
                flusher_queue_size=0,  # a full one would hold up the pings that find a dead server
                error_cb=partial(self._client_error, client),
                disconnected_cb=partial(self._disconnected, client),
                reconnected_cb=partial(self._reconnected, client),
                closed_cb=partial(self._closed, client),
                lame_duck_mode_cb=partial(self._server_leaves, client),
            )
            keep_reconnecting(client)
            await uplink.hand_over(client, inbox.sub)
            await client.flush()
        except Exception as error:
            with contextlib.suppress(AssertionError):  # of nats-py, for a client that never dialled
                await client.close()
            raise unusable(self._config, error) from None
        log.info("bus.connected", server=uplink.server(client))
        return client

    async def _connect(self) -> None:
        self._use(await self._dial(self._config.urls))

    def _use(self, client: Client) -> None:
        self.client, self.connected, self._moving = client, True, False
        self.number += 1
        self.outgoing.opened(client.max_payload, self._max_waiting)
        self.interests.begin(client)

    # -- a server in lame duck mode -----------------------------------------------------------------

    async def _server_leaves(self, client: Client) -> None:
        """The server of ``client`` announces that it will shut down; it takes no new connections."""
        if client is self.client and not self._closing:
            log.info("bus.shutdown_announced", server=uplink.server(client))
            self._tasks.append(asyncio.create_task(self._move(client, self.number)))

    async def _move(self, old: Client, number: int) -> None:
        """Connect to another server before this one closes the connection, so that nothing is interrupted."""
        urls = self._config.urls + uplink.discovered(old, self._config.urls)
        while self.number == number:  # else the old client has found another server itself
            try:
                new = await self._dial(urls)
            except BusError:
                await asyncio.sleep(0.5 + random.random())  # noqa: S311 - jitter
                continue
            async with self._writing:
                await self._replace(old, new, number)
            return

    async def _replace(self, old: Client, new: Client, number: int) -> None:
        self._moving = True
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LAST_WRITE):
                # Facts of one charger are stored in the order in which they were read: what was sent by the
                # old client is at its server, and on its way to the stream, before the new one sends any.
                await self._write()
                await old.flush()
                await old.flush()  # nats-py's first PING may overtake what waits in its buffer
        was_connected = self.connected
        if self.number != number:
            self._moving = False
            await new.close()
            return
        self._use(new)
        if not was_connected:
            self._changed(True)
        self._wake.set()
        self._tasks.append(asyncio.create_task(self._retire(old)))

    async def _retire(self, old: Client) -> None:
        """Requests and replies reach the old client until every server knows the new subscriptions."""
        try:
            await asyncio.sleep(_OVERLAP)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WRITE):
                    await old.close()
            uplink.cut(old)

    # -- when it goes ---------------------------------------------------------------------------------

    async def _reconnect_closed(self) -> None:
        """The client closes itself for good on some server errors; a new one takes its place."""
        while not self._closing and not self.connected:
            try:
                await self._connect()
            except BusError as error:
                log.warning("bus.connect_failed", error=str(error))
                await asyncio.sleep(1 + random.random())  # noqa: S311 - jitter
        if self.connected:
            self._changed(True)

    async def _disconnected(self, client: Client) -> None:
        if self.connected and client is self.client:
            self.connected = False
            log.warning("bus.disconnected", server=uplink.server(client))
            self._out.take()  # what waits was reported as not stored
            self.outgoing.closed()
            self._changed(False)
        uplink.forget(client)

    async def _reconnected(self, client: Client) -> None:
        if client is not self.client:
            return
        log.info("bus.connected", server=uplink.server(client))
        self.connected = True
        self.outgoing.opened(client.max_payload, self._max_waiting)
        self.number += 1
        self.interests.resume()
        self._changed(True)

    async def _closed(self, client: Client) -> None:
        await self._disconnected(client)
        if client is self.client and not self._closing:
            self._tasks.append(asyncio.create_task(self._reconnect_closed()))

    async def _client_error(self, client: Client, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            self._metrics.bus_dropped.add()
        if not self._closing:
            log.warning(
                "bus.client_failed",
                server=uplink.server(client),
                error=str(error) or type(error).__name__,
            )

    # -- the way out --------------------------------------------------------------------------------

    def send(self, hpub: bytes) -> bool:
        """Whether a publish was queued: NATS is connected, and ``nats.max_pending_bytes`` not exceeded."""
        # One over max_payload would make the server drop the connection of every charger.
        if self._config.domain and hpub.startswith(KEY):
            hpub = self._key + hpub.removeprefix(KEY)
        if self.outgoing.send(hpub):
            return True
        if not self.connected:
            return False
        self.outgoing.written = uplink.waiting(self.client)  # the server may have read since
        return self.outgoing.send(hpub)

    def _send_line(self, client: Client, line: bytes) -> bool:
        """A protocol line about a subscription; exempt from the bounds, there are two per charger."""
        if not self.connected or self._moving or client is not self.client:
            return False
        self.outgoing.add(line)
        return True

    def _may_answer(self, subject: str, reply: str) -> bool:
        """Whether a request on ``subject`` is answered at ``reply``, which the caller chose.

        Where the caller could publish itself (docs/contract.md 3.5); and a gateway that probes a charger here
        (3.6) gets its answer in its own inbox: its text is ours, not the caller's.
        """
        config = self._config
        return config.may_answer(reply) or (
            subject.startswith(f"{config.rpc_prefix}.link.")
            and config.is_inbox(reply)
            and not reply.startswith(f"{self._inbox}.")
        )

    async def _pump(self) -> None:
        while True:
            await self._wake.wait()
            try:
                async with self._writing:
                    await self._write()
            except Exception as error:  # the client's own reconnect deals with the connection
                log.warning(
                    "bus.write_failed",
                    server=uplink.server(self.client),
                    error=str(error) or type(error).__name__,
                )

    async def _write(self) -> None:
        self._wake.clear()
        if out := self._out.take():
            await uplink.hand_over(self.client, out)
        # What has not left yet, because the server reads slowly or not at all.
        self.outgoing.written = uplink.waiting(self.client)

    # -- streams ------------------------------------------------------------------------------------

    def jetstream(self, timeout: float = 5.0) -> JetStreamManager:
        """The management of streams and consumers; each request may take ``timeout`` seconds."""
        return self.client.jsm(timeout=timeout)

    async def open_inbox(self, take: Take) -> Subscription:
        """A subscription of a new inbox, for as long as this connection."""
        subscription = Subscription(self.client, _new_inbox(self._config), take)
        await uplink.hand_over(self.client, subscription.sub)
        return subscription

    async def close_inbox(self, subscription: Subscription) -> None:
        """The opposite; nothing is sent on a connection that is not its own."""
        subscription.drop()
        if subscription.client is self.client and self.connected:
            with contextlib.suppress(Exception):  # of a connection that is going
                await uplink.hand_over(self.client, subscription.unsub)


def _new_inbox(config: Nats) -> str:
    return f"{config.inbox_prefix}.{secrets.token_urlsafe(16)}"
