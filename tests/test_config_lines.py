"""The line of a key, for every way to write a TOML document (toml.io, 1.0)."""

import tomllib

import pytest

from voltgate.config_lines import Key, lines

DOCUMENTS: list[tuple[str, Key, int, str]] = [
    ("a = 1\nb = 2\n", ("b",), 2, "a pair"),
    ("[t]\n# c\n\na = 1", ("t", "a"), 4, "below comments and empty lines"),
    ("[t]\na = 1", ("t",), 1, "the table itself"),
    ("[t.u]\na = 1", ("t",), 1, "a table that is only implied"),
    ("a.b = 1\na.'c d' = 2", ("a", "c d"), 2, "a dotted key with a literal part"),
    ('"a\\u0062" = 1', ("ab",), 1, "a quoted key with an escape"),
    ("[[t]]\n[[t]]\na = 1", ("t", 1, "a"), 3, "the second table of a list"),
    ("[[t]]\n[t.u]\na = 1", ("t", 0, "u", "a"), 3, "a table below an entry"),
    ("[[t]]\n[[t.u]]\n[[t]]\n[[t.u]]\n[[t.u]]\na = 1", ("t", 1, "u", 1, "a"), 6, "a list below an entry"),
    ("a = [\n 1,\n 2,\n]\nb = 1", ("a", 1), 3, "an entry on a line of its own"),
    ("a = [\n [1, 2],\n]\nb = 1", ("b",), 4, "after a list of lists"),
    ("a = { b = 1, c = [1,\n2] }\nd = 1", ("a", "c", 1), 2, "in an inline table"),
    ('a = """x\n[t]\ny = 1\n"""\nb = 1', ("b",), 5, "after a text of several lines that looks like TOML"),
    ("a = '''x\n'y = 1'''\nb = 1", ("b",), 3, "after a literal of several lines"),
    ('a = """x""""\nb = 1', ("b",), 2, "a text that ends with a quotation mark"),
    ('a = "# \\" ="\nb = 1', ("b",), 2, "a number sign and an escaped quotation mark in a text"),
    ("a = 1.5\nb = 2026-01-01T00:00:00.5Z\nc = -1e+3 # d = 1\ne = 1", ("e",), 4, "numbers and times"),
    ("a = 1\r\nb = 2\r\n", ("b",), 2, "the line ends of Windows"),
    ("[ t . u ]\na = 1", ("t", "u", "a"), 2, "spaces in a header"),
    ("a = []\nb = {}\nc = ''", ("c",), 3, "nothing in a list, a table and a text"),
]


@pytest.mark.parametrize(("text", "key", "line", "why"), DOCUMENTS, ids=[why for *_, why in DOCUMENTS])
def test_the_line_of_a_key(text: str, key: Key, line: int, why: str) -> None:
    tomllib.loads(text)
    assert lines(text)[key] == line, why


def test_every_value_has_a_line_and_nothing_else_has() -> None:
    for text, *_ in DOCUMENTS:
        assert set(lines(text)) == set(keys(tomllib.loads(text), ())), text


def keys(value: object, above: Key) -> list[Key]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for part, below in inner for one in [(*above, part), *keys(below, (*above, part))]]
