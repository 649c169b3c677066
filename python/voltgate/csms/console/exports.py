"""Exports: every row of a table as CSV or JSON lines, read and sent in pieces, so that a million rows need no
more memory than a thousand.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import orjson

from voltgate.csms import sheets
from voltgate.csms.console.pages import Cursor, Where
from voltgate.csms.console.reader import Query, Reader

Document = dict[str, Any]
PIECE = 1000  # rows


@dataclass(frozen=True, slots=True)
class Table:
    """A query whose rows have a time and an id. ``select`` ends before WHERE."""

    select: str
    time: str
    id: str


Make = Callable[[Any], Document]
Write = Callable[[Iterable[Document]], bytes]


async def pieces(
    reader: Reader, table: Table, where: Where, make: Make, write: Write
) -> AsyncIterator[bytes]:
    """The rows, newest first. ``make``: the document of a row, whose last two columns are time and id."""
    last: Cursor | None = None
    while True:
        read = partial(_piece, table=table, where=where, make=make, write=write, last=last)
        data, last = await reader.run(read)
        if data:
            yield data
        if last is None:
            return


def _piece(  # noqa: PLR0913 - runs in a thread, with all that it needs
    query: Query, *, table: Table, where: Where, make: Make, write: Write, last: Cursor | None
) -> tuple[bytes, Cursor | None]:
    here = Where([*where.terms], [*where.args])
    if last is not None:
        here.behind(table.time, table.id, last)
    rows = query(
        f"{table.select}{here} ORDER BY {table.time} DESC, {table.id} DESC LIMIT ?", *here.args, PIECE
    )
    cursor = Cursor(rows[-1][-2], rows[-1][-1]) if len(rows) == PIECE else None
    return write(map(make, rows)), cursor


def jsonl(documents: Iterable[Document]) -> bytes:
    """A document a line."""
    return b"".join(orjson.dumps(one) + b"\n" for one in documents)


def csv_of(columns: tuple[str, ...]) -> Write:
    """Rows of CSV with these columns; a list is in one cell."""

    def write(documents: Iterable[Document]) -> bytes:
        return sheets.rows([_cell(one[column]) for column in columns] for one in documents).encode()

    return write


def header(columns: tuple[str, ...]) -> bytes:
    """The first line of CSV."""
    return sheets.rows([columns]).encode()


def _cell(value: Any) -> sheets.Cell:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value if value is None or isinstance(value, str | int) else str(value)


async def generated(
    reader: Reader, documents: Callable[[Query], Iterator[Document]], write: Write
) -> AsyncIterator[bytes]:
    """The documents of a generator, some at a time, each time in a thread of the reader."""
    running: list[Iterator[Document]] = []

    def some(query: Query) -> list[Document]:
        if not running:
            running.append(documents(query))
        return list(islice(running[0], PIECE))

    while found := await reader.run(some):
        yield write(found)


FORMATS: Mapping[str, str] = {"csv": "text/csv", "jsonl": "application/jsonl"}
