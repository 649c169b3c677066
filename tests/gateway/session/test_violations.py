"""What chargers get wrong, counted by charger and minute; what they say they are (docs/contract.md 2.2)."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from voltgate.gateway.session.violations import KINDS, ReplyFaults, model
from world import BOOT, STATUS, Published, World, answered, call

LONG = STATUS | {"info": "i" * 80}


def noted(world: World) -> list[Published]:
    return [message for message in world.bus.live if message.subject.startswith("ocpp.violation.")]


def kinds(message: Published) -> list[tuple[Any, ...]]:
    return [tuple(one.values()) for one in json.loads(message.data)["violations"]]


def test_the_violations_of_a_charger_are_one_fact_a_minute_while_there_are_any() -> None:
    world = World()
    for n in range(3):
        world.send(str(n), "StatusNotification", LONG)
    world.send("4", "Bogus", {})
    world.pass_time(59)
    assert noted(world) == []
    world.pass_time(2)
    (fact,) = noted(world)
    assert fact.subject == "ocpp.violation.CP=201"
    assert fact.headers["ce-type"] == "ocpp.violation"
    assert json.loads(fact.data)["identity"] == "CP 1"
    assert kinds(fact) == [
        ("StatusNotification", "PropertyConstraintViolation", "/info", 3),
        ("-", "NotImplemented", "", 1),
    ]
    world.pass_time(120)
    assert len(noted(world)) == 1


def test_what_a_command_is_answered_with_counts_too() -> None:
    world = World(policy={"v16": {"GetConfiguration": {"validation": "lenient"}}})
    world.command("GetConfiguration")
    answered(world, call(world), {"configurationKey": [{"key": "k", "readOnly": True}]})
    world.context.violations.flush()
    (fact,) = noted(world)
    pointer = "/configurationKey/0/readOnly"
    assert kinds(fact) == [("GetConfigurationResponse", "FormationViolation", pointer, 1)]


def test_a_charger_that_invents_properties_does_not_fill_a_fact() -> None:
    world = World()
    for n in range(KINDS + 5):
        world.send(str(n), "StatusNotification", STATUS | {f"x{n}": 1})
    world.context.violations.flush()
    (fact,) = noted(world)
    assert len(kinds(fact)) == KINDS + 1
    assert kinds(fact)[-1] == ("StatusNotification", "FormationViolation", "", 5)


MODELS: list[tuple[dict[str, Any], dict[str, str] | None]] = [
    (BOOT | {"firmwareVersion": "1.2"}, {"vendor": "v", "model": "m", "firmware": "1.2"}),
    ({"chargingStation": {"vendorName": "v", "model": "m"}}, {"vendor": "v", "model": "m", "firmware": ""}),
    ({"chargePointVendor": 7, "chargePointModel": "m" * 500},
     {"vendor": "", "model": "m" * 100, "firmware": ""}),
    ({"chargingStation": "v"}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("boot", "expected"), MODELS)
def test_the_model_is_what_the_boot_says(boot: dict[str, Any], expected: dict[str, str] | None) -> None:
    assert model(json.dumps(boot).encode()) == expected


def test_the_model_of_a_charger_is_kept_at_each_boot() -> None:
    world = World()
    world.send("1", "BootNotification", BOOT | {"chargeBoxSerialNumber": "1" * 26})
    (kept,) = world.bus.live
    assert kept.subject == "$KV.ocpp_models.CP=201"
    assert json.loads(kept.data) == {"vendor": "v", "model": "m", "firmware": ""}


def test_replies_that_cannot_be_used_are_logged_once_a_minute_for_each_action() -> None:
    faults = ReplyFaults()
    with capture_logs() as lines:
        for second in (0, 1, 59, 61):
            faults.note("Authorize", "/idTagInfo", "not an object", 1000.0 + second)
        faults.note("DataTransfer", "", "not an object", 1000.0)
    assert [(line["action"], line["unlogged"]) for line in lines] == [
        ("Authorize", 0), ("Authorize", 2), ("DataTransfer", 0),
    ]  # fmt: skip
