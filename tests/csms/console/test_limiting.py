"""Limits of chargers, EVSEs and sites through a real gateway, in each version; the charger obeys them."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from csms.console.desk import Books, Desk, desk
from csms.console.stations import VERSIONS, backend, station
from e2e.house import Gateway
from jetstream import NatsServer
from scripted_csms import wait_until
from voltgate.csms.console.operations import Job, Schedule


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_limit_is_set_obeyed_shown_and_taken_back(
    version: str, server: NatsServer, house: Gateway, books: Books
) -> None:
    identity = f"limit-{version}"
    books.charger(identity, version=version)
    where = f"/chargers/{identity}"
    async with desk(server, books) as console, backend(server), station(house, version, identity) as charger:

        async def done(method: str, path: str, body: Any = None) -> tuple[str, str]:
            answer = await console.ask(method, where + path, body, role="operator")
            assert answer.status == 200, answer.text
            return answer.json["outcome"], answer.json["status"]

        async def schedule(evse: int) -> float:
            answer = await console.ask("POST", f"{where}/schedule", {"evse": evse}, role="operator")
            Schedule.model_validate(answer.json, strict=True)
            (period,) = answer.json["periods"]
            assert (answer.json["unit"], period["start_s"]) == ("W", 0)
            return float(period["limit"])

        assert await done("PUT", "/limit", {"limit": 4000}) == ("result", "Accepted")
        assert await done("PUT", "/limit", {"limit": 4, "unit": "A", "evse": 2}) == ("result", "Accepted")
        assert [await schedule(evse) for evse in (0, 1, 2)] == [4000, 4000, 2760]
        await console.ask("POST", f"{where}/do", {"do": "start", "evse": 2})
        await wait_until(lambda: charger.connectors.transactions and charger.connectors.transactions[0].id)
        charger.connectors.update(charger.connectors.transactions[0])
        assert charger.connectors.transactions[0].power == 2760
        assert await done("PUT", "/limit", {"limit": 3000, "evse": 2}) == ("result", "Accepted")
        assert await schedule(2) == 3000, "a new limit takes the place of the one before"
        assert await done("DELETE", "/limit?evse=2") == ("result", "Accepted")
        assert await schedule(2) == 4000
        assert await done("DELETE", "/limit") == ("result", "Accepted")
        assert await done("DELETE", "/limit") == ("result", "Unknown")
        past = {"limit": 1000, "until": "2026-01-01T00:00:00Z"}
        assert await done("PUT", "/limit", past) == ("result", "Accepted")
        assert await schedule(0) == 22_000


async def job_of(console: Desk, started: Any) -> dict[str, Any]:
    """The job when it has ended."""
    assert started.status == 200, started.text
    async with asyncio.timeout(20):
        while True:
            job = await console.get(f"/bulk/{started.json['id']}")
            Job.model_validate(job, strict=True)
            if job["done"] == job["total"]:
                return dict(job)


async def test_the_limit_of_a_site_is_shared_by_its_chargers(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    for number, version in enumerate(VERSIONS):
        books.charger(f"site-{number}", site="lot", version=version)
    books.charger("site-away", site="lot")
    books.charger("elsewhere", site="north")
    books.put(
        "decision", kind="charger", id="site-0", seq=1, valid_from="1970-01-01T00:00:00.000Z", by="key:x",
        body='{"connectors":[{"evse":1,"connector":1,"max_power_w":2000},{"evse":1,"connector":2,"max_power_w":2000},'
        '{"evse":2,"connector":1,"max_power_w":1000}]}',
        at="2026-05-01T10:00:00.000Z", why="", tick="2026-05-01T10:01:00.000Z",
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        console = await stack.enter_async_context(desk(server, books))
        await stack.enter_async_context(backend(server))
        chargers = [
            await stack.enter_async_context(station(house, version, f"site-{number}"))
            for number, version in enumerate(VERSIONS)
        ]
        started = await console.ask("PUT", "/sites/lot/limit", {"limit_w": 24_000}, role="operator")
        ends = {one["charger"]: one["outcome"] for one in (await job_of(console, started))["items"]}
        assert ends == {
            "site-0": "result",
            "site-1": "result",
            "site-2": "result",
            "site-away": "not_connected",
        }
        assert [charger.connectors.limits[0].watts for charger in chargers] == [3000, 7000, 7000]
        started = await console.ask("DELETE", "/sites/lot/limit", role="operator")
        await job_of(console, started)
        assert [charger.connectors.limits for charger in chargers] == [{}, {}, {}]


async def test_a_site_may_have_more_than_a_charger_can_be_limited_to(console: Desk, books: Books) -> None:
    books.charger()
    started = await console.ask("PUT", "/sites/north/limit", {"limit_w": 100_000_000})
    (item,) = (await job_of(console, started))["items"]
    assert item["outcome"] == "not_connected"


async def test_a_site_without_chargers_has_no_limit(console: Desk) -> None:
    answer = await console.ask("PUT", "/sites/nowhere/limit", {"limit_w": 1})
    assert (answer.status, answer.json["detail"]) == (409, "the site has no chargers")
