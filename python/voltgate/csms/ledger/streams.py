"""The streams of the CSMS: created where they are missing, and what it reads of the gateway's.

A stream that is there is not changed: its age and size are the operator's.
"""

from dataclasses import dataclass

from nats.aio.client import Client
from nats.js.api import (
    DiscardPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
    StreamSource,
    SubjectTransform,
)
from nats.js.errors import NotFoundError

from voltgate.config import Config

_DAY = 86_400.0
_STATE = ("StatusNotification", "BootNotification", "NotifyEvent")
_AUTHORIZE = ("Authorize", "AuthorizeResponse")


@dataclass(frozen=True, slots=True)
class Input:
    """A stream that is folded. ``subjects``: the part that is; empty: all of it."""

    stream: str
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Streams:
    """The names, by configuration."""

    facts: tuple[Input, ...]
    decisions: Input
    ticks: Input
    documents: str
    people: str


def of(config: Config) -> Streams:
    """The streams of a configuration."""
    facts, ours = config.nats.stream_prefix, config.nats.ops_prefix.upper()
    authorize = tuple(f"{config.nats.prefix}.event.*.{action}.*" for action in _AUTHORIZE)
    return Streams(
        facts=(
            Input(f"{facts}_TX"),
            Input(f"{ours}_STATE"),
            Input(f"{facts}_COMMANDS"),
            Input(f"{facts}_EVENTS", authorize),
        ),
        decisions=Input(f"{ours}_SET"),
        ticks=Input(f"{ours}_TICK"),
        documents=f"{ours}_CDR",
        people=f"{ours}_PEOPLE",
    )


def wanted(config: Config) -> list[StreamConfig]:
    """Every stream of the CSMS with its settings."""
    prefix, name = config.nats.ops_prefix, config.nats.ops_prefix.upper()

    def stream(suffix: str, subject: str, **settings: object) -> StreamConfig:
        made = StreamConfig(
            name=f"{name}_{suffix}",
            subjects=[f"{prefix}.{subject}"],
            storage=StorageType.FILE,
            num_replicas=config.streams.replicas,
            allow_direct=True,
            compression=StoreCompression.S2,
            discard=DiscardPolicy.OLD,
            max_age=0.0,
            duplicate_window=float(config.streams.duplicate_window),
        )
        return made.evolve(**settings)

    source = StreamSource(
        name=f"{config.nats.stream_prefix}_EVENTS",
        subject_transforms=[
            SubjectTransform(src=f"{config.nats.prefix}.event.*.{action}.*", dest="") for action in _STATE
        ],
    )
    # A link that is stored conditionally has its expected sequence in its headers, also where it is
    # republished: such a copy is refused here, while the source does not compare it. The source can miss a
    # link that was replaced before it was read. So most links come twice, with one ce-id.
    links = StreamSource(
        name=f"{config.nats.stream_prefix}_LINKS",
        subject_transforms=[
            SubjectTransform(src=f"{config.nats.prefix}.link.*", dest=f"{prefix}.link.{{{{wildcard(1)}}}}")
        ],
    )
    return [
        stream("SET", "set.>", deny_delete=True, deny_purge=True),
        stream("CDR", "cdr.*", discard=DiscardPolicy.NEW),
        stream("ALERT", "alert.>", max_age=90 * _DAY),
        stream("STATE", "link.*", max_age=400 * _DAY, sources=[source, links]),
        stream("TICK", "tick", max_age=400 * _DAY),
        stream("PEOPLE", "person.>", max_msgs_per_subject=1, allow_rollup_hdrs=True, allow_msg_ttl=True),
    ]


async def create(client: Client, config: Config) -> None:
    """Create those that are missing. Raises JetStream's error where it refuses."""
    for want in wanted(config):
        try:
            await client.jsm().stream_info(want.name or "")
        except NotFoundError:
            await client.jsm().add_stream(want)
