"""What is counted: days, uptime, attempts and the load of a week, by site; their exports."""

import csv
import io
import json

import pytest

from csms.console.desk import Books, Desk


@pytest.fixture
def counted(books: Books) -> None:
    """An hour's outage at one port of north; a site with a currency of its own."""
    books.charger()
    books.session()
    books.uptime()
    books.put(
        "decision", kind="site", id="north", seq=1, valid_from="1970-01-01T00:00:00.000Z",
        body='{"name":"N","currency":"SEK","timezone":"Europe/Stockholm"}', by="x",
        at="2026-05-01T10:00:00.000Z", why="", tick="",
    )  # fmt: skip


async def test_days(counted: None, console: Desk) -> None:
    (day,) = (await console.get("/days?from=2026-05-01&to=2026-05-02"))["items"]
    assert (day["date"], day["energy_wh"], day["revenue"], day["currency"]) == (
        "2026-05-01",
        1500,
        "0.59",
        "SEK",
    )
    for query in ("from=2026-05-02", "to=2026-05-01", "charger=CP2", "site=south"):
        assert (await console.get(f"/days?{query}"))["items"] == []
    assert (await console.get("/days", role="viewer", sites=["south"]))["items"] == []


async def test_pages_of_days_have_every_day_once(console: Desk, books: Books) -> None:
    books.charger()
    for number in range(7):
        books.put(
            "day", charger="CP1", evse=number % 3, date=f"2026-05-0{1 + number // 3}", mwh=0, sessions=0,
            revenue=0, busy_s=0, up_s=0, excluded_s=0, attempts=0, successes=0, peak_w=0,
        )  # fmt: skip
    found: list[tuple[str, int]] = []
    query: str | None = ""
    while query is not None:
        page = await console.get(f"/days?limit=2{query}")
        found += [(one["date"], one["evse"]) for one in page["items"]]
        query = page["next"] and f"&after={page['next']}"
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 7


async def test_uptime(counted: None, console: Desk) -> None:
    (port,) = (await console.get("/uptime?month=2026-05"))["items"]
    assert (port["charger"], port["evse"], port["site"], port["outage_minutes"]) == (
        "CP1",
        1,
        "north",
        "60.0000",
    )
    assert port["meets_floor"] is True
    assert port["to"] == "2026-05-31T22:00:00.000Z", "midnight of the site"
    assert (await console.get("/uptime?charger=CP2"))["items"] == []
    assert (await console.get("/uptime", role="viewer", sites=["south"]))["items"] == []
    assert (await console.ask("GET", "/uptime?month=2026-13")).status == 422


async def test_attempts_and_the_week(counted: None, console: Desk) -> None:
    (model,) = (await console.get("/attempts"))["items"]
    assert (model["model"], model["attempts"], model["percent"]) == ("M", 1, "100.0000")
    (hour,) = (await console.get("/week?site=north"))["items"]
    assert (hour["energy_wh"], hour["busy_s"]) == (500, 900)
    for path in ("/attempts", "/week"):
        assert (await console.get(path, role="viewer", sites=["south"]))["items"] == []
        assert len((await console.get(path, role="viewer", sites=["north"]))["items"]) == 1
        refused = await console.ask("GET", f"{path}?site=north", role="viewer", sites=["south"])
        assert refused.status == 422
        assert (await console.get(f"{path}?to=2020-01-01T00:00:00Z"))["items"] == []


async def test_exports(counted: None, console: Desk) -> None:
    (line,) = (await console.ask("GET", "/export/days.jsonl")).text.splitlines()
    assert json.loads(line) == (await console.get("/days"))["items"][0]
    answer = await console.ask("GET", "/export/outages.csv?to=2026-06-01T00:00:00Z")
    (outage,) = csv.DictReader(io.StringIO(answer.text))
    assert outage == {
        "charger": "CP1", "evse": "1", "site": "north", "from": "2026-05-01T10:00:00.000Z",
        "to": "2026-05-01T11:00:00.000Z", "minutes": "60.0000", "kind": "faulted", "excluded": "",
    }  # fmt: skip
    for what in ("days", "outages"):
        nothing = await console.ask("GET", f"/export/{what}.jsonl", role="viewer", sites=["south"])
        assert nothing.text == ""
