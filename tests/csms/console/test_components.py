"""Reports and results of configurations, also such as no schema allows: validation may be lenient."""

from typing import Any

import pytest

from voltgate.csms.console import components
from voltgate.csms.console.operations import ChangeBody, Configuration


def report(seq: Any, *data: dict[str, Any], tbc: bool | None = None) -> dict[str, Any]:
    return {"seqNo": seq, "reportData": list(data)} | ({} if tbc is None else {"tbc": tbc})


def variable(component: str, name: str, **more: Any) -> dict[str, Any]:
    return {"component": {"name": component, **more.pop("at", {})}, "variable": {"name": name}} | more


@pytest.mark.parametrize(
    ("reports", "whole"),
    [
        ([], False),
        ([report(0)], True),
        ([report(0, tbc=True)], False),
        ([report(0, tbc=True), report(1)], True),
        ([report(1, tbc=False), report(0, tbc=True)], True),
        ([report(0, tbc=True), report(2)], False),
        ([report(0), report(0)], True),
        ([report(1)], False),
        ([report(0), report([]), report("1")], True),
        ([report([])], False),
    ],
)
def test_a_report_is_complete_when_all_its_parts_are_there(reports: list[Any], whole: bool) -> None:
    assert components.complete(reports) is whole


def test_reports_become_a_sorted_tree() -> None:
    given = [
        report(0, variable("EVSE", "Power", at={"evse": {"id": 2}}, variableAttribute=[{"value": "7"}])),
        report(
            1,
            variable("EVSE", "Power", at={"evse": {"id": 1}}, variableAttribute=[{"mutability": "ReadOnly"}]),
            variable(
                "Clock",
                "Now",
                variableAttribute=[{"type": "Target", "mutability": "WriteOnly", "persistent": True}],
                variableCharacteristics={"dataType": "OptionList", "valuesList": "a,b", "maxLimit": 3.5},
            ),
        ),
    ]
    tree = components.of_reports(given, {("EVSE", None, 2, None, "Power", None)})
    document = {"charger": "CP1", "at": None, "complete": True, "components": tree}
    Configuration.model_validate(document, strict=True)
    assert [(one["name"], one["evse"]) for one in tree] == [("Clock", None), ("EVSE", 1), ("EVSE", 2)]
    clock, first, second = (one["variables"][0] for one in tree)
    assert (clock["values"], clock["maximum"], clock["read_only"]) == ("a,b", 3.5, False)
    assert (first["read_only"], first["attributes"][0]["value"], first["reboot"]) == (True, None, False)
    assert (second["attributes"][0]["mutability"], second["reboot"]) == ("ReadWrite", True)


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, [7], [{"component": 7, "variable": []}]])
def test_a_report_without_sense_breaks_nothing(odd: Any) -> None:
    tree = components.of_reports([{"reportData": odd}], set())
    assert [one["name"] for one in tree] in ([], [""])
    assert components.of_keys({"configurationKey": odd}, set()) == [] or isinstance(odd, list)
    assert components.results("v201", [CHANGE], [{"setVariableResult": odd}]) == [components.NO_RESULT]


@pytest.mark.parametrize("odd", [[], {}, True, 1.5, "1", 0])
def test_names_without_sense_are_no_names(odd: Any) -> None:
    said = [
        {"component": {"name": "C", "evse": {"id": evse}} | more, "variable": {"name": "V"} | more}
        for evse, more in ((1, {}), (odd, {"instance": [odd]}))
    ]
    first, second = components.of_reports([report(0, *said)], set())
    assert [(one["instance"], one["evse"]) for one in (first, second)] == [(None, None), (None, 1)]
    changed = [one | {"attributeType": [odd], "attributeStatus": "RebootRequired"} for one in said]
    answer = {"setVariableResult": changed}
    assert components.results("v201", [CHANGE], [answer])[0][0] == "RebootRequired"
    assert len(components.pending([("SetVariables", {}, answer)])) == 2


CHANGE = ChangeBody(component="C", evse=1, variable="V", value="1")
ABOUT = {"component": {"name": "C", "evse": {"id": 1}}, "variable": {"name": "V"}}


def test_results_are_found_by_name_and_not_by_place() -> None:
    other = ChangeBody(component="C", variable="V", attribute="MaxSet", value="1")
    said = {
        "setVariableResult": [
            {"component": {"name": "C"}, "variable": {"name": "V"}, "attributeType": "MaxSet",
             "attributeStatus": "Rejected", "attributeStatusInfo": {"reasonCode": "TooHigh"}},
            ABOUT | {"attributeStatus": "RebootRequired"},
        ]
    }  # fmt: skip
    assert components.results("v21", [CHANGE, other], [said]) == [
        ("RebootRequired", "Changed; it takes effect after a reboot."),
        ("Rejected", "The charger refuses this value. TooHigh"),
    ]


def test_the_last_change_decides_whether_a_reboot_is_due() -> None:
    def key(name: str, status: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        return "ChangeConfiguration", {"key": name, "value": ""}, {"status": status}

    changed = [
        key("A", "RebootRequired"), key("B", "RebootRequired"), key("A", "Accepted"),
        ("SetVariables", {}, {"setVariableResult": [ABOUT | {"attributeStatus": "RebootRequired"}]}),
    ]  # fmt: skip
    assert components.pending(changed) == {
        ("", None, None, None, "B", None),
        ("C", None, 1, None, "V", None),
    }
