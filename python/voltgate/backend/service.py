"""The NATS side of the backend: receives questions and replies. The content of a reply is in ``answers``."""

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


async def serve(  # noqa: PLR0913, PLR0917 - the arguments of the command line
    nats_options: dict[str, Any],
    rpc_prefix: str,
    interval: int,
    tokens: Path | None,
    stop: asyncio.Event,
    replicas: int = 1,
) -> None:
    """Connect (``nats_options`` are those of ``nats.connect``), answer until ``stop``, drain."""
    known = Tokens(tokens)
    patient: dict[str, Any] = {
        "name": "voltgate-backend",
        "max_reconnect_attempts": -1,
        "error_cb": client_failed,
    }
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
    """Answer on an open connection until ``stop``; questions received before are still answered."""
    transactions = await bucket(nc.jetstream(), replicas)
    backend = Backend(tokens or Tokens(), lambda key: transaction_id(transactions, key), interval)
    async with asyncio.TaskGroup() as answers:

        async def receive(msg: Msg) -> None:
            answers.create_task(reply(nc, backend, msg))

        # The queue group shares the questions among instances; without it every instance would answer.
        questions = await nc.subscribe(f"{prefix}.ask.>", queue="backend", cb=receive)
        await nc.flush()
        log.info("backend.started", subject=f"{prefix}.ask.>", interval=interval)
        await stop.wait()
        await questions.drain()  # type: ignore[no-untyped-call]  # nats-py has no annotation here


async def reply(nc: Client, backend: Backend, msg: Msg) -> None:
    """Answer one question; no question may end the subscription."""
    try:
        body, code = await answer(backend, msg)
        await nc.publish(msg.reply, body, headers={"ocpp-error": code} if code else None)
    except nats.errors.Error as error:
        # Without a reply the gateway uses its fallback: a charger that wants to start a transaction is
        # disconnected and keeps its attempts (docs/contract.md 3.4).
        log.warning("question.unanswered", subject=msg.subject, error=repr(error))


async def answer(backend: Backend, msg: Msg) -> tuple[bytes, str]:
    """The body of the reply, and the error code if the charger is to get a CALLERROR, else ""."""
    version, action, token = msg.subject.split(".")[-3:]
    key = (msg.headers or {}).get("ocpp-key") or f"{token}/{uuid4().hex}"
    try:
        if action.endswith("-Signed"):
            # The body is a JWS (docs/ocpp.md A16) and no key is here to verify it: its payload is ignored.
            question = Question(version, action.removesuffix("-Signed"), token, key, {})
        else:
            question = Question(version, action, token, key, orjson.loads(msg.data))
        return orjson.dumps(await backend.answer(question)), ""
    except NotImplementedError:
        return b"this backend does not know the action", "NotImplemented"
    except nats.errors.Error:
        raise
    except Exception as error:
        log.warning("question.failed", subject=msg.subject, error=type(error).__name__)
        return b"the backend could not answer", "InternalError"


async def client_failed(error: Exception) -> None:
    """Log an error of nats-py, a lost server or a full queue; it continues by itself."""
    log.warning("nats.failed", error=repr(error))


async def bucket(js: JetStreamContext, replicas: int) -> KeyValue:
    """The transaction ids, shared by all instances. A week is longer than any charger resends."""
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
