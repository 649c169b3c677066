"""CSV that spreadsheets open without calculating: rows of the statements and of the exports.

A text that a spreadsheet would take for a formula gets a ``'`` in front (OWASP, "CSV Injection"): chargers
and drivers choose some of the texts. A text that is a plain number stays, also a negative one.
"""

import csv
import io
import re
from collections.abc import Iterable

_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")

Cell = str | int | None


def rows(cells: Iterable[Iterable[Cell]]) -> str:
    """Lines of CSV (RFC 4180), each with its line end; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([defused(cell) for cell in row] for row in cells)
    return text.getvalue()


def defused(cell: Cell) -> Cell:
    """The cell as it may stand in a sheet."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
