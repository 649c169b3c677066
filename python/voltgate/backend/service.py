"""The NATS side of the backend: receives questions and replies. The content of a reply is in ``answers``."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from difflib import get_close_matches
from functools import partial
from typing import Any
from uuid import uuid4

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from voltgate.backend.answers import ANSWERS, NOTHING_TO_SAY, Backend, Question, UnanswerableError
from voltgate.backend.followups import Followups, Names
from voltgate.backend.ledger import Ledger
from voltgate.backend.payloads import payload
from voltgate.backend.people import People
from voltgate.backend.rules import Rules
from voltgate.backend.services import Services, Tally
from voltgate.backend.tokens import Tokens
from voltgate.ending import ended

GROUP = "backend"
FAILED = "Nats-Service-Error-Code"
BUCKET = "ocpp_backend_transactions"
WEEK = 7 * 24 * 3600.0
MAX_ID = 2**31 - 1  # chargers keep a transactionId in a signed 32-bit integer

log = structlog.get_logger()


async def run(  # noqa: PLR0913 - keywords with defaults
    nc: Client,
    stop: asyncio.Event,
    *,
    names: Names = Names(),  # noqa: B008 - frozen
    tokens: Tokens | None = None,
    unknown: str = "Accepted",
    rules: Rules | None = None,
    replicas: int = 1,
    may_answer: Callable[[str], bool] = bool,
    excepted: Collection[str] = (),
) -> None:
    """Answer on an open connection until ``stop``; questions received before are still answered.

    ``tokens``: None: those that people decided on, and ``unknown`` for all others.
    ``excepted``: actions that another backend answers. Raises ValueError for one that no charger asks.
    """
    prefix = names.rpc
    wanted = subjects(prefix, excepted)
    transactions = await bucket(nc.jetstream(), replicas)
    ledger, people = Ledger(nc, names.ops), People(nc, names.ops, unknown)
    rules = rules or Rules()
    backend = Backend(tokens or people, lambda key: transaction_id(transactions, key), rules, ledger)
    async with (
        beside(Followups(nc, ledger, names, rules).run(), people.run()),
        asyncio.TaskGroup() as answers,
    ):
        if tokens is None:
            await people.read()

        async def receive(tally: Tally, msg: Msg) -> None:
            if may_answer(msg.reply):
                answers.create_task(tally.count(reply(nc, backend, msg)))
            else:
                log.debug("question.refused", subject=msg.subject, reply=msg.reply)

        # The queue group shares the questions among instances; without it every instance would answer.
        tallies = {subject: Tally() for subject in wanted}
        questions = [
            await nc.subscribe(subject, queue=GROUP, cb=partial(receive, tally))
            for subject, tally in tallies.items()
        ]
        questions += await Services(nc, may_answer, GROUP, tallies).subscribe()
        await nc.flush()
        about = {"interval": rules.interval, "excepted": sorted(excepted)}
        log.info("backend.started", subject=f"{prefix}.ask.>", **about)
        await stop.wait()
        for subscription in questions:
            await subscription.drain()  # type: ignore[no-untyped-call]  # nats-py has no annotation here


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run for the length of the block."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        await ended(tasks)


def subjects(prefix: str, excepted: Collection[str]) -> list[str]:
    """The subjects of the questions that are answered: one queue group for each (docs/contract.md 3.7).

    Raises ValueError for an exception that no charger asks.
    """
    if not excepted:
        return [f"{prefix}.ask.>"]
    known = {*ANSWERS, *NOTHING_TO_SAY}
    for name in excepted:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else "`voltgate policy` lists them"
            raise ValueError(f"{name}: not an action that chargers ask about; {hint}")
    answered = sorted(known.difference(excepted))
    return [f"{prefix}.ask.*.{action}{form}.*" for action in answered for form in ("", "-Signed")]


async def reply(nc: Client, backend: Backend, msg: Msg) -> bool:
    """Answer one question, and whether it was; no question may end the subscription."""
    try:
        body, headers = await answer(backend, msg)
        await nc.publish(msg.reply, body, headers=headers)
    except Error as error:
        log.warning("question.unanswered", subject=msg.subject, error=repr(error))
        return False
    return FAILED not in (headers or {})


async def answer(backend: Backend, msg: Msg) -> tuple[bytes, dict[str, str] | None]:
    """Body and headers of the reply: a response, a CALLERROR for the charger, or that this backend failed.

    After a failure the gateway uses its fallback at once: a charger that wants to start a transaction is
    disconnected and keeps its attempts (docs/contract.md 3.4).
    """
    version, action, token = msg.subject.split(".")[-3:]
    key = (msg.headers or {}).get("ocpp-key") or f"{token}/{uuid4().hex}"
    try:
        if action.endswith("-Signed"):
            # The body is a JWS (docs/ocpp.md A16) and no key is here to verify it: its payload is ignored.
            question = Question(version, action.removesuffix("-Signed"), token, key, {})
        else:
            question = Question(version, action, token, key, payload(msg.data))
        return orjson.dumps(await backend.answer(question)), None
    except UnanswerableError as error:
        return str(error).encode(), {"ocpp-error": error.code}
    except Exception as error:
        name = type(error).__name__
        log.warning("question.failed", subject=msg.subject, error=name)
        return b"", {FAILED: "500", "Nats-Service-Error": name}


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
