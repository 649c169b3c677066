"""docs/csms/tariffs.md: its lists are those of the code, and its example runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from voltgate.csms.tariffs.ocpi import Lost
from voltgate.csms.tariffs.payments import Payment
from voltgate.csms.tariffs.price import LineKind

PAGE = (Path(__file__).parents[3] / "docs" / "csms" / "tariffs.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("What a bill says", [one.value for one in LineKind]),
        ("OCPI 2.2.1", [one.name for one in Lost]),
    ],
)
def test_a_table_lists_all_of_them(title: str, words: list[str]) -> None:
    assert re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE) == words


def test_losses_have_the_words_of_the_code() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section("OCPI 2.2.1"), re.MULTILINE))
    assert table == {one.name: one.value for one in Lost}


def test_the_states_of_a_payment() -> None:
    first = section("Payments").split(", as the last decision")[0]
    assert re.findall(r"`(\w+)`", first) == list(Payment)


def test_the_example_prints_what_it_says() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    printed = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines() == re.findall(r"  # (.*)$", example, re.MULTILINE)
