"""Subscriptions that take their messages at once: no queue, no task and no message object.

nats-py's own cost 4.7 KB and 22 us each, and every charger has two; these cost 0.5 KB and 2 us. A message
comes as four byte strings, without parsed headers. Touches nats-py's inside, as ``uplink`` does: pinned to
>=2.16,<2.17, guarded by tests/gateway/bus/test_pin.py.

Chargers have one subscription for each of their subjects. Where there is none, NATS answers "no responders"
at once: a caller learns within milliseconds that a charger is not connected (docs/contract.md 3.5).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from nats.js import JetStreamContext, JetStreamManager
from nats.js.api import PubAck

from voltgate import _core
from voltgate.gateway.bus.domain import js_api, within
from voltgate.gateway.bus.garbage import Garbage
from voltgate.gateway.bus.insist import InsistingClient
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Request

log = structlog.get_logger()

# subject, reply subject ("" for none), header block (empty for none), body
Take = Callable[[bytes, bytes, bytes, bytes], None]

# Seconds a subscription stays known here after its end was sent: requests already on their way are answered.
LINGER = 1.0

_VERSION = b"NATS/1.0"
_STATUS = ("Status", "Description")

GROUP = "voltgate"  # the queue group of all gateways


class _Context(JetStreamContext):
    """nats-py's, whose buckets write to plain subjects in whatever domain they are."""

    async def publish(self, subject: str, *arguments: Any, **options: Any) -> PubAck:
        client = self._nc
        assert isinstance(client, Client)
        return await super().publish(within(client.domain, subject), *arguments, **options)


class Client(InsistingClient):
    """nats-py's client. Its JetStream is that of ``domain``, where one is named."""

    def __init__(self, domain: str = "") -> None:
        super().__init__()
        self.domain = domain

    def jetstream(self, **options: Any) -> JetStreamContext:
        """As nats-py's."""
        return _Context(self, **self._prefix, **options)

    def jsm(self, **options: Any) -> JetStreamManager:
        """As nats-py's."""
        return super().jsm(**self._prefix, **options)

    @property
    def _prefix(self) -> dict[str, Any]:
        return {"prefix": js_api(self.domain).removesuffix(".")} if self.domain else {}

    async def _process_pong(self) -> None:
        if self._pongs and self._pongs[0].done():
            # Whoever waited has given up: nats-py would fail, and not read from this connection again.
            self._pongs[0] = asyncio.Future()
        await super()._process_pong()

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        # In a third of nats-py's time, which is most of what it takes for a message.
        return parse_headers(headers) or None if headers else None

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        known: object = self._subs.get(sid)
        if isinstance(known, Subscription):
            known.take(subject, reply, headers or b"", data)  # nats-py has None for no headers
        else:
            # Of what is not text nats-py makes an exception, which would end the connection.
            with suppress(ValueError, IndexError):
                await super()._process_msg(sid, subject, reply, data, headers)


class Subscription:
    """A subscription of ``client``, which sends it again after each reconnect, until :meth:`drop`.

    ``take`` is called with each message as it is read, and must not raise. ``sub`` and ``unsub`` are the
    protocol lines that begin and end it; the caller sends them, because only the caller knows when it may
    write.
    """

    __slots__ = ("client", "id", "subject", "take")

    # What nats-py asks of a subscription and is the same for all of ours: no limits, no iterator, no task.
    _queue = ""
    _max_msgs = 0
    _wait_for_msgs_task = _message_iterator = _pending_next_msgs_calls = None

    def __init__(self, client: Client, subject: str, take: Take) -> None:
        self.client, self.subject, self.take = client, subject, take
        client._sid += 1
        self.id = client._sid
        client._subs[self.id] = self  # type: ignore[assignment]

    @property
    def _subject(self) -> str:
        """nats-py's name for it."""
        return self.subject

    @property
    def sub(self) -> bytes:
        """Begins it at the server; sending it twice does no harm."""
        return _core.subscribe(self.subject, self._queue, self.id)

    @property
    def unsub(self) -> bytes:
        """Ends it at the server; messages sent before still arrive."""
        return _core.unsubscribe(self.id)

    def drop(self) -> None:
        """Take no more messages, and do not subscribe again."""
        self.client._subs.pop(self.id, None)


class GroupSubscription(Subscription):
    """The same in the queue group of all gateways: a request reaches one of them."""

    __slots__ = ()

    _queue = GROUP


def _is_text(subject: bytes) -> bool:
    """Whether it is UTF-8; nearly every subject is ASCII."""
    if subject.isascii():
        return True
    try:
        subject.decode()
    except UnicodeDecodeError:
        return False
    return True


def parse_headers(block: bytes) -> dict[str, str]:
    """The headers of a message; ``Status`` and ``Description`` are those of its first line (ADR-4)."""
    if not block:
        return {}
    first, *lines = block.decode(errors="replace").split("\r\n")
    headers = {}
    status = first[len(_VERSION) :].strip()
    if status:
        headers["Status"], _, headers["Description"] = status.partition(" ")
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and name not in _STATUS:  # only the server's first line sets a status, never a publisher
            headers[name] = value.strip()
    return headers


class Interest:
    """Requests on one subject, until :meth:`end`."""

    __slots__ = ("_all", "_kind", "_subscription", "_take", "subject")

    def __init__(
        self, all_: "Interests", subject: str, take: Callable[[Request], None], kind: type[Subscription]
    ) -> None:
        self._all, self.subject, self._take, self._kind = all_, subject, take, kind
        self._subscription: Subscription | None = None

    def begin(self, client: Client) -> Subscription:
        """Subscribe by ``client``."""
        self._subscription = subscription = self._kind(client, self.subject, self._received)
        return subscription

    def end(self) -> None:
        """Take no more requests: at once for new ones, after :data:`LINGER` for those on their way."""
        subscription, self._subscription = self._subscription, None  # else the two would be a reference cycle
        self._all.forget(self, subscription)

    def _received(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        self._all.clock.refresh()
        # What is not text is unknown below, and answered as such.
        request = Request(
            subject.decode(errors="replace"),
            reply.decode(errors="replace"),
            parse_headers(headers),
            bytes(data),
        )
        if not _is_text(subject):
            self._all.garbage("request", repr(subject))
        if reply and not (_is_text(reply) and self._all.may_answer(request.subject, request.reply)):
            # Nothing is published where the caller could not publish itself (docs/contract.md 3.5).
            self._all.garbage("reply_subject", f"{request.subject}: {reply!r} is not in nats.reply_prefixes")
            return
        try:
            self._take(request)
        except Exception:  # of one charger: the others, and the connection, go on
            log.exception("interest.failed", subject=self.subject)


# Sends a protocol line about a subscription of a client; False where it cannot be sent now.
Send = Callable[[Client, bytes], bool]


class Interests:
    """All interests of a process; they outlive their client."""

    def __init__(
        self, clock: Wheel, send: Send, may_answer: Callable[[str, str], bool], garbage: Garbage
    ) -> None:
        self.clock, self._send = clock, send
        self.may_answer, self.garbage = may_answer, garbage
        self._known: dict[Interest, None] = {}
        self._unsent: list[Subscription] = []  # begun while NATS was away

    def add(
        self, client: Client, subject: str, take: Callable[[Request], None], group: bool = True
    ) -> Interest:
        """Pass requests on ``subject`` to ``take``; see Bus.subscribe."""
        interest = Interest(self, subject, take, GroupSubscription if group else Subscription)
        self._known[interest] = None
        subscription = interest.begin(client)
        if not self._send(client, subscription.sub):
            self._unsent.append(
                subscription
            )  # a reconnect in progress may have sent its subscriptions already
        return interest

    def begin(self, client: Client) -> None:
        """``client`` takes the place of an earlier one."""
        self._unsent.clear()
        for interest in self._known:
            self._send(client, interest.begin(client).sub)

    def resume(self) -> None:
        """The client is connected again, and has sent all subscriptions it had before."""
        unsent, self._unsent = self._unsent, []
        for subscription in unsent:
            self._send(subscription.client, subscription.sub)

    def forget(self, interest: Interest, subscription: Subscription | None) -> None:
        """See Interest.end."""
        self._known.pop(interest, None)
        if subscription is not None:
            # The client keeps it for a while: it would drop requests on their way, and they would get no
            # answer.
            self._send(subscription.client, subscription.unsub)
            self.clock.after(LINGER, self._drop, subscription)

    def _drop(self, subscription: Subscription) -> None:
        subscription.drop()
        self._send(subscription.client, subscription.unsub)  # a reconnect may have begun it again meanwhile
