"""The courier: takes notices from ``OPS_ALERT`` and delivers each to every channel that wants it.

Each channel has a durable consumer of the stream, which is the outbox: what is not acknowledged comes again,
also after a restart, when its time has come. Channels are read anew every ``reread`` seconds; a channel gets
the notices from its first reading on.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import assert_never

import aiohttp
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from voltgate.csms.alerts import channels
from voltgate.csms.alerts.channels import Channel
from voltgate.csms.alerts.delivery import LAST, Again, Delivered, Delivery, GivenUp
from voltgate.csms.alerts.mail import Server
from voltgate.csms.alerts.notices import Notice
from voltgate.csms.alerts.rules import RESERVED
from voltgate.csms.ledger.facts import identity
from voltgate.ending import ended

log = structlog.get_logger()

_ACK_WAIT = 60.0  # longer than one attempt
_FORGOTTEN = 2 * LAST.total_seconds()  # a consumer that nobody reads: of a channel that was removed
_FETCH = 5.0
_AGAIN = 1.0


class Courier:
    """One run; several share the consumers, and each notice is delivered by one of them."""

    def __init__(
        self,
        client: Client,
        prefix: str,
        server: Server | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        reread: float = 10.0,
    ) -> None:
        self._client, self._prefix, self._server, self._now = client, prefix, server, now
        self._reread = reread
        self._stream, self._people = f"{prefix.upper()}_ALERT", f"{prefix.upper()}_PEOPLE"
        self._running: dict[str, tuple[Channel, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with aiohttp.ClientSession(trust_env=True) as http:
            delivery = Delivery(http, self._server)
            try:
                while True:
                    try:
                        await self._follow(await self._channels(), delivery)
                    except (Error, TimeoutError) as error:
                        log.warning("channels.unread", error=type(error).__name__)
                    await asyncio.sleep(self._reread)
            finally:
                await self._follow({}, delivery)

    async def _follow(self, wanted: dict[str, Channel], delivery: Delivery) -> None:
        """Start what is new, end what is gone or has changed."""
        for name, (channel, task) in list(self._running.items()):
            if wanted.get(name) != channel:
                await ended([task])
                del self._running[name]
        for name, channel in wanted.items():
            if name not in self._running:
                task = asyncio.get_running_loop().create_task(self._serve(name, channel, delivery))
                self._running[name] = channel, task

    async def _channels(self) -> dict[str, Channel]:
        """By id. The consumer of a channel that is gone is deleted, and with it what was not delivered."""
        kind = f"{self._prefix}.person.channel."
        info = await self._client.jsm().stream_info(self._people, subjects_filter=f"{kind}*")
        found: dict[str, Channel] = {}
        for subject in info.state.subjects or {}:
            with suppress(NotFoundError):
                entry = await self._client.jsm().get_last_msg(self._people, subject)
                name = identity(subject.removeprefix(kind))
                if not entry.data:
                    continue
                try:
                    found[name] = channels.parsed(orjson.loads(entry.data))
                except (ValueError, AttributeError) as error:
                    log.warning("channel.refused", channel=name, error=str(error))
        for name in self._running.keys() - found.keys():
            with suppress(NotFoundError):
                await self._client.jsm().delete_consumer(self._stream, _durable(name))
        return found

    async def _serve(self, name: str, channel: Channel, delivery: Delivery) -> None:
        while True:
            try:
                subscription = await self._subscription(name)
                try:
                    while True:
                        with suppress(NatsTimeoutError, TimeoutError):
                            for msg in await subscription.fetch(1, timeout=_FETCH):
                                await self._deliver(msg, name, channel, delivery)
                finally:  # else the server sends the next one here, and waits for its acknowledgement
                    with suppress(Error):
                        await subscription.unsubscribe()
            except Error as fault:
                log.warning("channel.failed", channel=name, error=str(fault) or type(fault).__name__)
                await asyncio.sleep(_AGAIN)

    async def _subscription(self, name: str) -> JetStreamContext.PullSubscription:
        return await self._client.jetstream().pull_subscribe(
            f"{self._prefix}.alert.{RESERVED}.*.*",
            durable=_durable(name),
            stream=self._stream,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.NEW, ack_wait=_ACK_WAIT, inactive_threshold=_FORGOTTEN
            ),
        )

    async def _deliver(self, msg: Msg, name: str, channel: Channel, delivery: Delivery) -> None:
        try:
            notice = Notice.parsed(msg.data)
        except ValueError as fault:
            log.warning("notice.skipped", error=str(fault))
            await msg.term()
            return
        if notice.channels is not None and name not in notice.channels:
            await msg.ack()
            return
        number = msg.metadata.num_delivered or 1
        try:
            outcome = await delivery.attempt(notice, channel, number, self._now())
        except asyncio.CancelledError:
            await msg.nak()
            raise
        match outcome:
            case Delivered():
                log.info("notice.delivered", channel=name, notice=notice.id, attempts=number)
                await msg.ack()
            case Again(after, error):
                log.warning("notice.failed", channel=name, notice=notice.id, attempts=number, error=error)
                await msg.nak(delay=after.total_seconds())
            case GivenUp(error):
                log.error("notice.dropped", channel=name, notice=notice.id, attempts=number, error=error)
                await msg.term()
            case _:
                assert_never(outcome)


def _durable(name: str) -> str:
    """A consumer's name: no dot, no space, no wildcard."""
    return f"voltgate-channel-{name.encode().hex()}"
