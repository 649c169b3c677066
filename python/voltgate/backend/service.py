"""The NATS side of the backend: hear a question, reply to it. What the reply says is in ``answers``."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from voltgate.backend.answers import Backend, Question
from voltgate.backend.tokens import Tokens

BUCKET = "ocpp_backend_transactions"
WEEK = 7 * 24 * 3600.0
MAX_ID = 2**31 - 1  # chargers keep a transactionId in a signed 32-bit integer

log = structlog.get_logger()


async def serve(  # noqa: PLR0913, PLR0917 - what the command line gives us
    nats_options: dict[str, Any],
    rpc_prefix: str,
    interval: int,
    tokens: Path | None,
    stop: asyncio.Event,
    replicas: int = 1,
) -> None:
    """Connect (``nats_options`` are those of ``nats.connect``), answer until ``stop``, drain."""
    known = Tokens(tokens)
    patient: dict[str, Any] = {"name": "voltgate-backend", "max_reconnect_attempts": -1, "error_cb": odd}
    nc = await nats.connect(**patient | nats_options)
    try:
        await run(nc, stop, prefix=rpc_prefix, interval=interval, tokens=known, replicas=replicas)
    finally:
        await nc.drain()


async def run(  # noqa: PLR0913 - keywords with defaults
    nc: Client,
    stop: asyncio.Event,
    *,
    prefix: str = "ocpprpc",
    interval: int = 300,
    tokens: Tokens | None = None,
    replicas: int = 1,
) -> None:
    """Answer on a connection that exists, until ``stop``; questions already heard are still answered."""
    transactions = await bucket(nc.jetstream(), replicas)
    backend = Backend(tokens or Tokens(), lambda key: transaction_id(transactions, key), interval)
    async with asyncio.TaskGroup() as answers:

        async def hear(msg: Msg) -> None:
            answers.create_task(reply(nc, backend, msg))

        # The queue group shares the questions among instances; without it everybody would answer.
        questions = await nc.subscribe(f"{prefix}.ask.>", queue="backend", cb=hear)
        await nc.flush()
        log.info("backend.ready", subject=f"{prefix}.ask.>", interval=interval)
        await stop.wait()
        await questions.drain()  # type: ignore[no-untyped-call]  # nats-py has no annotation here


async def reply(nc: Client, backend: Backend, msg: Msg) -> None:
    """Answer one question; no question, however odd, may end the subscription."""
    try:
        body, error = await answer(backend, msg)
        await nc.publish(msg.reply, body, headers={"ocpp-error": error} if error else None)
    except nats.errors.Error as trouble:
        # Ours, not the charger's. Without a reply the gateway's fallback decides: a charger that wants
        # to start a transaction is cut off and keeps its attempts (CONTRACT 3.4).
        log.warning("backend.unanswered", subject=msg.subject, error=repr(trouble))


async def answer(backend: Backend, msg: Msg) -> tuple[bytes, str]:
    """The body of the reply, and the error code where the gateway shall make a CALLERROR of it."""
    version, action, token = msg.subject.split(".")[-3:]
    key = (msg.headers or {}).get("ocpp-key") or f"{token}/{uuid4().hex}"
    try:
        if action.endswith("-Signed"):
            # The body is a JWS (OCPP.md A16) and we hold no key to trust it by: noted, not judged.
            question = Question(version, action.removesuffix("-Signed"), token, key, {})
        else:
            question = Question(version, action, token, key, orjson.loads(msg.data))
        return orjson.dumps(await backend.answer(question)), ""
    except NotImplementedError:
        return b"no answer is known here", "NotImplemented"
    except nats.errors.Error:
        raise
    except Exception as fault:
        log.warning("backend.failed", subject=msg.subject, error=type(fault).__name__)
        return b"the backend could not answer", "InternalError"


async def odd(error: Exception) -> None:
    """What nats-py noticed: a lost server, a full queue. It goes on by itself."""
    log.warning("backend.nats", error=repr(error))


async def bucket(js: JetStreamContext, replicas: int) -> KeyValue:
    """The memory of transaction ids, shared by all instances. A week outlives every charger's resends."""
    try:
        return await js.key_value(BUCKET)
    except BucketNotFoundError:
        return await js.create_key_value(KeyValueConfig(bucket=BUCKET, ttl=WEEK, replicas=replicas))


async def transaction_id(transactions: KeyValue, key: str) -> int:
    """The id of the transaction behind ``key``: the revision under which the bucket first stored it.

    JetStream counts revisions once per bucket, so ids are unique, and creating is atomic, so two
    instances asked at the same moment agree.
    """
    try:
        revision = await transactions.create(key, b"")
    except KeyWrongLastSequenceError:
        revision = (await transactions.get(key)).revision or 0
    return (revision - 1) % MAX_ID + 1
