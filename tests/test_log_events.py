"""The closed vocabulary of the log: events, levels and keys in the code are those of docs/reference.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "python" / "voltgate"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# Keys that every line may have.
COMMON = {"event", "level", "timestamp", "exception"}


class Line(NamedTuple):
    """One place in the code that logs. ``open``: it passes further keys that the source does not name."""

    event: str
    level: str
    keys: frozenset[str]
    open: bool


def logged() -> Iterator[Line]:
    """Every call of a structlog logger."""
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_logger(node.func):
                level = "error" if node.func.attr == "exception" else node.func.attr
                # What ``exc_info`` gives is written as ``exception``.
                named = (word.arg for word in node.keywords if word.arg != "exc_info")
                keys = frozenset(arg for arg in named if arg is not None)
                more = any(word.arg is None for word in node.keywords)
                for event in texts(node.args[0], tree):
                    yield Line(event, level, keys, more)


def is_logger(function: ast.Attribute) -> bool:
    owner = ast.unparse(function.value)
    return function.attr in LEVELS and owner in ("log", "structlog.get_logger()")


def texts(argument: ast.expr, tree: ast.Module) -> list[str]:
    """The event of a call: a literal, or the literals that are assigned to the name."""
    if isinstance(argument, ast.Name):
        values = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == argument.id
        ]
        nodes = [one for value in values for one in ast.walk(value)]
        return [one.value for one in nodes if isinstance(one, ast.Constant) and "." in str(one.value)]  # type: ignore[misc]
    assert isinstance(argument, ast.Constant), f"not a literal: {ast.unparse(argument)}"
    return [str(argument.value)]


# Written by processors, not by a call.
SOURCES = ("identity", "peer", "logger", "subject", "about", "others")
BY_PROCESSORS = [
    Line("library.reported", "warning", frozenset({"logger", "error"}), True),
    Line("suppression.began", "warning", frozenset({*SOURCES, "lines"}), True),
]
CODE = [*logged(), *BY_PROCESSORS]
TABLE = (ROOT / "docs" / "reference.md").read_text().split("\n## Log lines\n")[1].split("\n## ")[0]
ROWS = {
    row[0]: (set(re.findall(r"\w+", row[1])), set(re.findall(r"`(\w+)`", row[2])))
    for row in re.findall(r"^\| `(\w+\.\w+)` \| ([\w, ]+) \| ([^|]*)\|", TABLE, re.MULTILINE)
}


def test_the_events_in_code_are_those_in_the_docs() -> None:
    assert {line.event for line in CODE} == set(ROWS)


def test_their_levels_are_those_in_the_docs() -> None:
    levels = {event: {line.level for line in CODE if line.event == event} for event in ROWS}
    assert levels == {event: row[0] for event, row in ROWS.items()}


def test_their_keys_are_those_in_the_docs() -> None:
    for event, (_, documented) in ROWS.items():
        lines = [line for line in CODE if line.event == event]
        keys = frozenset[str]().union(*(line.keys for line in lines))
        assert keys <= documented, event
        assert keys == documented or any(line.open for line in lines), event
        assert not documented & COMMON, event


def test_an_event_is_a_noun_and_what_happened() -> None:
    assert [event for event in ROWS if not re.fullmatch(r"[a-z]+\.[a-z_]+", event)] == []
