"""docs/conformance.md is what a run in which everything passes writes, and no rule is left out."""

import importlib
import re
from pathlib import Path

from conformance.rules import ALL, ONLY, PAGE, ROWS, page
from conformance.test_quirks import SEEN
from voltgate.gateway.registry.record import QUIRKS

for _path in Path(__file__).parent.glob("test_*.py"):
    if _path != Path(__file__):
        importlib.import_module(f"conformance.{_path.stem}")

OCPP = (PAGE.parent / "ocpp.md").read_text()


def test_every_rule_has_a_test_in_each_version_that_it_is_for() -> None:
    rules = re.findall(r"(?m)^\*\*(A\d+)\.\*\*", OCPP)
    wanted = {(rule, version) for rule in rules for version in ONLY.get(rule, ALL)}
    assert wanted == {(rule, version) for rule, version, _ in ROWS if rule.startswith("A")}


def test_every_case_that_a_gateway_decides_has_a_test() -> None:
    two = [f"TC_A_0{number}" for number in (1, 2, 3, 4, 6, 7, 8)] + [
        "TC_B_01",
        "TC_B_02",
        "TC_B_30",
        "TC_B_58",
    ]
    wanted = {(case, "v201") for case in two} | {
        (f"TC_{case}", "v16") for case in ("001", "085", "086", "087", "088")
    }
    assert wanted <= {(rule, version) for rule, version, _ in ROWS}


def test_every_quirk_has_a_row_and_its_own_line_in_the_reference() -> None:
    reference = (PAGE.parent / "reference.md").read_text()
    table = reference.split("| quirk | for chargers that |")[1].split("\n\n")[0]
    assert set(SEEN) == set(QUIRKS) == set(re.findall(r"(?m)^\| `(\w+)` \|", table))


def test_the_page_is_that_of_a_run_in_which_all_passes() -> None:
    outcomes = {(row.test, row.version): "passed" for row in ROWS.values()}
    outcomes |= {("quirk", quirk): "passed" for quirk in SEEN}
    assert PAGE.read_text() == page(outcomes, SEEN), "make conformance writes it"
