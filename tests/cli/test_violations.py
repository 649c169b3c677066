"""``voltgate violations``: sums by maker, model, firmware, action and pointer."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import pytest

from cli.configuration import SMALL
from jetstream import NatsServer
from voltgate.cli.violations import COLUMNS, summed

Run = Callable[..., tuple[int, str, str]]

PROPERTY, SERIAL = "PropertyConstraintViolation", "/chargeBoxSerialNumber"
ACME = {"vendor": "Acme", "model": "A1", "firmware": "1.0"}


def fact(identity: str, *listed: Any) -> tuple[str, bytes]:
    body = {"identity": identity, "version": "v16", "violations": list(listed)}
    return identity, json.dumps(body).encode()


def one(action: str, pointer: str, count: Any = 1) -> dict[str, Any]:
    return {"action": action, "code": PROPERTY, "pointer": pointer, "count": count}


def test_what_is_the_same_is_summed_up_and_the_most_frequent_comes_first() -> None:
    facts = [
        fact("CP2", one("BootNotification", SERIAL, 2), one("StatusNotification", "/info", 7)),
        fact("CP1", one("BootNotification", SERIAL, 3)),
        fact("CP3", one("StatusNotification", "/info")),
    ]  # fmt: skip
    rows = summed(facts, {"CP1": ACME, "CP2": ACME})
    assert rows == [
        ("Acme", "A1", "1.0", "v16", "StatusNotification", PROPERTY, "/info", 7, 1, "CP2"),
        ("Acme", "A1", "1.0", "v16", "BootNotification", PROPERTY, SERIAL, 5, 2, "CP1"),
        ("", "", "", "v16", "StatusNotification", PROPERTY, "/info", 1, 1, "CP3"),
    ]
    assert all(len(row) == len(COLUMNS) for row in rows)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"violations":7}', b'{"violations":[7,{"count":"x"}]}']
)
def test_what_is_not_a_violation_fact_is_left_out(body: bytes) -> None:
    assert summed([("CP1", body)], {"CP1": {"vendor": 7}}) == []


def test_violations_are_read_from_the_stream_and_the_bucket(
    voltgate: Run, file: Callable[[str], Path], nats_server: NatsServer
) -> None:
    config = file(f"{SMALL}[nats]\nurl='{nats_server.url}'\n")
    code, _, err = voltgate("violations", "--config", config)
    assert (code, "run `voltgate streams apply" in err) == (1, True)
    assert voltgate("streams", "apply", "--config", config)[0] == 0
    asyncio.run(published(nats_server.url))
    code, out, err = voltgate("violations", "--config", config)
    assert (code, err) == (0, "")
    head, row = out.splitlines()
    assert head.split("\t") == list(COLUMNS)
    assert row.split("\t") == [
        "Acme",
        "A\\x1b1",
        "1.0",
        "v16",
        "BootNotification",
        PROPERTY,
        "/x",
        "3",
        "1",
        "CP1",
    ]
    code, out, _ = voltgate("violations", "--since", "1h", "--json", "--config", config)
    assert (code, json.loads(out)["count"], json.loads(out)["example"]) == (0, 3, "CP1")
    assert voltgate("violations", "--since", "soon", "--config", config)[0] == 2


async def published(url: str) -> None:
    """What a gateway writes, with a model that would steer a terminal."""
    client = await nats.connect(url)
    token, body = fact("CP1", one("BootNotification", "/x", 3))
    stream = client.jetstream()
    await stream.publish(f"$KV.ocpp_models.{token}", json.dumps(ACME | {"model": "A\x1b1"}).encode())
    await stream.publish(f"ocpp.violation.{token}", body)
    await client.close()
