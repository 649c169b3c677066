"""Exports: every row of a table as CSV or JSON lines, read and sent in pieces, so that a million rows need no
more memory than a thousand.
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from voltgate.csms.console.pages import Cursor, Where
from voltgate.csms.console.reader import Query, Reader

Document = dict[str, Any]
PIECE = 1000  # rows
_FORMULA = frozenset("=+-@\t\r")  # what makes a spreadsheet calculate a cell


@dataclass(frozen=True, slots=True)
class Table:
    """A query whose rows have a time and an id. ``select`` ends before WHERE."""

    select: str
    time: str
    id: str
    columns: tuple[str, ...]


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
    """Rows of CSV with these columns."""

    def write(documents: Iterable[Document]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows(
            [_cell(document[column]) for column in columns] for document in documents
        )
        return text.getvalue().encode()

    return write


def header(columns: tuple[str, ...]) -> bytes:
    """The first line of CSV."""
    return (",".join(columns) + "\r\n").encode()


def _cell(value: Any) -> Any:
    """A list in one cell; a text that a spreadsheet would calculate shows as text."""
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str) and value[:1] in _FORMULA:
        return "'" + value
    return value


FORMATS: Mapping[str, str] = {"csv": "text/csv", "jsonl": "application/jsonl"}
