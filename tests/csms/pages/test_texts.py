"""Messages in two languages, from the tables of the pages."""

import re
from pathlib import Path

import pytest

from voltgate.csms.console.shell import ROOT

ROW = re.compile(r'^  "?([\w.]+)"?: \[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\],$', re.MULTILINE)
TABLES = [path for path in sorted((ROOT / "text").glob("*.js")) if path.name != "text.js"]


def names(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_each_message_is_there_in_both_languages(table: Path) -> None:
    """With the same values and the same number of forms; every row of the table is read by this test."""
    text = table.read_text()
    rows = ROW.findall(text)
    assert len(rows) == len(re.findall(r"^  [\w\"].*: \[", text, re.MULTILINE))
    assert len({key for key, _, _ in rows}) == len(rows), "a key is there twice"
    for key, english, german in rows:
        assert english, key
        assert german, key
        assert names(english) == names(german), key
        assert english.count("|") == german.count("|"), key


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_each_message_is_used(table: Path) -> None:
    """In a file that imports its table: as a string, or up to its last part, which is a value there."""
    imported = f'/text/{table.name}"'
    code = "\n".join(text for path in ROOT.rglob("*.js") if imported in (text := path.read_text()))
    whole, prefixes = set(re.findall(r'"([\w.]+)"', code)), set(re.findall(r"`([\w.]+\.)\$\{", code))
    keys = [key for key, _, _ in ROW.findall(table.read_text())]
    assert [key for key in keys if key not in whole and not key.startswith(tuple(prefixes))] == []
