"""What real chargers and backends were reported to do, and what the gateway must make of it.

Each entry of ``tests/vectors/field.json`` is a public report (``source``) replayed by a raw socket against a
gateway with the built-in defaults (docs/contract.md 2.1, 2.2, 3.4, 3.5); ``field.py`` says what fields mean.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from e2e.field import DOORS, backend, commanded, like, sent, visited
from e2e.house import Gateway, config, gateway
from e2e.strangers import Fact, Facts, until
from jetstream import NatsServer

CASES = json.loads((Path(__file__).parent.parent / "vectors" / "field.json").read_text())


@pytest.fixture(scope="module")
def field(nats_server: NatsServer) -> Iterator[Gateway]:
    """Built-in validation, whatever the other tests' gateways are given."""
    with gateway(config(nats_server, *DOORS, validation=None)) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_field(case: dict[str, Any], field: Gateway, client: Client) -> None:
    identity = case.get("identity", f"field {case['id']}")
    facts = Facts(client, identity)
    await facts.listen()
    if record := case.get("record"):
        body = json.dumps({"enabled": True} | record).encode()
        await client.jetstream().publish(f"$KV.ocpp_chargers.{facts.token}", body)
    async with backend(case, client, identity):
        if "command" in case:
            await commanded(case, field, client, facts)
        else:
            await visited(case, field, facts)
    if "facts" in case:
        await check(case, facts)


async def check(case: dict[str, Any], facts: Facts) -> None:
    """Everything published about the charger but its links and what is not stored; its session has ended."""

    def seen() -> list[Fact]:
        return [fact for fact in facts.seen if not fact.subject.startswith(("ocpp.link.", "ocpp.live."))]

    wanted = [one for one in case["facts"] for _ in range(one.get("times", 1))]
    required = [one for one in wanted if not one.get("optional")]
    with suppress(TimeoutError):
        await until(lambda: len(seen()) >= len(required))
    if len(seen()) < len(wanted):
        wanted = required
    assert [fact.subject for fact in seen()] == [f"ocpp.{one['subject']}.{facts.token}" for one in wanted]
    frames = [sent(one, number) for one in case.get("frames", ()) for number in range(one.get("times", 1))]
    for one, fact in zip(wanted, seen(), strict=True):
        tag = one.get("violation")
        assert like(tag, fact.headers.get("ocpp-violation", "").strip() or None), fact.headers
        for name, value in one.get("headers", {}).items():
            assert like(value, fact.headers.get(name, "absent").strip()), (name, fact.headers)
        check_body(one, fact, frames)
    published = [fact.data for fact in seen() if fact.subject.startswith("ocpp.tx.")]
    assert [fact.data for fact in await facts.stored("TX")] == published, "stored once"


def check_body(one: dict[str, Any], fact: Fact, frames: list[bytes]) -> None:
    """The charger's own bytes: nothing is re-encoded."""
    body = one.get("body")
    if body == "prefix":
        assert 0 < len(fact.data) <= 4096
        assert any(said.startswith(fact.data) for said in frames)
    elif body is not None:
        assert fact.data == body.encode()
    elif not fact.subject.split(".")[3].endswith("Response") and ".command." not in fact.subject:
        (payload,) = {said[said.index(b"{") : -1] for said in frames if fact.data in said}
        assert fact.data == payload
