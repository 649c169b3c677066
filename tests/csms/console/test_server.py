"""One console as a server: with the permissions of its role, while NATS is away, and when it stops."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from csms.console.desk import Books, desk
from e2e.guarded import Guarded
from e2e.house import PATIENCE, config, gateway
from jetstream import NatsServer


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    server = Guarded(tmp_path / "nats")
    yield server
    server.kill()


async def test_the_permissions_of_its_role_are_enough(guarded: Guarded, books: Books) -> None:
    books.charger()
    with gateway(config(guarded)):
        async with desk(guarded, books, fresh=False, user="csms") as console:
            for method, path, body, status in (
                ("PUT", "/sites/a", {"name": "A"}, 200),
                ("POST", "/chargers/CP1/do", {"do": "reset"}, 200),
                ("PUT", "/people/ann", {"role": "viewer"}, 200),
                ("DELETE", "/people/ann", None, 204),
                ("GET", "/health", None, 200),
                ("GET", "/chargers/CP1/timeline", None, 200),
                ("GET", "/chargers/CP1/configuration", None, 200),
                ("GET", "/chargers/CP1/transfers", None, 200),
                ("GET", "/violations", None, 200),
                ("GET", "/talkers", None, 200),
            ):
                assert (await console.ask(method, path, body)).status == status
    assert guarded.violations() == []


async def test_while_nats_is_away_it_reads_and_says_what_it_cannot_do(
    alone: NatsServer, books: Books
) -> None:
    books.charger()
    async with desk(alone, books) as console:
        await console.key()
        alone.kill()
        assert (await console.get("/chargers/CP1"))["id"] == "CP1"
        refused = await console.ask("PUT", "/sites/a", {"name": "A"})
        assert (refused.status, refused.json["type"]) == (503, "urn:voltgate:problem:unavailable")
        assert (await console.ask("POST", "/chargers/CP1/do", {"do": "reset"})).status == 503
        alone.start()
        async with asyncio.timeout(PATIENCE):
            while (await console.ask("PUT", "/sites/a", {"name": "A"})).status != 200:
                pass
        assert (await console.ask("PUT", "/people/ann", {"role": "viewer"})).status == 200
        assert len((await console.get("/people"))["items"]) == 1


async def test_a_database_that_is_not_there_is_said(server: NatsServer, books: Books) -> None:
    async with desk(server, books) as console:
        books.run("DROP TABLE charger")
        answer = await console.ask("GET", "/chargers")
        assert (answer.status, answer.json["type"]) == (503, "urn:voltgate:problem:unavailable")


async def test_it_stops_while_somebody_listens(server: NatsServer, books: Books) -> None:
    books.charger()
    books.position(1)
    async with aiohttp.ClientSession() as listener, asyncio.timeout(PATIENCE):
        async with desk(server, books) as console:
            headers = {"Authorization": f"Bearer {await console.key('viewer')}"}
            events = await listener.get(f"{console.url}/api/v1/live", headers=headers)
            assert await events.content.readline() == b"event: snapshot\n"
        assert (await events.content.read()).startswith(b"id: ")
