"""Exports: every row once, by site, in both formats; formulas are text; memory does not grow."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from csms.console.desk import Books, Desk
from voltgate.csms.console import exports, rows
from voltgate.csms.console.exports import PIECE, Table, csv_of, jsonl, pieces
from voltgate.csms.console.pages import Where
from voltgate.csms.console.reader import Reader
from voltgate.csms.ledger.service import pseudonyms_of


def many(books: Books, number: int) -> None:
    """Sessions, in groups that began in the same moment."""
    books.run(
        "INSERT INTO session (id, charger, evse, connector, tx, state, started, version, first_heard, heard)"
        " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " SELECT 's' || i, 'CP' || (i % 3), 1, 1, '', 'settled',"
        " CASE WHEN i % 5 = 0 THEN NULL"
        " ELSE '2026-05-01T10:00:00.' || printf('%03d', i / 40 % 1000) || 'Z' END,"
        " 'ocpp1.6', '2026-05-01T10:00:00.500Z', '' FROM n",
        number,
    )


async def test_every_session_is_there_once_in_both_formats(console: Desk, books: Books) -> None:
    for number in range(3):
        books.charger(f"CP{number}", "north" if number else "south")
    many(books, 2 * PIECE + 7)
    lines = (await console.ask("GET", "/export/sessions.jsonl")).text.splitlines()
    documents = [json.loads(line) for line in lines]
    assert sorted(one["id"] for one in documents) == sorted(f"s{i}" for i in range(1, 2 * PIECE + 8))
    answer = await console.ask("GET", "/export/sessions.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sessions.csv"'
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in table] == [one["id"] for one in documents]
    assert documents[0].keys() == table[0].keys()
    mine = await console.ask("GET", "/export/sessions.jsonl", role="viewer", sites=["south"])
    assert {json.loads(line)["charger"] for line in mine.text.splitlines()} == {"CP0"}
    some = await console.ask("GET", "/export/sessions.csv?charger=CP1&from=2026-05-01T10:00:00.500Z")
    assert 0 < len(some.text.splitlines()) - 1 < len(lines) / 3


async def test_pages_have_every_session_once(console: Desk, books: Books) -> None:
    many(books, 230)
    found: list[str] = []
    query: str | None = ""
    while query is not None:
        page = await console.get(f"/sessions?limit=50{query}")
        found += [one["id"] for one in page["items"]]
        query = page["next"] and f"&after={page['next']}"
    assert sorted(found) == sorted(f"s{i}" for i in range(1, 231))
    assert len(found) == 230


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+2", "-1+2", "@SUM(1)", "\t=1", "\r=1"])
async def test_a_formula_is_text(text: str, console: Desk, books: Books) -> None:
    await console.ask("PUT", f"/tokens/{quoted(text)}", {"status": "Accepted"})
    pseudonyms = await pseudonyms_of(console.client, console.console.config)
    books.session(token=pseudonyms.of(text), tx=text)
    answer = await console.ask("GET", "/export/sessions.csv")
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (row["token"], row["transaction"]) == ("'" + text, "'" + text)
    (line,) = (await console.ask("GET", "/export/sessions.jsonl")).text.splitlines()
    assert json.loads(line)["token"] == text, "JSON has no formulas"


def quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def test_cells() -> None:
    write = csv_of(("a", "b", "c"))
    assert write([{"a": ["x", "y"], "b": None, "c": -1.5}]) == b"x y,,-1.5\r\n"
    assert jsonl([{"a": 1}, {"a": 2}]) == b'{"a":1}\n{"a":2}\n'
    assert exports.header(("a", "b")) == b"a,b\r\n"


@pytest.mark.parametrize(
    "number", [20_000, pytest.param(1_000_000, marks=pytest.mark.full)], ids=["short", "a million"]
)
async def test_memory_does_not_grow_with_the_rows(number: int, tmp_path: Path) -> None:
    books = Books(f"sqlite:///{tmp_path / 'many.db'}")
    many(books, number)
    reader = Reader(books.url)
    table = Table(rows.SESSIONS, rows.TIME, "s.id")

    def make(row: Any) -> dict[str, Any]:
        return {"id": row[0]}

    async def exported() -> int:
        """Lines, each piece read and dropped."""
        lines = 0
        async for piece in pieces(reader, table, Where(), make, csv_of(("id",))):
            lines += piece.count(b"\n")
        return lines

    process = psutil.Process()
    before = process.memory_info().rss
    assert await exported() == number
    assert process.memory_info().rss - before < 24 << 20
    reader.close()
    books.close()
