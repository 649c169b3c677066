"""Cells of CSV."""

import csv

import pytest

from voltgate.csms import sheets
from voltgate.csms.sheets import Cell


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+49 40 123", "'+49 40 123"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-6.50", "-6.50"),
        ("+6", "+6"),
        (-6, -6),
        ("a=b", "a=b"),
        ("", ""),
        (None, None),
    ],
)
def test_formulas_are_defused(cell: Cell, safe: Cell) -> None:
    assert sheets.defused(cell) == safe


def test_rows_survive() -> None:
    cells: list[list[Cell]] = [["a,b", 'c"d', "e\nf", 7, None], ["ü", "", "=1", -1, "x"]]
    text = sheets.rows(cells)
    assert list(csv.reader(text.splitlines(keepends=True))) == [
        ["a,b", 'c"d', "e\nf", "7", ""],
        ["ü", "", "'=1", "-1", "x"],
    ]
    assert text.endswith("\r\n")
