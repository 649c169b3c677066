"""Every cited rule of docs/contract.md and docs/ocpp.md exists, and no page is cited that does not ship."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("python", "rust", "tests", "docs", "deploy", "benchmarks")
SUFFIXES = {".py", ".pyi", ".rs", ".md", ".toml", ".json", ".yaml", ".yml"}
BUILT = {"target", "__pycache__", "node_modules"}

CONTRACT, OCPP = "docs/contract.md", "docs/ocpp.md"
NUMBER = {CONTRACT: r"[1-9](?:\.\d+)?", OCPP: r"[A-Z](?:\d+)?"}
# A line may end inside a citation, and go on behind the mark of a comment.
BLANK = r"\s+(?:(?:#|//[/!]?)\s*)?"
NOT_SHIPPED = re.compile(
    r"\bCONTRACT(?:\.md)?\s+\d|(?<![\w/.-])(?:CONTRACT|OCPP|NATS|FIGURES|HOUSE|REVIEW|FIELD|OPERATE|CSMS)\.md\b"
)


def files() -> list[Path]:
    """What may cite a rule: everything that is written by hand."""
    found = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "Makefile"]
    for room in ROOMS:
        found += (
            path
            for path in sorted((ROOT / room).rglob("*"))
            if path.suffix in SUFFIXES and path.is_file() and not BUILT & set(path.parts)
        )
    return found


def cited(text: str, page: str) -> list[str]:
    """The numbers of ``page`` that a text cites: ``2.2, 3.4`` are two, and so are the ends of ``A5-A16``."""
    number = NUMBER[page]
    more = rf"(?:(?:,{BLANK}(?:and{BLANK})?|{BLANK}(?:and|to){BLANK}|-){number}\b)*"
    pattern = rf"(?<![\w/]){re.escape(page)}{BLANK}({number}\b{more})"
    return [one for match in re.finditer(pattern, text) for one in re.findall(number, match[1])]


def defined(page: str) -> set[str]:
    """What can be cited: headings (``## 2. Title``, ``### 2.2 Title``) and items (``**A10.**``)."""
    text = (ROOT / page).read_text()
    return set(re.findall(rf"(?m)^(?:#{{2,3}} |\*\*)({NUMBER[page]})[. ]", text))


def where(path: Path) -> str:
    """How a failure names a file."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", [CONTRACT, OCPP])
def test_every_cited_rule_exists(page: str) -> None:
    known = defined(page)
    missing = [
        f"{where(path)}: {page} {number}"
        for path in files()
        if path != Path(__file__)
        for number in cited(path.read_text(), page)
        if number not in known
    ]
    assert not missing, "cited and not there:\n" + "\n".join(missing)


@pytest.mark.parametrize("page", [CONTRACT, OCPP])
def test_rules_are_cited(page: str) -> None:
    """Else the tests beside this one find nothing because they look for nothing."""
    assert sum(len(cited(path.read_text(), page)) for path in files()) > 50


def test_what_can_be_cited() -> None:
    """The numbers are there, each once, and none is skipped within its list."""
    assert {"1", "2.1", "2.2", "2.3", "3.1", "3.8", "4.1", "4.5", "5", "6"} <= defined(CONTRACT)
    assert {*"ABCDEF", "A1", "A25", "C1", "D8", "F6"} <= defined(OCPP)
    items = re.findall(r"(?m)^\*\*([A-Z])(\d+)\.\*\*", (ROOT / OCPP).read_text())
    for letter in "ACDF":
        numbers = [int(number) for of, number in items if of == letter]
        assert numbers == list(range(1, len(numbers) + 1)), letter


@pytest.mark.parametrize(
    ("text", "page", "numbers"),
    [
        ("(docs/contract.md 2.2, 2.3, docs/ocpp.md A15)", CONTRACT, ["2.2", "2.3"]),
        ("(docs/contract.md 2.2, docs/ocpp.md A5-A16, C)", OCPP, ["A5", "A16", "C"]),
        ("docs/contract.md 2.1 and 3.8 where", CONTRACT, ["2.1", "3.8"]),
        ("# as docs/ocpp.md\n    # A19 says", OCPP, ["A19"]),
        ("docs/contract.md 3. And more", CONTRACT, ["3"]),
        ("docs/ocpp.md says more", OCPP, []),
        ("docs/ocpp.md D) A charger", OCPP, ["D"]),
    ],
)
def test_how_rules_are_cited(text: str, page: str, numbers: list[str]) -> None:
    assert cited(text, page) == numbers


def test_only_pages_that_ship_are_cited() -> None:
    left = [
        f"{where(path)}: {match[0]}"
        for path in files()
        if path != Path(__file__)
        for match in NOT_SHIPPED.finditer(path.read_text())
    ]
    assert not left, "\n".join(left)
