"""Which test shows which rule in which version, and the page that says so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., Any])

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
ALL, V16, V201, V21, V2 = ("v16", "v201", "v21"), ("v16",), ("v201",), ("v21",), ("v201", "v21")
# Rules that are not for every version (docs/ocpp.md A).
ONLY = {"A11": V2, "A13": V21, "A14": V21, "A16": V2}


@dataclass(frozen=True)
class Row:
    """What a test shows. ``rule``: of docs/ocpp.md A, or a case of its E."""

    rule: str
    version: str
    what: str
    test: str


ROWS: dict[tuple[str, str, str], Row] = {}


def rule(name: str, what: str, versions: Sequence[str] = ALL) -> Callable[[Test], Test]:
    """The test, which takes a ``version``, shows this rule in these versions."""
    return case(what, **dict.fromkeys(versions, name))


def case(what: str, **names: str) -> Callable[[Test], Test]:
    """The test shows a certification case, which each version names otherwise."""

    def mark(test: Test) -> Test:
        for version, name in names.items():
            ROWS[name, version, test.__name__] = Row(name, version, what, test.__name__)
        return pytest.mark.parametrize("version", list(names))(test)  # type: ignore[no-any-return]

    return mark


HEAD = """# Conformance

Written by `make conformance`: each row is a test in `tests/conformance` against a real gateway over real
sockets, with `validation = "strict"` and a real NATS. The rules are those of [ocpp.md](ocpp.md); a dash is a
version that a rule is not for.
"""
QUIRKS = """
## Quirks

What a quirk of a charger's record changes ([reference](reference.md#the-registry)); each test is run with the
quirk and without it.

| quirk | without it | with it | result |
|---|---|---|---|
"""


def page(outcomes: Mapping[tuple[str, str], str], quirks: Mapping[str, tuple[str, str]]) -> str:
    """The text of docs/conformance.md; ``outcomes`` by test and version, or by "quirk" and its name."""
    rules = sorted(
        {row.rule for row in ROWS.values() if row.rule.startswith("A")}, key=lambda one: int(one[1:])
    )
    cases = sorted({row.rule for row in ROWS.values()} - {*rules})
    text = HEAD
    for title, names in (("Rules", rules), ("Certification cases", cases)):
        text += f"\n## {title}\n\n| rule | what | 1.6 | 2.0.1 | 2.1 |\n|---|---|---|---|---|\n"
        for name in names:
            rows = [row for row in ROWS.values() if row.rule == name]
            for test, what in dict.fromkeys((row.test, row.what) for row in rows):
                served = {row.version for row in rows if row.test == test}
                cells = [outcomes.get((test, one), "not run") if one in served else "-" for one in ALL]
                text += f"| {name} | {what} | {' | '.join(cells)} |\n"
    text += QUIRKS
    for quirk, (without, with_it) in quirks.items():
        text += f"| `{quirk}` | {without} | {with_it} | {outcomes.get(('quirk', quirk), 'not run')} |\n"
    return text
