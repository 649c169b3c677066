"""The registry as commands use it: the KV bucket ``ocpp_chargers`` behind a few methods.

See docs/contract.md 3.8.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import orjson

from voltgate import _core
from voltgate.cli.faults import USAGE, Failure
from voltgate.cli.service import Result, connected
from voltgate.cli.terminal import say
from voltgate.config import Config
from voltgate.gateway.registry.hashes import hash_key, new_key
from voltgate.gateway.registry.record import QUIRKS, Record, is_identity, parse
from voltgate.visible import visible

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js.kv import KeyValue

_PAGE = 256
_FORGOTTEN = 60.0  # seconds after which the server forgets an unused consumer
_TRIES = 10
_AGAIN = 0.05  # seconds


async def kept(client: "Client", stream: str, subject: str) -> AsyncIterator["Msg"]:
    """The last message of each subject of a stream, as of now, read a page at a time."""
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy  # noqa: PLC0415
    from nats.js.errors import ServiceUnavailableError  # noqa: PLC0415

    wanted = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
        filter_subject=subject,
        inactive_threshold=_FORGOTTEN,
        mem_storage=True,
        num_replicas=1,
    )
    consumer = await client.jsm().add_consumer(stream, wanted)
    left = consumer.num_pending or 0
    pages = await client.jetstream().pull_subscribe_bind(consumer.name, stream)
    tries = 0
    while left:
        try:
            page = await pages.fetch(min(left, _PAGE), timeout=5)
        except ServiceUnavailableError:
            # Another server of the cluster has the consumer, and its interest has not reached ours yet.
            if (tries := tries + 1) == _TRIES:
                raise
            await asyncio.sleep(_AGAIN)
            continue
        for message in page:
            left = message.metadata.num_pending
            yield message
    await client.jsm().delete_consumer(stream, consumer.name)


class Records:
    """The bucket; made by :func:`records`."""

    def __init__(self, client: "Client", bucket: "KeyValue", name: str) -> None:
        self._client, self._bucket, self._name = client, bucket, name

    async def get(self, identity: str) -> Record:
        """Raises Failure if there is none."""
        return (await self._entry(identity))[0]

    async def holds(self, identity: str) -> bool:
        """Whether there is a record."""
        from nats.js.errors import KeyNotFoundError  # noqa: PLC0415

        with suppress(KeyNotFoundError):
            await self._bucket.get(_core.token(identity))
            return True
        return False

    async def create(self, identity: str, record: Record) -> bool:
        """Returns False, and writes nothing, if the identity has a record."""
        return await self.put(identity, record.body, 0)

    async def change(self, identity: str, fields: Callable[[Record], dict[str, Any]]) -> Record:
        """Set the fields that ``fields`` returns for the record; None removes one. The record as stored.

        Raises Failure.

        All other fields stay, also those of another release and those that are written at the same time.
        """
        from nats.js.errors import KeyWrongLastSequenceError  # noqa: PLC0415

        for _ in range(_TRIES):
            record, body, revision = await self._entry(identity)
            kept = {key: value for key, value in (body | fields(record)).items() if value is not None}
            wanted = orjson.dumps(kept)
            with suppress(KeyWrongLastSequenceError):
                await self._bucket.update(_core.token(identity), wanted, last=revision)
                return parse(wanted)
        raise Failure(f"{identity}: record is being changed concurrently: try again")

    async def remove(self, identity: str) -> None:
        """Raises Failure if there is none."""
        await self._bucket.get(_core.token(identity))
        await self._bucket.delete(_core.token(identity))

    async def put(self, identity: str, body: bytes, revision: int) -> bool:
        """Store a record over the one of ``revision``, 0 for none; False if another is the last."""
        from nats.js.errors import KeyWrongLastSequenceError  # noqa: PLC0415

        with suppress(KeyWrongLastSequenceError):
            if revision:
                await self._bucket.update(_core.token(identity), body, last=revision)
            else:
                await self._bucket.create(_core.token(identity), body)
            return True
        return False

    async def stored(self) -> AsyncIterator[tuple[str, int, bytes]]:
        """Every charger with the revision and the bytes of its record."""
        prefix = f"$KV.{self._name}."
        async for message in kept(self._client, f"KV_{self._name}", f"{prefix}>"):
            if "KV-Operation" in (message.headers or {}):
                continue
            with suppress(ValueError):
                identity = _core.identity(message.subject.removeprefix(prefix))
                yield identity, message.metadata.sequence.stream, message.data

    async def all(self) -> AsyncIterator[tuple[str, Record]]:
        """Every charger with its record; one that cannot be used counts as disabled, as in the gateway."""
        async for identity, _, body in self.stored():
            try:
                yield identity, parse(body)
            except ValueError:
                yield identity, Record(enabled=False)

    async def identities(self) -> set[str]:
        """The chargers that have, or had, a record."""
        prefix = f"$KV.{self._name}."
        info = await self._client.jsm().stream_info(f"KV_{self._name}", subjects_filter=f"{prefix}>")
        found = set()
        for subject in info.state.subjects or {}:
            with suppress(ValueError):
                found.add(_core.identity(subject.removeprefix(prefix)))
        return found

    async def _entry(self, identity: str) -> tuple[Record, dict[str, Any], int]:
        entry = await self._bucket.get(_core.token(identity))
        body = entry.value or b""
        try:
            return parse(body), orjson.loads(body), entry.revision or 0
        except ValueError as error:
            raise Failure(
                f"{identity}: its record cannot be used ({error}): remove it and add it again"
            ) from None


async def bucket(config: Config, client: "Client") -> Records:
    """The registry, on a connection that is open."""
    name = f"{config.nats.stream_prefix.lower()}_chargers"
    return Records(client, await client.jetstream().key_value(name), name)


@asynccontextmanager
async def records(config: Config) -> AsyncIterator[Records]:
    """The registry of a configuration. Raises Failure."""
    from nats.js.errors import BucketNotFoundError, KeyNotFoundError  # noqa: PLC0415

    name = f"{config.nats.stream_prefix.lower()}_chargers"
    async with connected(config, "voltgate-chargers") as client:
        try:
            yield await bucket(config, client)
        except BucketNotFoundError:
            raise Failure(f"the registry {name} is missing: run `voltgate streams apply`") from None
        except KeyNotFoundError:
            raise Failure("no such charger: `voltgate chargers list` lists those with a record") from None


async def on_records(config: Config, work: Callable[[Records], Awaitable[Result]]) -> Result:
    """Do one thing with the registry. Raises Failure."""
    async with records(config) as book:
        return await work(book)


def given(password: str | None) -> str | None:
    """The value of a password option; '-' reads it from stdin. Raises Failure (usage)."""
    if password == "-":  # noqa: S105
        password = sys.stdin.readline().rstrip("\r\n")
    if password == "":
        raise Failure("--password: the password is empty", USAGE)
    return password


def generated() -> tuple[str, str]:
    """A random key, and its hash."""
    key = new_key()
    return key, hash_key(key.encode())


def hash_of(identity: str, password: str, random_key: bool) -> str:
    """The hash that a record stores."""
    from voltgate.gateway.registry.hasher import hash_password  # noqa: PLC0415 - loads argon2

    secret = password.encode(errors="surrogateescape")
    if not 16 <= len(secret) <= 64:
        say(f"voltgate: warning: {identity}: OCPP requires passwords of 16 to 40 characters (2.1: up to 64)")
    return hash_key(secret) if random_key else hash_password(secret)


def record_of(fields: dict[str, Any]) -> Record:
    """The record with these fields; None where one is not given. Raises Failure (usage)."""
    for quirk in fields.get("quirks") or ():
        if quirk not in QUIRKS:
            raise Failure(f"quirks: {visible(quirk)} is not one of {', '.join(QUIRKS)}", USAGE)
    given = {"enabled": True} | {name: value for name, value in fields.items() if value is not None}
    try:
        return parse(orjson.dumps(given))
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


def alike(identities: Iterable[str]) -> list[list[str]]:
    """Those that differ in letter case only: they are different chargers (docs/contract.md 2.1)."""
    spellings: dict[str, list[str]] = {}
    for identity in sorted(identities):
        spellings.setdefault(identity.casefold(), []).append(identity)
    return [names for names in spellings.values() if len(names) > 1]


def legal(identity: str) -> str:
    """The identity, or Failure (usage)."""
    if not is_identity(identity):
        raise Failure(f"{identity!r}: an identity has 1 to 48 characters, none of them ':'", USAGE)
    return identity
