"""Streams of docs/contract.md 3.7 on a real server: made once, compared exactly, foreign settings kept."""

from collections.abc import AsyncIterator
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StorageType, StoreCompression

from jetstream import NatsServer
from voltgate import __version__
from voltgate.config import load
from voltgate.gateway.bus.streams import apply, covering, plan

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(nats_server.url)
    yield client
    await client.close()


CONFIG = load(
    streams={"tx_max_bytes": 64 << 20, "events_max_bytes": 64 << 20, "commands_max_bytes": 64 << 20}
)
DAY = 86_400.0

SETTINGS: list[tuple[str, list[str], dict[str, Any]]] = [
    (
        "OCPP_TX",
        ["ocpp.tx.>"],
        {"discard": DiscardPolicy.NEW, "duplicate_window": 1200, "max_age": 30 * DAY, "max_bytes": 64 << 20},
    ),
    ("OCPP_EVENTS", ["ocpp.event.>"], {"discard": DiscardPolicy.OLD, "max_age": 7 * DAY}),
    (
        "OCPP_REJECTS",
        ["ocpp.reject.>", "ocpp.security.>", "ocpp.violation.>"],
        {"discard": DiscardPolicy.OLD, "max_age": 7 * DAY, "max_bytes": 256 << 20},
    ),
    (
        "OCPP_COMMANDS",
        ["ocpp.command.>"],
        {"discard": DiscardPolicy.OLD, "duplicate_window": 1200, "max_age": 30 * DAY},
    ),
    ("OCPP_LINKS", ["ocpp.link.*"], {"max_msgs_per_subject": 1}),
    ("KV_ocpp_chargers", ["$KV.ocpp_chargers.>"], {"max_msgs_per_subject": 1}),
    ("KV_ocpp_gateways", ["$KV.ocpp_gateways.>"], {"max_msgs_per_subject": 1}),
    ("KV_ocpp_models", ["$KV.ocpp_models.>"], {"max_msgs_per_subject": 1}),
]


async def test_apply_makes_what_the_contract_says_and_then_has_nothing_to_do(client: Client) -> None:
    assert {change.action for change in await plan(client, CONFIG)} == {"create"}
    assert [(change.stream, change.action) for change in await apply(client, CONFIG)] == [
        (name, "create") for name, *_ in SETTINGS
    ]
    for name, subjects, settings in SETTINGS:
        have = (await client.jsm().stream_info(name)).config
        assert have.subjects == subjects
        assert have.storage == StorageType.FILE
        assert have.allow_direct, "a resend reads its Response with a direct get"
        assert have.compression == StoreCompression.S2
        for key, value in settings.items():
            assert getattr(have, key) == value, (name, key)
    assert {change.action for change in await plan(client, CONFIG)} == {"ok"}
    assert await client.jetstream().key_value("ocpp_chargers"), "the buckets are buckets to clients too"


async def test_only_what_differs_is_changed_and_what_is_not_ours_stays(client: Client) -> None:
    await apply(client, CONFIG)
    have = (await client.jsm().stream_info("OCPP_TX")).config
    await client.jsm().update_stream(have.evolve(max_age=2 * DAY, description="billing reads this"))
    changes = {change.stream: change for change in await plan(client, CONFIG) if change.action != "ok"}
    assert changes.keys() == {"OCPP_TX"}
    assert changes["OCPP_TX"].action == "update"
    assert len(changes["OCPP_TX"].differences) == 1, changes["OCPP_TX"].differences
    assert changes["OCPP_TX"].differences[0].startswith("max_age: ")
    await apply(client, CONFIG)
    have = (await client.jsm().stream_info("OCPP_TX")).config
    assert (have.max_age, have.description) == (30 * DAY, "billing reads this")


@pytest.mark.parametrize(
    ("release", "later", "why"),
    [
        ("0.2.1", "0.2.1", "the same promises"),
        ("0.20.0-rc.1", "0.20.0-rc.1", "numbers, not letters"),
        ("0.2.0", "", "our own: an operator changed it"),
        ("0.1.9", "", "an earlier one: it is ours to change"),
        ("1.0.0", "", "another major version promises nothing"),
        ("nonsense", "", "no release"),
        (None, "", "made by somebody else"),
    ],
)
async def test_a_later_release_may_have_made_a_stream_otherwise(
    client: Client, release: str | None, later: str, why: str
) -> None:
    """What differs is told with the release that wanted it: it stops no gateway in a rolling upgrade."""
    await apply(client, CONFIG)
    have = (await client.jsm().stream_info("OCPP_TX")).config
    assert (have.metadata or {})["voltgate_release"] == __version__
    metadata = {"voltgate_release": release} if release else {}
    await client.jsm().update_stream(have.evolve(max_age=2 * DAY, metadata=metadata))
    told = {change.stream: change for change in await plan(client, CONFIG)}["OCPP_TX"]
    assert (told.action, told.later) == ("update", later), why
    await apply(client, CONFIG)
    have = (await client.jsm().stream_info("OCPP_TX")).config
    assert (have.max_age, (have.metadata or {})["voltgate_release"]) == (30 * DAY, __version__)


@pytest.mark.parametrize(
    ("subject", "covers"),
    [
        ("ocpprpc.>", True),
        ("ocpprpc.ask.v16.>", True),
        ("ocpprpc.*.*.*", True),
        ("ocpprpcs.>", False),
        ("other.>", False),
    ],
)
async def test_a_stream_that_would_answer_questions_is_found(
    client: Client, subject: str, covers: bool
) -> None:
    await client.jetstream().add_stream(name="GREEDY", subjects=[subject])
    assert await covering(client, CONFIG) == ("GREEDY" if covers else None)


async def test_links_of_an_earlier_release_are_republished_after_apply(client: Client) -> None:
    await apply(client, CONFIG)
    have = (await client.jsm().stream_info("OCPP_LINKS")).config
    assert have.republish is not None
    await client.jsm().delete_stream("OCPP_LINKS")
    await client.jsm().add_stream(have.evolve(republish=None))
    changes = {change.stream: change.action for change in await apply(client, CONFIG)}
    assert changes["OCPP_LINKS"] == "update"
    copies = await client.subscribe("ops.link.*")
    await client.jetstream().publish("ocpp.link.CP=201", b"{}")
    copy = await copies.next_msg()
    assert (copy.subject, copy.data) == ("ops.link.CP=201", b"{}")
    assert (copy.headers or {})["Nats-Sequence"] == "1"
