"""The streams and buckets Voltgate needs (docs/contract.md 3.7): their settings, and what differs from them.

``voltgate streams apply`` and ``dev`` create and update them; ``serve`` and ``check`` only compare. A
stream's metadata name the release that applied its settings: an earlier release accepts them
(docs/compatibility.md).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from nats.aio.client import Client
from nats.js import JetStreamManager
from nats.js.api import DiscardPolicy, RePublish, StorageType, StoreCompression, StreamConfig
from nats.js.errors import NotFoundError

from voltgate import __version__
from voltgate.config import Config

log = structlog.get_logger()

_DAY = 86_400
REJECTS_MAX_BYTES = 256 << 20
RECORD_MAX_BYTES = 64 << 10  # of a link or an entry of a bucket, which every gateway reads
_UNLIMITED = -1
_STATE_SECONDS = 5.0
_RELEASE = "voltgate_release"  # in a stream's metadata
_SIGNED = {_RELEASE: __version__}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan. ``action``: ``create``, ``update`` or ``ok``; ``differences`` name the settings."""

    stream: str
    action: str
    differences: tuple[str, ...] = ()
    later: str = ""
    """The release that applied the settings, where it is newer than this one within its major version."""
    taken: tuple[str, ...] = ()
    """Subjects that another stream takes, with its name: JetStream refuses the change."""


def wanted(config: Config) -> list[StreamConfig]:
    """Every stream and bucket with its settings."""
    nats, streams = config.nats, config.streams
    facts, name, bucket = nats.prefix, nats.stream_prefix, nats.stream_prefix.lower()

    defaults: dict[str, Any] = {"discard": DiscardPolicy.OLD, "max_bytes": _UNLIMITED, "max_age": 0.0}

    def stream(suffix: str, subjects: list[str], **settings: Any) -> StreamConfig:
        return StreamConfig(
            name=f"{name}_{suffix}",
            subjects=subjects,
            storage=StorageType.FILE,
            num_replicas=streams.replicas,
            allow_direct=True,
            compression=StoreCompression.S2,
            **(defaults | settings),
        )

    def kv(suffix: str) -> StreamConfig:
        return StreamConfig(
            name=f"KV_{bucket}_{suffix}",
            subjects=[f"$KV.{bucket}_{suffix}.>"],
            storage=StorageType.FILE,
            num_replicas=streams.replicas,
            allow_direct=True,
            compression=StoreCompression.S2,
            max_msgs_per_subject=1,
            allow_rollup_hdrs=True,
            deny_delete=True,
            discard=DiscardPolicy.NEW,
            max_bytes=_UNLIMITED,
            max_msg_size=RECORD_MAX_BYTES,
        )

    window = float(streams.duplicate_window)
    return [
        stream(
            "TX",
            [f"{facts}.tx.>"],
            discard=DiscardPolicy.NEW,
            duplicate_window=window,
            max_age=float(streams.tx_max_age_days * _DAY),
            max_bytes=streams.tx_max_bytes,
        ),
        stream(
            "EVENTS",
            [f"{facts}.event.>"],
            max_age=float(streams.events_max_age_days * _DAY),
            max_bytes=streams.events_max_bytes,
        ),
        stream(
            "REJECTS",
            [f"{facts}.reject.>", f"{facts}.security.>", f"{facts}.violation.>"],
            max_age=float(7 * _DAY),
            max_bytes=REJECTS_MAX_BYTES,
        ),
        stream(
            "COMMANDS",
            [f"{facts}.command.>"],
            duplicate_window=window,
            max_age=float(streams.commands_max_age_days * _DAY),
            max_bytes=streams.commands_max_bytes,
        ),
        stream(
            "LINKS",
            [f"{facts}.link.*"],
            max_msgs_per_subject=1,
            max_msg_size=RECORD_MAX_BYTES,
            # For who keeps a history: a stream that sources one message per subject loses some.
            republish=RePublish(src=f"{facts}.link.*", dest=f"{nats.ops_prefix}.link.{{{{wildcard(1)}}}}"),
        ),
        kv("chargers"),
        kv("gateways"),
        kv("models"),
    ]


async def plan(client: Client, config: Config) -> list[Change]:
    """Compare the streams with :func:`wanted`, in its order."""
    return [await _compare(client, want) for want in wanted(config)]


async def apply(client: Client, config: Config) -> list[Change]:
    """Create and update streams as :func:`wanted` says. Raises JetStream's error where it refuses."""
    changes = []
    for want in wanted(config):
        change = await _compare(client, want)
        if change.action == "create":
            await client.jsm().add_stream(want.evolve(metadata=_SIGNED))
        elif change.action == "update":
            have = await client.jsm().stream_info(want.name or "")
            metadata = (have.config.metadata or {}) | _SIGNED
            await client.jsm().update_stream(have.config.evolve(**_settings(want), metadata=metadata))
        changes.append(change)
    return changes


async def covering(client: Client, config: Config) -> str | None:
    """A stream that would answer questions with its PubAck (docs/contract.md 3.2); there must be none."""
    return await _taker(client, f"{config.nats.rpc_prefix}.>")


async def _taker(client: Client, subject: str) -> str | None:
    """A stream that takes messages on ``subject``, or on a part of it."""
    try:
        return await client.jetstream().find_stream_name_by_subject(subject)
    except NotFoundError:
        return None


async def _taken(client: Client, want: StreamConfig, have: Iterable[str]) -> tuple[str, ...]:
    """A line for each subject of ``want``, beside those that it has, that another stream takes."""
    subjects = [one for one in want.subjects or [] if one not in have]
    takers = [(subject, await _taker(client, subject)) for subject in subjects]
    return tuple(
        f"stream {name} takes {subject} or a part of it"
        for subject, name in takers
        if name not in (None, want.name)
    )


async def state(client: Client, stream: str) -> dict[str, Any] | None:
    """The state of a stream as the server sends it; nats-py's lacks ``first_ts``. None: no stream."""
    reply = await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=_STATE_SECONDS)
    found: dict[str, Any] | None = orjson.loads(reply.data).get("state")
    return found


async def fill(jetstream: JetStreamManager, stream: str) -> float | None:
    """How full ``stream`` is, 0 to 1, by bytes or messages; None where no leader answers."""
    try:
        info = await jetstream.stream_info(stream)
    except Exception as error:  # whatever it is, the stream does not answer
        log.debug("stream.unanswered", stream=stream, error=str(error) or type(error).__name__)
        return None
    if info.cluster is not None and not info.cluster.leader:
        return None
    have, most = info.state, info.config
    bounds = ((have.bytes, most.max_bytes), (have.messages, most.max_msgs))
    return max((now / limit for now, limit in bounds if limit and limit > 0), default=0.0)


async def _compare(client: Client, want: StreamConfig) -> Change:
    name = str(want.name)
    try:
        have = (await client.jsm().stream_info(name)).config
    except NotFoundError:
        return Change(name, "create", taken=await _taken(client, want, ()))
    differences = tuple(
        f"{key}: {_plain(have, key)} -> {value}"
        for key, value in _settings(want).items()
        if _plain(have, key) != value
    )
    later = _later((have.metadata or {}).get(_RELEASE, ""))
    taken = await _taken(client, want, have.subjects or ())
    return Change(name, "update" if differences else "ok", differences, later, taken)


def _later(release: str) -> str:
    """``release``, where it is newer than this one and of the same major version, else ""."""
    theirs, ours = (
        [int(number) for number in re.findall(r"\d{1,9}", re.split("[-+]", text)[0])]
        for text in (release, __version__)
    )
    return release if theirs > ours and theirs[0] == ours[0] else ""


# The same for every stream; an operator's placement, description and metadata stay.
_ABSENT = {
    "max_age": 0.0,
    "max_bytes": -1,
    "max_msgs": -1,
    "max_msg_size": -1,
    "no_ack": False,
    "retention": "limits",
}


def _settings(want: StreamConfig) -> dict[str, Any]:
    """The settings that Voltgate decides."""
    keys = (
        "subjects", "storage", "num_replicas", "allow_direct", "compression", "discard",
        "max_msgs_per_subject", *_ABSENT,
    )  # fmt: skip
    settings = {key: _plain(want, key) for key in keys}
    if want.duplicate_window:
        settings["duplicate_window"] = want.duplicate_window
    if want.republish:
        settings["republish"] = want.republish
    return settings


def _plain(config: StreamConfig, key: str) -> Any:
    """A setting as the server answers it: plain values, and what an absent one means."""
    value = getattr(config, key)
    return _ABSENT.get(key) if value is None else getattr(value, "value", value)
