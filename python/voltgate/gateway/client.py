"""What the bus needs of nats-py and its public calls do not give: the one file that touches its inside.

Ready-made commands go into its write buffer, and subscriptions take their messages on the spot, without a
queue and a task each: 15,000 chargers have one (measured: 0.5 KB and 2 us instead of 4.7 KB and 22 us).
Pinned to nats-py >=2.16,<2.17 and guarded by tests/test_client.py, which fails when the inside moves.
"""

from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg


async def hand_over(client: Client, commands: bytes) -> None:
    """Put ready-made commands into nats-py's write buffer, and wake its flusher.

    Its public calls cannot send a command with its headers as one block, and building them there costs twenty
    times as much.
    """
    await client._send_command(commands)
    await client._flush_pending()


class Subscription:
    """A subscription of ``client``, which subscribes again after each reconnect, until :meth:`drop`.

    ``take`` gets each message while it is read, and must not raise. ``command`` is what tells the server; it
    and ``end`` are left to the caller, who knows when they may be written.
    """

    __slots__ = ("_id", "_pending_size", "_received", "_subject", "_take", "client")

    # What nats-py asks of a subscription and is the same for all of ours: no limits, no iterator, no task.
    _queue = ""
    _max_msgs = _pending_bytes_limit = 0
    _future = _jsi = _wait_for_msgs_task = _message_iterator = _pending_next_msgs_calls = None

    def __init__(self, client: Client, subject: str, take: Callable[[Msg], None]) -> None:
        self.client, self._subject, self._take = client, subject, take
        self._received = self._pending_size = 0
        client._sid += 1
        self._id = client._sid
        client._subs[self._id] = self  # type: ignore[assignment]

    @property
    def _pending_queue(self) -> "Subscription":
        return self

    def put_nowait(self, message: Msg) -> None:
        """Where nats-py would queue it."""
        self._take(message)

    @property
    def command(self) -> bytes:
        """Begins it at the server; said twice it is the same."""
        return b"SUB %s %s %d\r\n" % (self._subject.encode(), self._queue.encode(), self._id)

    @property
    def end(self) -> bytes:
        """Ends it at the server; what was sent before still comes."""
        return b"UNSUB %d\r\n" % self._id

    def drop(self) -> None:
        """Take no more messages, and do not subscribe again."""
        self.client._subs.pop(self._id, None)


class GroupSubscription(Subscription):
    """The same in the queue group of all gateways: a request reaches one of them."""

    __slots__ = ()

    _queue = "voltgate"
