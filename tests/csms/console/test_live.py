"""Server-sent events: a snapshot, changes, going on after a gap, sites, and the end of a key."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from csms.console.desk import Books, Desk
from voltgate.csms.console.live import Form, Live, Word
from voltgate.csms.console.people import People
from voltgate.csms.console.reader import Reader
from voltgate.csms.console.roles import By, Principal, Role
from voltgate.csms.console.rows import Rows
from voltgate.csms.ledger.pseudonyms import Pseudonyms


@dataclass
class Event:
    name: str
    id: str
    data: Any

    @property
    def chargers(self) -> list[str]:
        return sorted(one["id"] for one in self.data["chargers"])


class Listener:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def event(self) -> Event:
        """The next one; comments and signs of life are passed over, which come where the machine is slow."""
        while (one := await self.any()).name == "alive":
            pass
        return one

    async def any(self) -> Event:
        """The next one; comments are passed over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(20):
            while True:
                line = (await self.response.content.readuntil(b"\n")).decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    return Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]))

    async def ended(self) -> bool:
        async with asyncio.timeout(20):
            return await self.response.content.read() is not None


@asynccontextmanager
async def listening(
    console: Desk, *, last: str = "", query: str = "", sites: list[str] | None = None
) -> AsyncIterator[Listener]:
    headers = {"Authorization": f"Bearer {await console.key('viewer', sites)}"}
    if last:
        headers["Last-Event-ID"] = last
    async with console.http.get(f"{console.url}/api/v1/live{query}", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Listener(response)


def changed(books: Books, charger: str, seq: int, status: str = "Charging") -> None:
    books.run("UPDATE connector SET status = ? WHERE charger = ?", status, charger)
    books.position(seq)


@pytest.fixture
def two(books: Books) -> None:
    """Of two sites."""
    for charger, site in (("CP1", "north"), ("CP2", "south")):
        books.charger(charger, site)
        books.connector(charger)
    books.position(1)


async def test_a_snapshot_and_then_what_changes(two: None, console: Desk, books: Books) -> None:
    async with listening(console) as listener:
        first = await listener.event()
        assert (first.name, first.chargers) == ("snapshot", ["CP1", "CP2"])
        changed(books, "CP2", 2)
        change = await listener.event()
        assert (change.name, change.chargers) == ("change", ["CP2"])
        assert change.data["position"] == {"OCPP_TX": 2}
        document = await console.get("/chargers/CP2")
        assert change.data["chargers"] == [document]
        books.session("s1", "CP2", power_w=7400)
        books.position(3)
        (charger,) = (await listener.event()).data["chargers"]
        assert charger["connectors"][0]["power_w"] == 7400


@pytest.fixture
def unordered(books: Books) -> None:
    for charger, site in (("Bay 2", "south 10"), ("bay 10", "south 10"), ("Bay 1", "south 9"), ("CP0", "")):
        books.charger(charger, site)
    books.position(1)


async def test_a_snapshot_has_the_order_of_the_list(unordered: None, console: Desk) -> None:
    """By site and name, numbers as numbers; those without a site first."""
    async with listening(console) as listener:
        found = [one["id"] for one in (await listener.event()).data["chargers"]]
    assert found == ["CP0", "Bay 1", "Bay 2", "bay 10"]


async def test_a_listener_goes_on_where_it_was(two: None, console: Desk, books: Books) -> None:
    async with listening(console) as listener:
        first = await listener.event()
        changed(books, "CP1", 2)
        await listener.event()
    changed(books, "CP2", 3)
    async with listening(console, last=first.id) as again:
        assert [(await again.event()).chargers for _ in range(2)] == [["CP1"], ["CP2"]]
    etag = (await console.ask("GET", "/chargers")).headers["ETag"]
    async with listening(console, query=f"?last_event_id={etag.removeprefix('W/')}") as again:
        changed(books, "CP1", 4, "Faulted")
        assert (await again.event()).data["chargers"][0]["connectors"][0]["status"] == "Faulted"


@pytest.mark.parametrize("last", ["", "x", "0123456789ab-1", "-"])
async def test_a_gap_is_a_snapshot(last: str, two: None, console: Desk) -> None:
    async with listening(console, last=last) as listener:
        assert (await listener.event()).name == "snapshot"


async def test_after_more_changes_than_are_kept_there_is_a_snapshot(two: None, books: Books) -> None:
    reader = Reader(books.url)
    few = Live(reader, Rows(reader, People(Pseudonyms(b"k"))).chargers_of, kept=1)
    running = asyncio.create_task(few.run())
    viewer = Principal("", Role.VIEWER, None, By.KEY)

    async def first_event(last: str) -> tuple[str, str]:
        """Name and id of the first event of a listener that has seen everything up to ``last``."""
        async with asyncio.timeout(20), aclosing(few.events(viewer, last)) as events:
            while not (text := (await anext(events)).decode()):
                pass
        name, id_ = (line.partition(": ")[2] for line in text.splitlines()[:2])
        return name, id_

    _, first = await first_event("")
    changed(books, "CP1", 2)
    name, second = await first_event(first)
    assert name == "change"
    changed(books, "CP2", 3)
    name, third = await first_event(second)
    assert name == "change"
    assert (await first_event(first))[0] == "change", "as many as there are chargers"
    changed(books, "CP1", 4, "Available")
    assert (await first_event(third))[0] == "change"
    assert (await first_event(first))[0] == "snapshot"
    running.cancel()
    reader.close()


async def test_a_change_is_written_when_the_first_listener_takes_it(two: None, books: Books) -> None:
    """The lag is asked for each event in columns that is written."""
    written = 0

    def lag() -> float:
        nonlocal written
        written += 1
        return 0.0

    reader = Reader(books.url)
    live = Live(reader, Rows(reader, People(Pseudonyms(b"k"))).chargers_of, lag)
    running = asyncio.create_task(live.run())
    viewer = Principal("", Role.VIEWER, None, By.KEY)
    async with asyncio.timeout(20), aclosing(live.events(viewer, "")) as events:
        first = (await anext(events)).decode().splitlines()[1].removeprefix("id: ")
        changed(books, "CP1", 2)
        assert (await anext(events)).startswith(b"event: change")
        assert written == 0, "nobody listens to columns"
        sent = []
        for _ in range(2):
            async with aclosing(live.events(viewer, first, Form.COLUMNS)) as columns:
                sent.append(await anext(columns))
    assert (sent[0].startswith(b"event: change"), sent[0] is sent[1], written) == (True, True, 1)
    running.cancel()
    reader.close()


async def test_a_stream_made_anew_is_a_snapshot(two: None, console: Desk, books: Books) -> None:
    async with listening(console) as listener:
        await listener.event()
        books.run("UPDATE position SET created = 'later', seq = 1")
        anew = await listener.event()
        assert (anew.name, anew.chargers) == ("snapshot", ["CP1", "CP2"])


async def test_other_sites_are_not_there(two: None, console: Desk, books: Books) -> None:
    async with listening(console, sites=["north"]) as listener:
        assert (await listener.event()).chargers == ["CP1"]
        changed(books, "CP2", 2)
        changed(books, "CP1", 3)
        assert (await listener.event()).chargers == ["CP1"]


async def test_a_key_that_is_removed_hears_no_more(two: None, console: Desk, books: Books) -> None:
    async with listening(console) as listener:
        await listener.event()
        (name,) = [one["name"] for one in (await console.get("/keys"))["items"] if one["role"] == "viewer"]
        where = URL(console.url).joinpath("api", "v1", "keys", name)
        async with console.http.delete(
            where, headers={"Authorization": f"Bearer {await console.key()}"}
        ) as gone:
            assert gone.status == 204
        changed(books, "CP1", 2)
        assert await listener.ended()


async def test_pages_are_told_of_many_chargers_in_parts(
    two: None, console: Desk, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last part has the name and the id: a connection that ends before it goes on with all of it."""

    async def told(listener: Listener, events: int) -> list[tuple[str, bool, list[str]]]:
        found = [await listener.event() for _ in range(events)]
        return [(one.name, bool(one.id), one.data["chargers"].get("id", [])) for one in found]

    snapshot = [("part", False, ["CP1"]), ("snapshot", True, ["CP2"])]
    monkeypatch.setattr("voltgate.csms.console.live.PART", 1)
    async with listening(console, query="?form=columns") as listener:
        assert await told(listener, 2) == snapshot
        books.run("UPDATE charger SET model = 'new'")
        changed(books, "CP1", 2)
        assert await told(listener, 2) == [("part", False, ["CP1"]), ("change", True, ["CP2"])]
    async with listening(console, query="?form=columns", sites=["south"]) as listener:
        assert await told(listener, 1) == [("snapshot", True, ["CP2"])]
    monkeypatch.setattr("voltgate.csms.console.live.SCREEN", 1)
    async with listening(console, query="?form=columns") as listener:
        assert await told(listener, 3) == [("part", False, ["CP1"]), *snapshot], "the first ones at once"
    async with listening(console) as listener:
        assert (await listener.event()).chargers == ["CP1", "CP2"], "not for programs"


async def test_in_columns_only_what_is_new_is_sent(two: None, console: Desk, books: Books) -> None:
    async with listening(console, query="?form=columns") as listener:
        assert listener.response.headers["Content-Encoding"] == "gzip"
        first = await listener.event()
        assert (first.name, first.data["chargers"]["id"]) == ("snapshot", ["CP1", "CP2"])
        assert first.data["connectors"]["charger"] == ["CP1", "CP2"]
        assert first.data["lag"] >= 0
        books.session("s1", "CP2", power_w=7400)
        books.position(2)
        change = await listener.event()
        assert (change.data["chargers"], change.data["values"]) == ({}, {})
        assert change.data["connectors"]["power_w"] == [7400]
        books.run("UPDATE session SET power_w = 9000")
        books.position(3)
        last = change.id
        change = await listener.event()
        assert (change.data["chargers"], change.data["connectors"]) == ({}, {})
        assert (change.data["values"]["charger"], change.data["values"]["power_w"]) == (["CP2"], [9000])
    async with listening(console, query="?form=columns", last=last) as listener:
        assert (await listener.event()).data["values"] == change.data["values"]
    async with listening(console, query="?form=columns", last=change.id) as listener:
        assert (await listener.any()).name == "alive", "at once: what the listener has is live"
    async with listening(console, query="?form=columns", sites=["north"]) as listener:
        assert (await listener.event()).data["chargers"]["id"] == ["CP1"]


async def test_a_word_of_the_ledger_names_the_chargers_that_are_read(
    two: None, console: Desk, books: Books
) -> None:
    """One that nobody names is read when the ledger has acted, or when a word was lost."""

    async def say(seq: int, since: int, chargers: list[str] | None) -> None:
        said = {"position": {"OCPP_TX": seq}, "since": since, "chargers": chargers}
        await console.client.publish("ops.live", json.dumps(said).encode())

    async with listening(console) as listener:
        await listener.event()
        books.run("UPDATE connector SET status = 'Charging'")
        await say(2, 1, ["CP2"])
        assert (await listener.event()).chargers == ["CP2"], "the position in the database is the old one"
        books.position(4)
        await say(4, 3, ["CP2"])
        assert (await listener.event()).chargers == ["CP1"], "the word before was lost: all are read"
        books.run("UPDATE charger SET vendor = 'V'")
        books.position(5)
        await say(5, 4, None)
        assert (await listener.event()).chargers == ["CP1", "CP2"]


async def test_what_is_named_does_not_wait_for_the_whole_picture(
    two: None, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read between two pieces. Until all are there, an id names the position before."""
    monkeypatch.setattr("voltgate.csms.console.live.PIECE", 1)
    reader = Reader(books.url)
    rows = Rows(reader, People(Pseudonyms(b"k")))
    asked: list[list[str]] = []

    async def documents(ids: list[str]) -> list[dict[str, Any]]:
        asked.append(ids)
        if len(asked) == 2:
            changed(books, "CP2", 3)
            live.changed(Word({"OCPP_TX": 3}, 2, frozenset({"CP2"})))
        return await rows.chargers_of(ids)

    live = Live(reader, documents)
    running = asyncio.create_task(live.run())
    async with (
        asyncio.timeout(20),
        aclosing(live.events(Principal("", Role.VIEWER, None, By.KEY), "")) as events,
    ):

        async def event() -> tuple[str, str, Any]:
            name, id_, data = (
                line.partition(": ")[2] for line in (await anext(events)).decode().split("\n")[:3]
            )
            return name, id_.partition("-")[2], json.loads(data)

        assert (await event())[:2] == ("snapshot", "1")
        books.position(2)
        live.changed(Word({"OCPP_TX": 2}, 1, None))
        name, id_, data = await event()
        assert (name, id_, data["position"], data["chargers"][0]["id"]) == (
            "change",
            "1",
            {"OCPP_TX": 3},
            "CP2",
        )
        assert asked == [["CP1", "CP2"], ["CP1"], ["CP2"], ["CP2"]][: len(asked)]
        changed(books, "CP1", 4)
        live.changed(Word({"OCPP_TX": 4}, 3, frozenset({"CP1"})))
        assert (await event())[:2] == ("change", "4")
        assert asked == [["CP1", "CP2"], ["CP1"], ["CP2"], ["CP2"], ["CP1"]]
    running.cancel()
    reader.close()
