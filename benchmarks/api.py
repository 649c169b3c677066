"""The API of the console on a database with a million sessions: a filtered page, an export, a preview.

A console of its own on an embedded NATS, in this process; its client too, so times are those that a user sees
on the same machine. Filling the database takes a minute of the three that it runs.
Run: ``python benchmarks/api.py``, or ``--sessions 100000`` to try it
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
from servers import connected, free_ports

from voltgate.cli.dev import embedded
from voltgate.config import Config
from voltgate.config_csms import Csms
from voltgate.csms.console import persons
from voltgate.csms.console.server import served
from voltgate.csms.ledger import documents, store, times
from voltgate.csms.ledger.acting import Settings
from voltgate.csms.ledger.books import Books
from voltgate.csms.ledger.documents import Cdr
from voltgate.csms.ledger.pseudonyms import Pseudonyms
from voltgate.csms.tariffs.cdr import Billed
from voltgate.csms.tariffs.price import Bill
from voltgate.csms.tariffs.usage import Period, Usage
from voltgate.gateway.bus import streams

CHARGERS = 1000
PAGES = 300
EXPORTED, PREVIEWED = 100_000, 10_000
QUARTER = timedelta(minutes=15)
LAST = datetime(2026, 6, 30, tzinfo=UTC)
BETWEEN = timedelta(seconds=30)  # sessions of the network begin


def _began(number: int) -> datetime:
    return LAST - number * BETWEEN


def _rows(count: int) -> Iterator[tuple[object, ...]]:
    for number in range(count):
        at = times.text(_began(number))
        state = "open" if number < CHARGERS else "review" if number % 500 == 0 else "settled"
        ended = None if state == "open" else times.text(_began(number) + 12 * QUARTER)
        yield (
            f"{number:032x}", f"CP{number % CHARGERS}", 1, 1, str(number), "t" * 32, at, ended, state,
            30_000_000, "EUR", 117_000_000, "" if number % 10 else "clock_corrected", 1, "ocpp1.6", at, at, 0,
        )  # fmt: skip


def fill(url: str, count: int) -> None:
    """Sessions, and the documents of the newest of them."""
    books = Books(store.opened(url), Settings(Csms()), Pseudonyms(b"bench"))
    columns = (
        "id, charger, evse, connector, tx, token, started, ended, state, mwh, currency, cost, flags, "
        "revision, version, first_heard, heard, due"
    )
    marks = ", ".join("?" * len(columns.split(", ")))
    with books.begin() as tx:
        for row in _rows(count):
            tx.run(f"INSERT INTO session ({columns}) VALUES ({marks})", *row)
        for number in range(CHARGERS):
            tx.run("INSERT INTO charger (id, token) VALUES (?, ?)", f"CP{number}", f"CP{number}")
        for number in range(PREVIEWED):
            _document(tx, number)
    books.close()


def _document(tx: store.Tx, number: int) -> None:
    began = _began(CHARGERS + number)
    steps = [began + step * QUARTER for step in range(13)]
    usage = Usage(tuple(Period(start, end, 2_500_000, True, False) for start, end in pairwise(steps)))
    billed = Billed(
        evse=1, connector=1, transaction=str(number), token="t" * 32, started=began, ended=steps[-1],
        mwh=30_000_000, charging_s=10_800, idle_s=0, flags=(), bill=Bill((), 117_000_000, 0, "EUR"),
        tariff={}, tariff_revision=1, zone="Europe/Berlin", usage=usage,
    )  # fmt: skip
    session, issued = f"{CHARGERS + number:032x}", times.text(steps[-1])
    cdr = Cdr(
        f"{session}/1", f"2026-{number:06}", "", session, f"CP{number % CHARGERS}", 1, "invoice",
        117_000_000, "EUR", 30_000_000, issued,
    )  # fmt: skip
    documents.keep(tx, cdr, orjson.dumps({"cdr": asdict(cdr), "bill": billed.json()}))


@asynccontextmanager
async def console(folder: Path, url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a running console."""
    port, at_nats = free_ports(2)
    with embedded.server(folder / "nats", at_nats, 1 << 20):
        client = await connected(at_nats)
        config = Config().model_copy(update={"csms": Csms(database=url, port=port)})
        await streams.apply(client, config)
        async with served(client, config) as running:
            key = await persons.new_key(running.writer, "bench", "manager", None)
            headers = {"Authorization": f"Bearer {key}"}
            base = f"http://127.0.0.1:{port}"
            async with aiohttp.ClientSession(base, headers=headers) as http:
                yield http
        await client.close()


async def _pages(http: aiohttp.ClientSession, count: int) -> list[float]:
    """Seconds of pages of 50, each with another filter."""
    waits = []
    for number in range(PAGES):
        days = number * (count * BETWEEN) / (2 * PAGES)
        until = LAST - days
        asked: dict[str, Any] = {"limit": 50, "to": times.text(until)}
        asked |= [{"state": "settled"}, {"charger": f"CP{number}"}, {"state": "review"}][number % 3]
        began = time.monotonic()
        async with http.get("/api/v1/sessions", params=asked) as answer:
            assert answer.status == 200, await answer.text()
            found = await answer.json()
        waits.append(time.monotonic() - began)
        assert found["items"]
    return waits


async def _export(http: aiohttp.ClientSession) -> tuple[float, int, float]:
    """Seconds, rows, and MiB of resident memory that it took at most."""
    asked = {"from": times.text(_began(CHARGERS + EXPORTED)), "to": times.text(_began(CHARGERS))}
    process, rows, sizes = psutil.Process(), -1, list[int]()
    before, began = process.memory_info().rss, time.monotonic()
    async with http.get("/api/v1/export/sessions.csv", params=asked) as answer:
        assert answer.status == 200, await answer.text()
        async for chunk in answer.content.iter_any():
            rows += chunk.count(b"\n")
            sizes.append(process.memory_info().rss)
    return time.monotonic() - began, rows, (max(sizes) - before) / (1 << 20)


async def _preview(http: aiohttp.ClientSession) -> float:
    tariff = {"currency": "EUR", "tax_percent": "19", "energy_kwh": "0.39", "start": "0.50"}
    asked = {"tariff": tariff, "from": times.text(_began(CHARGERS + PREVIEWED)), "to": times.text(LAST)}
    began = time.monotonic()
    async with http.post("/api/v1/tariffs/preview", json=asked) as answer:
        assert answer.status == 200, await answer.text()
        found = await answer.json()
    spent = time.monotonic() - began
    assert found["less"] + found["more"] + found["same"] >= PREVIEWED - 1, found
    return spent


async def measured(count: int, folder: Path, url: str) -> list[tuple[str, str]]:
    """The rows."""
    async with console(folder, url) as http:
        await _pages(http, count)
        cuts = statistics.quantiles(await _pages(http, count), n=100)
        preview = await _preview(http)
        seconds, rows, grown = await _export(http)
    return [
        (f"50 of {count:,} sessions, p50 and p99", f"{cuts[49] * 1000:.1f} ms, {cuts[98] * 1000:.1f} ms"),
        (f"export of {rows:,} sessions as CSV", f"{seconds:.1f} s, {grown:.0f} MiB more"),
        (f"preview of {PREVIEWED:,} sessions", f"{preview:.2f} s"),
    ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="The console's figures.")
    parser.add_argument("--sessions", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/csms.db"
        fill(url, options.sessions)
        for label, value in asyncio.run(measured(options.sessions, folder, url)):
            print(f"{label:<55} {value}")


if __name__ == "__main__":
    main()
