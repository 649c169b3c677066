"""A charger's configuration in each OCPP version: how it is asked for, changed, and read from what it said.

Values in, values out. Keys of 1.6 are variables of one component without a name, so all have one form.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voltgate.csms.console.facts import mapping, mappings, text
from voltgate.csms.console.intents import Command, ImpossibleError, encoded
from voltgate.csms.console.operations import ChangeBody

Document = dict[str, Any]
Name = tuple[str, str | None, int | None, int | None, str, str | None]
"""Component, its instance, EVSE, connector, variable, its instance."""

MEANINGS = {
    "Accepted": "Changed.",
    "RebootRequired": "Changed; it takes effect after a reboot.",
    "Rejected": "The charger refuses this value.",
    "NotSupported": "The charger does not know this key.",
    "UnknownComponent": "The charger has no such component.",
    "UnknownVariable": "The component has no such variable.",
    "NotSupportedAttributeType": "The variable has no such attribute.",
}
NO_RESULT = "unknown", "The charger's answer does not mention it."


def asking(version: str, request_id: int) -> Command:
    """The command that makes a charger report everything."""
    if version == "v16":
        return Command("GetConfiguration", b"{}")
    return encoded("GetBaseReport", {"requestId": request_id, "reportBase": "FullInventory"})


def changing(version: str, changes: Sequence[ChangeBody]) -> list[Command]:
    """The commands of some changes: one for each in 1.6, one for all in 2.x. Raises ImpossibleError."""
    if version == "v16":
        return [_of_16(one) for one in changes]
    return [encoded("SetVariables", {"setVariableData": [_of_2(one) for one in changes]})]


def _of_16(change: ChangeBody) -> Command:
    if change.component or change.evse or change.instance or change.attribute != "Actual":
        raise ImpossibleError(f"{change.variable}: OCPP 1.6 has keys and values only")
    return encoded("ChangeConfiguration", {"key": change.variable, "value": change.value})


def _of_2(change: ChangeBody) -> Document:
    if not change.component:
        raise ImpossibleError(f"{change.variable}: component is needed")
    evse = {"id": change.evse, "connectorId": change.connector} if change.evse else None
    return _given(
        attributeType=None if change.attribute == "Actual" else change.attribute,
        attributeValue=change.value,
        component=_given(
            name=change.component, instance=change.component_instance, evse=evse and _given(**evse)
        ),
        variable=_given(name=change.variable, instance=change.instance),
    )


def _given(**members: Any) -> Document:
    return {name: value for name, value in members.items() if value is not None}


def named(change: ChangeBody) -> Name:
    """What a change is about."""
    return (
        change.component or "", change.component_instance, change.evse or None, change.connector or None,
        change.variable, change.instance,
    )  # fmt: skip


def results(version: str, changes: Sequence[ChangeBody], bodies: Sequence[Document]) -> list[tuple[str, str]]:
    """Status and meaning of each change, by the charger's answers to :func:`changing`."""
    if version == "v16":
        statuses = [text(body.get("status")) for body in bodies]
        return [(one, MEANINGS.get(one, "")) if one else NO_RESULT for one in statuses]
    said = {
        (_name_of(one), text(one.get("attributeType")) or "Actual"): one
        for body in bodies
        for one in mappings(body.get("setVariableResult"))
    }
    return [_result(said.get((named(one), one.attribute))) for one in changes]


def _result(said: Document | None) -> tuple[str, str]:
    if said is None:
        return NO_RESULT
    status, info = text(said.get("attributeStatus")), mapping(said.get("attributeStatusInfo"))
    more = [text(info.get(name)) for name in ("reasonCode", "additionalInfo")]
    return status, " ".join(one for one in (MEANINGS.get(status, ""), *more) if one)


def pending(changed: Iterable[tuple[str, Document, Document]]) -> set[Name]:
    """Variables whose last change awaits a reboot. ``changed``: action, request, response, oldest first."""
    last: dict[Name, str] = {}
    for action, request, response in changed:
        if action == "ChangeConfiguration":
            last["", None, None, None, text(request.get("key")), None] = text(response.get("status"))
        for one in mappings(response.get("setVariableResult")):
            last[_name_of(one)] = text(one.get("attributeStatus"))
    return {name for name, status in last.items() if status == "RebootRequired"}


def of_keys(response: Mapping[str, Any], reboots: set[Name]) -> list[Document]:
    """The components of a GetConfiguration response of 1.6."""
    variables = []
    for one in sorted(mappings(response.get("configurationKey")), key=lambda one: text(one.get("key"))):
        key, read_only = text(one.get("key")), one.get("readonly") is True
        value = one.get("value")
        attribute = {
            "type": "Actual",
            "value": value if isinstance(value, str) else None,
            "mutability": "ReadOnly" if read_only else "ReadWrite",
            "persistent": None,
            "constant": None,
        }
        name: Name = ("", None, None, None, key, None)
        variables.append(_variable(name, {}, [attribute], name in reboots))
    component = {"name": "", "instance": None, "evse": None, "connector": None, "variables": variables}
    return [component] if variables else []


def of_reports(reports: Iterable[Mapping[str, Any]], reboots: set[Name]) -> list[Document]:
    """The components of the NotifyReports of one request, sorted."""
    tree: dict[tuple[Any, ...], dict[Name, Document]] = {}
    for report in reports:
        for one in mappings(report.get("reportData")):
            name = _name_of(one)
            attributes = [_attribute(given) for given in mappings(one.get("variableAttribute"))]
            about = mapping(one.get("variableCharacteristics"))
            tree.setdefault(name[:4], {})[name] = _variable(name, about, attributes, name in reboots)
    return [
        {
            "name": name,
            "instance": instance,
            "evse": evse,
            "connector": connector,
            "variables": [variables[one] for one in sorted(variables, key=_sorted)],
        }
        for (name, instance, evse, connector), variables in sorted(
            tree.items(), key=lambda row: _sorted(row[0])
        )
    ]


def _sorted(name: tuple[Any, ...]) -> tuple[tuple[bool, Any], ...]:
    return tuple((part is not None, part) if part is not None else (False, 0) for part in name)


def complete(reports: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every part of a report is there: numbered from 0, and the last one says that it is the last."""
    parts = {one["seqNo"]: one.get("tbc", False) for one in reports if type(one.get("seqNo")) is int}
    return bool(parts) and set(parts) == set(range(len(parts))) and not parts[len(parts) - 1]


def _attribute(given: Document) -> Document:
    value = given.get("value")
    return {
        "type": given.get("type", "Actual"),
        "value": value if isinstance(value, str) else None,
        "mutability": given.get("mutability", "ReadWrite"),
        "persistent": given.get("persistent"),
        "constant": given.get("constant"),
    }


def _variable(name: Name, about: Document, attributes: list[Document], reboot: bool) -> Document:
    return {
        "name": name[4],
        "instance": name[5],
        "data_type": about.get("dataType"),
        "unit": about.get("unit"),
        "minimum": about.get("minLimit"),
        "maximum": about.get("maxLimit"),
        "values": about.get("valuesList"),
        "read_only": all(one["mutability"] == "ReadOnly" for one in attributes),
        "reboot": reboot,
        "attributes": attributes,
    }


def _name_of(said: Document) -> Name:
    component, variable = mapping(said.get("component")), mapping(said.get("variable"))
    evse = mapping(component.get("evse"))
    return (
        text(component.get("name")), text(component.get("instance")) or None,
        _number(evse.get("id")), _number(evse.get("connectorId")),
        text(variable.get("name")), text(variable.get("instance")) or None,
    )  # fmt: skip


def _number(value: object) -> int | None:
    """The number of an EVSE or a connector; 0 is none."""
    return value if type(value) is int and value else None
