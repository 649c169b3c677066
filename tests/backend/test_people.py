"""Tokens that people decided on, read from the stream of a real nats-server."""

import asyncio
from typing import Any

import nats
import orjson
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from answering import ask, backend_on
from jetstream import NatsServer


async def made(nc: Client) -> None:
    """As the CSMS makes it."""
    await nc.jetstream().add_stream(
        StreamConfig(name="OPS_PEOPLE", subjects=["ops.person.>"], max_msgs_per_subject=1)
    )


async def decide(nc: Client, id_: str, status: str, group: str | None = None, kind: str = "token") -> None:
    entry = {"token": id_, "status": status, "group": group}
    await nc.jetstream().publish(f"ops.person.{kind}.{id_.lower()}", orjson.dumps(entry))


async def info(nc: Client, token: str, version: str = "v16") -> dict[str, Any]:
    body: dict[str, Any] = {"idTag": token}
    if version != "v16":
        body = {"idToken": {"idToken": token, "type": "ISO14443"}}
    answer = orjson.loads((await ask(nc, f"{version}.Authorize", orjson.dumps(body))).data)
    found: dict[str, Any] = answer.get("idTagInfo") or answer["idTokenInfo"]
    return found


async def until(nc: Client, token: str, status: str) -> None:
    async with asyncio.timeout(10):
        while (await info(nc, token))["status"] != status:
            await asyncio.sleep(0.01)


async def test_what_was_decided_before_the_start_holds_for_the_first_question(nc: Client) -> None:
    await made(nc)
    for number in range(500):
        await decide(nc, f"T{number}", "Blocked")
    await decide(nc, "KEY", "Blocked", kind="key")
    async with backend_on(nc, unknown="Invalid"):
        assert await info(nc, "t499") == {"status": "Blocked"}, "letter case does not matter"
        assert await info(nc, "T0", "v201") == {"status": "Blocked"}
        assert await info(nc, "STRANGER") == {"status": "Invalid"}
        assert await info(nc, "KEY") == {"status": "Invalid"}, "another kind of entry"


async def test_other_entries_do_not_delay_the_start(nc: Client) -> None:
    await made(nc)
    await decide(nc, "KEY", "Blocked", kind="key")
    async with asyncio.timeout(5), backend_on(nc):
        assert await info(nc, "A") == {"status": "Accepted"}


async def test_a_change_takes_effect_while_it_runs(nc: Client) -> None:
    await made(nc)
    async with backend_on(nc):
        assert await info(nc, "A") == {"status": "Accepted"}, "nobody decided on it"
        await decide(nc, "A", "Expired")
        await until(nc, "A", "Expired")
        await decide(nc, "A", "Blocked")
        await until(nc, "A", "Blocked")
        await nc.jetstream().publish("ops.person.token.a", b"")
        await until(nc, "A", "Accepted")


@pytest.mark.parametrize(
    ("version", "group", "member"),
    [
        ("v16", "FLEET", {"parentIdTag": "FLEET"}),
        ("v201", "FLEET", {"groupIdToken": {"idToken": "FLEET", "type": "Central"}}),
        ("v21", "G" * 40, {"groupIdToken": {"idToken": "G" * 40, "type": "Central"}}),
        ("v201", "G" * 40, {}),
        ("v16", "G" * 21, {}),
        ("v16", None, {}),
    ],
)
async def test_the_group_of_a_token(
    nc: Client, version: str, group: str | None, member: dict[str, Any]
) -> None:
    """One that is too long for the version is left out: the token still charges."""
    await made(nc)
    await decide(nc, "A", "Accepted", group)
    async with backend_on(nc, unknown="Invalid"):
        assert await info(nc, "A", version) == {"status": "Accepted", **member}


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"{}", b'{"token":1,"status":"Blocked"}', b'{"token":"A","status":"Perhaps"}',
     b'{"token":"A","status":"Blocked","group":7}'],
)  # fmt: skip
async def test_an_entry_that_cannot_be_read_counts_as_removed(nc: Client, body: bytes) -> None:
    await made(nc)
    await decide(nc, "A", "Blocked")
    await decide(nc, "B", "Blocked")
    async with backend_on(nc):
        assert await info(nc, "A") == {"status": "Blocked"}
        await nc.jetstream().publish("ops.person.token.a", body)
        await until(nc, "A", "Accepted")
        assert await info(nc, "B") == {"status": "Blocked"}


async def test_all_entries_are_read_again_after_nats_was_away(nats_server: NatsServer, nc: Client) -> None:
    """No message says that an entry was purged: whoever erases by hand restarts something."""
    await made(nc)
    await decide(nc, "A", "Blocked")
    await decide(nc, "B", "Blocked")
    own = await nats.connect(nats_server.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    async with backend_on(own):
        assert await info(nc, "A") == {"status": "Blocked"}
        await nc.jetstream().purge_stream("OPS_PEOPLE", subject="ops.person.token.a")
        nats_server.kill()
        nats_server.start()
        asker = await until_up(nats_server.url)
        async with asyncio.timeout(30):
            while await said(asker, "A") != {"status": "Accepted"}:
                await asyncio.sleep(0.05)
        assert await info(asker, "B") == {"status": "Blocked"}
        await asker.close()
    await own.close()


async def until_up(url: str) -> Client:
    async with asyncio.timeout(20):
        while True:
            try:
                return await nats.connect(url, allow_reconnect=False)
            except (OSError, nats.errors.Error, TimeoutError):
                await asyncio.sleep(0.05)


async def said(nc: Client, token: str) -> dict[str, Any]:
    """Empty while the backend is away."""
    try:
        return await info(nc, token)
    except (nats.errors.Error, TimeoutError):
        return {}
