"""The NATS client, with subscriptions that take their messages on the spot: no queue, no task, no object.

nats-py's own cost 4.7 KB and 22 us each, and every charger has two; ours 0.5 KB and 2 us. And a PubAck, of
which there is one for nearly every frame, comes as four byte strings, not as a message with parsed headers.
Reaches into nats-py, as ``uplink`` does: pinned to >=2.16,<2.17, guarded by tests/test_client.py.
"""

from collections.abc import Callable

from nats.aio import client as nats_py

# subject, reply subject ("" for none), header block (empty for none), body
Take = Callable[[bytes, bytes, bytes, bytes], None]

_VERSION = b"NATS/1.0"
_STATUS = ("Status", "Description")


class Client(nats_py.Client):
    """nats-py's client; its public side is unchanged."""

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        known: object = self._subs.get(sid)
        if isinstance(known, Subscription):
            known.take(subject, reply, headers, data)
        else:
            await super()._process_msg(sid, subject, reply, data, headers)


class Subscription:
    """A subscription of ``client``, which subscribes again after each reconnect, until :meth:`drop`.

    ``take`` gets each message while it is read, and must not raise. ``command`` is what tells the server; it
    and ``end`` are left to the caller, who knows when they may be written.
    """

    __slots__ = ("_id", "_subject", "client", "take")

    # What nats-py asks of a subscription and is the same for all of ours: no limits, no iterator, no task.
    _queue = ""
    _max_msgs = 0
    _wait_for_msgs_task = _message_iterator = _pending_next_msgs_calls = None

    def __init__(self, client: Client, subject: str, take: Take) -> None:
        self.client, self._subject, self.take = client, subject, take
        client._sid += 1
        self._id = client._sid
        client._subs[self._id] = self  # type: ignore[assignment]

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
        if colon and name not in _STATUS:  # what a publisher calls so is no word of the server's
            headers[name] = value.strip()
    return headers
