"""A password that a command changes, with a real registry and real logins (docs/contract.md 3.8)."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.logins import asked, beats, charger, fast, login
from e2e.strangers import Charger, token
from jetstream import NatsServer

OLD, NEW = b"0123456789abcdefghij", b"jihgfedcba9876543210"
SETTINGS = {"prefix": "rot", "rpc_prefix": "rotrpc", "stream_prefix": "ROT"}


@pytest.fixture(scope="module")
def closed(nats_server: NatsServer) -> Iterator[Gateway]:
    size = 64 << 20
    small = {"tx_max_bytes": size, "events_max_bytes": size, "commands_max_bytes": size}
    doors = {"allow_unauthenticated": False}
    with gateway(
        config(nats_server, doors, registry={"required": True}, nats=SETTINGS, streams=small)
    ) as running:
        yield running


class Book:
    """The charger's record."""

    def __init__(self, client: Client, identity: str) -> None:
        self._client, self._token = client, token(identity)

    async def write(self, **fields: Any) -> None:
        bucket = await self._client.jetstream().key_value("rot_chargers")
        await bucket.put(self._token, json.dumps({"enabled": True} | fields).encode())

    async def hashes(self) -> list[str]:
        bucket = await self._client.jetstream().key_value("rot_chargers")
        return list(json.loads((await bucket.get(self._token)).value or b"")["password_hashes"])

    async def holds(self, count: int) -> list[str]:
        """Wait until it has so many hashes."""
        async with asyncio.timeout(PATIENCE):
            while len(hashes := await self.hashes()) != count:
                await asyncio.sleep(0.01)
        return hashes


@pytest.fixture
async def book(client: Client, closed: Gateway, identity: str) -> Book:
    made = Book(client, identity)
    await made.write(password_hashes=[fast(OLD)], quirks=["no_compression"])
    return made


async def change(client: Client, identity: str, key: bytes, **headers: str) -> Msg:
    """Send the key as 1.6 wants it, in hex (docs/ocpp.md A23); waits until commands reach the charger."""
    subject = f"rotrpc.send.ChangeConfiguration.{token(identity)}"
    body = json.dumps({"key": "AuthorizationKey", "value": key.hex()}).encode()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await client.request(subject, body, timeout=PATIENCE, headers=headers or None)
            except NoRespondersError:
                await asyncio.sleep(0.01)


async def refused(closed: Gateway, identity: str, password: bytes) -> None:
    """Wait until the gateway has read that the password is no longer in the record."""
    async with asyncio.timeout(PATIENCE):
        while (await asked(closed.port, identity, login(identity, password))).status != 401:
            pass


async def told(connected: Charger) -> str:
    """The message id of the command that comes; it carries the key unmasked."""
    _, message_id, action, payload = json.loads(await connected.hear())
    assert (action, payload["value"]) == ("ChangeConfiguration", NEW.hex())
    return str(message_id)


@pytest.mark.parametrize(("status", "passes", "fails"), [("Accepted", NEW, OLD), ("Rejected", OLD, NEW)])
@pytest.mark.parametrize("random", ["true", "false"])
async def test_after_the_answer_one_password_passes_and_the_charger_stays_connected(
    closed: Gateway, client: Client, identity: str, book: Book, status: str, passes: bytes, fails: bytes,
    random: str,
) -> None:  # fmt: skip
    async with charger(closed.port, identity, OLD) as connected:
        asking = asyncio.ensure_future(change(client, identity, NEW, **{"ocpp-random-key": random}))
        message_id = await told(connected)
        both = await book.hashes()
        assert len(both) == 2, "it is in the record before the charger has it"
        assert both[1].startswith("$voltgate-sha256$" if random == "true" else "$argon2id$")
        await connected.send(f'[3,"{message_id}",{{"status":"{status}"}}]')
        assert ((await asking).headers or {})["ocpp-outcome"] == "result"
        assert await book.holds(1) == [both[1] if status == "Accepted" else both[0]]
        assert await beats(connected), "its own record's change ends no connection"
    await refused(closed, identity, fails)
    assert (await asked(closed.port, identity, login(identity, passes))).status == 101


@pytest.mark.parametrize(("logs_in", "other"), [(NEW, OLD), (OLD, NEW)])
async def test_after_a_lost_command_either_password_passes_until_one_has(
    closed: Gateway, client: Client, identity: str, book: Book, logs_in: bytes, other: bytes
) -> None:
    async with charger(closed.port, identity, OLD) as connected:
        asking = asyncio.ensure_future(change(client, identity, NEW))
        await told(connected)
    assert ((await asking).headers or {})["ocpp-outcome"] == "lost"
    both = await book.holds(2)
    async with charger(closed.port, identity, logs_in) as connected:
        assert await book.holds(1) == [both[logs_in == NEW]]
        assert await beats(connected)
        await refused(closed, identity, other)
