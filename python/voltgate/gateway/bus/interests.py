"""What chargers hear on NATS: a subscription each, on whatever client the bus has at the time.

Where nobody subscribes, NATS says "no responders" at once: that is how a caller learns within milliseconds
that a charger is not connected (CONTRACT 3.5).
"""

from collections.abc import Callable

import structlog

from voltgate.gateway.bus.client import Client, GroupSubscription, Subscription, parse_headers
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Request

log = structlog.get_logger()

# Seconds a subscription stays known here after the server was told to end it: what is on its way is answered.
LINGER = 1.0

# Tells the server something about a subscription of a client; False where it cannot be told now.
Say = Callable[[Client, bytes], bool]


class Interest:
    """Requests on one subject, until :meth:`end`."""

    __slots__ = ("_all", "_subscription", "_take", "subject")

    def __init__(self, all_: "Interests", subject: str, take: Callable[[Request], None]) -> None:
        self._all, self.subject, self._take = all_, subject, take
        self._subscription: Subscription | None = None

    def begin(self, client: Client) -> Subscription:
        """Subscribe by ``client``."""
        self._subscription = subscription = GroupSubscription(client, self.subject, self._heard)
        return subscription

    def end(self) -> None:
        """No more requests: at once for the server, a second later for what it has already sent."""
        subscription, self._subscription = self._subscription, None  # it holds us: no cycle shall stay
        self._all.forget(self, subscription)

    def _heard(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        self._all.clock.refresh()
        try:
            self._take(Request(subject.decode(), reply.decode(), parse_headers(headers), bytes(data)))
        except Exception:  # of one charger: the others, and the connection, go on
            log.exception("bus.callback_failed", subject=self.subject)


class Interests:
    """All of a process; they outlive their client."""

    def __init__(self, clock: Wheel, say: Say) -> None:
        self.clock, self._say = clock, say
        self._known: dict[Interest, None] = {}
        self._unsaid: list[Subscription] = []  # begun while NATS was away

    def add(self, client: Client, subject: str, take: Callable[[Request], None]) -> Interest:
        """Hand requests on ``subject`` to ``take``; see Bus.subscribe."""
        interest = Interest(self, subject, take)
        self._known[interest] = None
        subscription = interest.begin(client)
        if not self._say(client, subscription.command):
            self._unsaid.append(subscription)  # the client may be past the point where it says them all
        return interest

    def begin(self, client: Client) -> None:
        """``client`` takes the place of an earlier one."""
        self._unsaid.clear()
        for interest in self._known:
            self._say(client, interest.begin(client).command)

    def resume(self) -> None:
        """The client is connected again, and has said all it knew of before."""
        unsaid, self._unsaid = self._unsaid, []
        for subscription in unsaid:
            self._say(subscription.client, subscription.command)

    def forget(self, interest: Interest, subscription: Subscription | None) -> None:
        """See Interest.end."""
        self._known.pop(interest, None)
        if subscription is not None:
            # The client goes on knowing it for a while: it would drop what is on its way, and nobody would
            # answer it.
            self._say(subscription.client, subscription.end)
            self.clock.after(LINGER, self._drop, subscription)

    def _drop(self, subscription: Subscription) -> None:
        subscription.drop()
        self._say(subscription.client, subscription.end)  # a reconnect may have begun it again meanwhile
