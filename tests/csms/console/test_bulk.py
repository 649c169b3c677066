"""One operation for chargers of three versions through a real gateway: an outcome each, none sent twice."""

from contextlib import AsyncExitStack
from typing import Any

import pytest

from csms.console.desk import Books, Desk, desk
from csms.console.stations import VERSIONS, backend, station
from csms.console.test_limiting import job_of
from e2e.house import Gateway
from jetstream import NatsServer

IDS = [f"bulk-{version}" for version in VERSIONS]
CHANGE = {"changes": [{"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval", "value": "60"}]}


async def test_each_charger_has_its_outcome(server: NatsServer, house: Gateway, books: Books) -> None:
    for version in VERSIONS:
        books.charger(f"bulk-{version}", version=version)
    books.charger("bulk-away")
    async with AsyncExitStack() as stack:
        console = await stack.enter_async_context(desk(server, books))
        await stack.enter_async_context(backend(server))
        chargers = [
            await stack.enter_async_context(station(house, version, f"bulk-{version}"))
            for version in VERSIONS
        ]

        async def ended(body: dict[str, Any], key: str = "") -> dict[str, tuple[str, str]]:
            headers = {"Idempotency-Key": key} if key else {}
            wanted = {"chargers": [*IDS, "bulk-away", IDS[0]]} | body
            job = await job_of(console, await console.ask("POST", "/bulk", wanted, headers=headers))
            return {one["charger"]: (one["outcome"], one["status"]) for one in job["items"]}

        accepted = dict.fromkeys(IDS, ("result", "Accepted")) | {"bulk-away": ("not_connected", None)}
        for _ in range(2):
            assert await ended({"do": {"do": "inoperative"}}, "once") == accepted
        assert [[action for action, _ in charger.heard] for charger in chargers] == [
            ["ChangeAvailability"]
        ] * 3
        other = await ended({"do": {"do": "operative"}}, "once")
        assert {one for one, _ in other.values()} == {"invalid", "not_connected"}, "not the first job"
        assert await ended({"limit": {"limit": 4000}}) == accepted
        assert await ended({"clear_limit": {}}) == accepted
        changed = await ended({"configuration": CHANGE})
        assert changed == accepted | dict.fromkeys((IDS[0], "bulk-away"), ("impossible", None))
        stopped = await ended({"do": {"do": "stop"}})
        assert {one for one, _ in stopped.values()} == {"impossible"}
        jobs = (await console.get("/bulk"))["items"]
        assert [one["what"] for one in jobs] == [
            "stop",
            "configuration",
            "clear_limit",
            "limit",
            "operative",
            "inoperative",
        ]
        assert all(one["items"] == [] and one["total"] == 4 for one in jobs)


@pytest.mark.parametrize(
    ("body", "role", "status"),
    [
        ({"chargers": ["CP1"]}, "admin", 422),
        ({"chargers": [], "do": {"do": "reset"}}, "admin", 422),
        ({"chargers": ["CP1"], "do": {"do": "reset"}, "clear_limit": {}}, "admin", 422),
        ({"chargers": ["CP1", "nobody"], "do": {"do": "reset"}}, "admin", 422),
        ({"chargers": ["CP1"], "do": {"do": "stop", "session": "s1"}}, "admin", 422),
        ({"chargers": ["CP1"], "configuration": CHANGE}, "operator", 403),
        ({"chargers": ["CP1"], "firmware": {"location": "ftp://h/f"}}, "operator", 403),
        ({"chargers": ["CP1"], "do": {"do": "reset"}}, "viewer", 403),
    ],
)
async def test_what_is_refused_as_a_whole(
    body: dict[str, Any], role: Any, status: int, console: Desk, books: Books
) -> None:
    books.charger()
    assert (await console.ask("POST", "/bulk", body, role=role)).status == status
    assert (await console.get("/bulk"))["items"] == []


async def test_a_charger_of_another_site_is_not_there(console: Desk, books: Books) -> None:
    books.charger()
    books.charger("CP2", site="south")
    body = {"chargers": ["CP1", "CP1", "CP2"], "do": {"do": "unlock"}}
    answer = await console.ask("POST", "/bulk", body, role="operator", sites=["north"])
    assert answer.json["errors"] == [{"pointer": "/chargers/2", "reason": "is not a charger at your sites"}]
    started = await console.ask("POST", "/bulk", body)
    job = await console.get(f"/bulk/{started.json['id']}", sites=["south"])
    assert [one["charger"] for one in job["items"]] == ["CP2"]
    gone = await console.ask("GET", f"/bulk/{started.json['id']}", sites=["east"])
    assert gone.status == 404
    assert (await console.get("/bulk", sites=["east"]))["items"] == []
