"""What services on Voltgate share: names, headers, commands, and facts of a durable consumer."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy


async def connect() -> Client:
    """Connect to NATS and keep connecting: a restart of NATS does not end the program."""

    async def report(error: Exception) -> None:
        print("NATS:", error, file=sys.stderr)  # a missing permission is reported here, and nowhere else

    url = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    return await nats.connect(url, max_reconnect_attempts=-1, error_cb=report)


def token(identity: str) -> str:
    """The charger's identity as it appears in subjects and keys."""
    return quote(identity, safe="").replace("~", "%7E").replace(".", "%2E").replace("%", "=")


def key(*parts: str) -> str:
    """Join parts to one key, in the spelling of the header ``ocpp-key``."""
    return "/".join(map(token, parts))


def text(header: str) -> str:
    """Decode the value of a header. Not ``unquote_plus``: a plus sign is a plus sign."""
    return unquote(header, errors="strict")


NOT_CONNECTED = "not_connected"  # the charger is not connected anywhere; not sent
UNKNOWN = "unknown"  # no reply in time; the charger may have got the command


@dataclass(frozen=True)
class Reply:
    """How a command ended: ``ocpp-outcome`` or one of the two above, and what was said about it."""

    outcome: str
    body: bytes = b""


async def send(
    nc: Client, identity: str, action: str, payload: bytes, command_id: str, timeout: float = 30.0
) -> Reply:
    """Send a command and wait a little longer than the charger has time.

    Repeated with the same ``command_id``, it is sent to the charger once.
    """
    subject = f"ocpprpc.send.{action}.{token(identity)}"
    headers = {"ocpp-command-id": command_id, "ocpp-timeout": str(timeout)}
    again = asyncio.get_running_loop().time() + 1.0
    while True:
        try:
            reply = await nc.request(subject, payload, timeout + 5, headers=headers)
        except NoRespondersError:
            if asyncio.get_running_loop().time() > again:
                return Reply(NOT_CONNECTED)
            await asyncio.sleep(0.1)  # a charger that moves to another gateway is away for a moment
        except TimeoutError:
            return Reply(UNKNOWN)
        else:
            return Reply((reply.headers or {})["ocpp-outcome"], reply.data)


async def latest(nc: Client, stream: str, subject: str) -> list[Msg]:
    """The last message of each subject. A bucket is the stream ``KV_`` and its name, each entry a subject.

    Not ``KeyValue.keys()``: it can end before the first entry has come, with "no keys"
    (https://github.com/nats-io/nats.py/issues/842).
    """
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, ack_policy=AckPolicy.NONE, inactive_threshold=30
    )
    consumer = await nc.jetstream().pull_subscribe(subject, stream=stream, config=config)
    pending = (await consumer.consumer_info()).num_pending or 0
    messages: list[Msg] = []
    while len(messages) < pending:
        messages += await consumer.fetch(min(100, pending - len(messages)))
    await consumer.unsubscribe()
    return messages


async def facts(nc: Client, stream: str, durable: str, subject: str) -> AsyncIterator[Msg]:
    """The facts of a durable consumer, which is made where it is missing, without end.

    Acknowledge each when it is stored; one that is not comes again.
    """
    config = ConsumerConfig(
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=10,
        max_deliver=10,  # then it is a dead letter
    )
    consumer = await nc.jetstream().pull_subscribe(subject, durable, stream, config)
    while True:
        try:
            # With timeout=None (5 s is the default), a restart of NATS would hang it for ever.
            batch = await consumer.fetch(100, timeout=5)
        except TimeoutError:
            continue
        except nats.errors.Error as error:  # NATS is away
            print(error, file=sys.stderr)
            await asyncio.sleep(1)
            continue
        for fact in batch:
            yield fact
