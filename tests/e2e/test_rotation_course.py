"""A password change, and a charger that reconnects at any point of it (docs/contract.md 3.8).

Whatever is lost, the password that the charger has lets it in at once; the other one is refused as soon as it
is known that the charger does not have it.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from e2e.guarded import Guarded
from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.logins import asked, beats, charger, fast, login
from e2e.serving import KNOWN, serving
from e2e.strangers import Charger, connected, token
from voltgate.gateway.bus import streams

ALIAS = "ocpp1.6j"
OLD, NEW = b"0123456789abcdefghij", b"jihgfedcba9876543210"
PASSWORD = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}


class Station:
    """A charger with the password it has, and the commands that change it."""

    def __init__(self, identity: str, version: str, client: Client) -> None:
        self.identity, self.version, self.password = identity, version, OLD
        self._client = client

    def connect(self, port: int) -> Any:
        """Dial with the password it has."""
        return charger(port, self.identity, self.password, version=self.version)

    async def change(self, timeout: float = PATIENCE) -> Msg:
        """The command, sent as soon as commands reach the charger; its outcome.

        Where its time was over before it was sent, as on a loaded machine, it gets more of it.
        """
        if self.version == "v16":
            action = "ChangeConfiguration"
            body: dict[str, Any] = {"key": "AuthorizationKey", "value": NEW.hex()}
        else:
            entry = PASSWORD | {"attributeValue": NEW.decode()}
            action, body = "SetVariables", {"setVariableData": [entry]}
        subject = f"ocpprpc.send.{action}.{token(self.identity)}"
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    reply = await self._client.request(
                        subject,
                        json.dumps(body).encode(),
                        timeout=PATIENCE,
                        headers={"ocpp-timeout": str(timeout)},
                    )
                except NoRespondersError:
                    await asyncio.sleep(0.01)
                    continue
                # Those were not sent: its connection was ending, its time was over before, or NATS was slow.
                if outcome(reply) not in ("gone", "expired", "unavailable"):
                    return reply
                timeout *= 1 + (outcome(reply) == "expired")

    async def told(self, connected: Charger, changing: "asyncio.Future[Msg]") -> str:
        """The message id of the command that comes."""
        hearing = asyncio.ensure_future(connected.hear())
        either: list[asyncio.Future[Any]] = [hearing, changing]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            assert outcome(changing.result()) == "timeout", "it was not sent"
        return str(json.loads(await hearing)[1])

    async def answer(self, connected: Charger, message_id: str, status: str) -> None:
        """What it says about the new password, which it has from then on where that is Accepted."""
        if self.version == "v16":
            body: dict[str, Any] = {"status": status}
        else:
            body = {"setVariableResult": [PASSWORD | {"attributeStatus": status}]}
        if status == "Accepted":
            self.password = NEW
        await connected.send(json.dumps([3, message_id, body]))

    async def hashes(self) -> list[str]:
        """What its record holds."""
        bucket = await self._client.jetstream().key_value("ocpp_chargers")
        return list(json.loads((await bucket.get(token(self.identity))).value or b"")["password_hashes"])

    async def register(self, **fields: Any) -> None:
        bucket = await self._client.jetstream().key_value("ocpp_chargers")
        record = {"enabled": True, "password_hashes": [fast(OLD)]} | fields
        await bucket.put(token(self.identity), json.dumps(record).encode())

    async def settled(self, port: int) -> None:
        """It logs in with the password it has; the record keeps that one, and the other is refused."""
        async with self.connect(port):
            async with asyncio.timeout(PATIENCE):
                while len(await self.hashes()) != 1:
                    await asyncio.sleep(0.01)
                other = OLD if self.password == NEW else NEW
                # 400 for a login that still passes, as the alias is for others: no connection is taken over.
                while (await asked(port, self.identity, login(self.identity, other), ALIAS)).status != 401:
                    await asyncio.sleep(0.01)
        async with self.connect(port):
            pass


Course = Callable[[Station, int], Coroutine[Any, Any, None]]


async def between_two_connections(station: Station, port: int) -> None:
    """The command is repeated until the charger is there."""
    async with station.connect(port) as charging:
        await beats(charging)
    changing = asyncio.ensure_future(station.change())
    async with station.connect(port) as charging:
        await station.answer(charging, await station.told(charging, changing), "Accepted")
        assert outcome(await changing) == "result"


def answered(status: str) -> Course:
    async def course(station: Station, port: int) -> None:
        changing = asyncio.ensure_future(station.change())
        async with station.connect(port) as charging:
            await station.answer(charging, await station.told(charging, changing), status)
        assert outcome(await changing) == "result"

    return course


def lost(taken: bool) -> Course:
    async def course(station: Station, port: int) -> None:
        changing = asyncio.ensure_future(station.change())
        async with station.connect(port) as charging:
            await station.told(charging, changing)
        if taken:
            station.password = NEW
        async with station.connect(port):  # before anybody knows what became of the command
            assert outcome(await changing) == "lost"

    return course


def timed_out(taken: bool) -> Course:
    async def course(station: Station, port: int) -> None:
        changing = asyncio.ensure_future(station.change(timeout=0.2))
        async with station.connect(port) as charging:
            await station.told(charging, changing)
            assert outcome(await changing) == "timeout"
            assert len(await station.hashes()) == 2
        if taken:
            station.password = NEW

    return course


async def restarted_later(station: Station, port: int) -> None:
    """RebootRequired: the old password is in force until the charger restarts."""
    changing = asyncio.ensure_future(station.change())
    async with station.connect(port) as charging:
        await station.answer(charging, await station.told(charging, changing), "RebootRequired")
        assert outcome(await changing) == "result"
    async with station.connect(port):
        pass
    assert len(await station.hashes()) == 2
    station.password = NEW


async def twice_lost(station: Station, port: int) -> None:
    """The command is repeated while the first is not decided."""
    await lost(taken=False)(station, port)
    await lost(taken=True)(station, port)


COURSES: dict[str, tuple[Course, bytes]] = {
    "between two connections": (between_two_connections, NEW),
    "after Accepted": (answered("Accepted"), NEW),
    "after a refusal": (answered("Rejected"), OLD),
    "lost, taken": (lost(taken=True), NEW),
    "lost, not taken": (lost(taken=False), OLD),
    "timeout, taken": (timed_out(taken=True), NEW),
    "timeout, not taken": (timed_out(taken=False), OLD),
    "restarted later": (restarted_later, NEW),
    "twice lost": (twice_lost, NEW),
}


def outcome(reply: Msg) -> str:
    return (reply.headers or {})["ocpp-outcome"]


@pytest.fixture(scope="module")
def closed(nats_server: Guarded) -> Iterator[Gateway]:
    """A gateway that wants credentials."""
    doors = {"allow_unauthenticated": False}
    with gateway(config(nats_server, doors, registry={"required": True})) as running:
        yield running


@pytest.mark.parametrize("version", ["v16", "v201"])
@pytest.mark.parametrize("name", COURSES)
async def test_the_password_that_the_charger_has_lets_it_in(
    closed: Gateway, client: Client, identity: str, version: str, name: str
) -> None:
    course, password = COURSES[name]
    station = Station(identity, version, client)
    await station.register()
    await course(station, closed.port)
    assert station.password == password
    await station.settled(closed.port)


async def test_a_new_key_of_the_operator_is_used_when_it_is_entered(
    closed: Gateway, client: Client, identity: str
) -> None:
    """voltgate chargers set --new-key writes such a record."""
    station = Station(identity, "v16", client)
    await station.register(password_hashes=[fast(OLD), fast(NEW)], password_change="new_key")
    for _ in range(2):
        async with station.connect(closed.port):
            pass
    assert len(await station.hashes()) == 2, "the old password passes until the new one logs in"
    station.password = NEW
    await station.settled(closed.port)


@pytest.mark.parametrize("kept", ["old", "new", "answered"])
async def test_a_gateway_that_is_killed_meanwhile_locks_no_charger_out(
    server: Guarded, tmp_path: Path, identity: str, kept: str
) -> None:
    """Before the answer, whether the charger took the password or not, or while the answer is on its way."""
    client = await connected(server.url)
    await streams.apply(client, config(server))
    station = Station(identity, "v16", client)
    await station.register()
    url = server.url_of("gateway")
    async with serving(url, tmp_path / "killed", KNOWN) as (killed, port):
        changing = asyncio.ensure_future(station.change())
        async with station.connect(port) as charging:
            message_id = await station.told(charging, changing)
            if kept == "answered":
                await station.answer(charging, message_id, "Accepted")
            killed.kill()
        if kept == "new":
            station.password = NEW
        changing.cancel()
    async with serving(url, tmp_path / "next", KNOWN) as (_, port):
        await station.settled(port)
    await client.close()
