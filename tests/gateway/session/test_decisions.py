"""Decisions about one frame or one reply: refused, passed on, gated, a usable answer."""

from typing import Any

import pytest

from world import BOOT, BOOT_2, METER, STATUS, World, booted, event


@pytest.mark.parametrize(
    ("data", "headers", "expected"),
    [
        (b"slow down", {"ocpp-error": "GenericError"}, [4, "1", "GenericError", "slow down", {}]),
        (b"", {"Ocpp-Error": "FormatViolation"}, [4, "1", "FormationViolation", "", {}]),
        (b"", {"ocpp-error": "Nonsense"}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"", {"Nats-Service-Error-Code": "500"}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"{}", {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"", {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b"\xff", {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b'{"idTagInfo":{"status":"Ok"}}', {}, [4, "1", "InternalError", "no backend answered", {}]),
        (b' {"idTagInfo":\n{"status":"Invalid"}} ', {}, [3, "1", {"idTagInfo": {"status": "Invalid"}}]),
    ],
    ids=[
        "its error becomes the CALLERROR",
        "in the version's own spelling, whatever the header's case",
        "an unknown code is no answer",
        "nor is a service error",
        "nor a payload that lacks what the schema requires",
        "nor nothing",
        "nor bytes that are no JSON",
        "nor a value the schema does not know",
        "white space does not matter",
    ],
)
def test_what_a_backend_says_is_checked(data: bytes, headers: dict[str, str], expected: list[Any]) -> None:
    world = World()
    world.bus.answers = lambda question: None
    world.send("1", "Authorize", {"idTag": "a"})
    world.bus.reply(data, headers)
    assert world.answers() == [expected]


@pytest.mark.parametrize(
    ("version", "status", "action", "payload", "passes"),
    [
        ("v16", "Pending", "Heartbeat", {}, True),
        ("v16", "Pending", "StatusNotification", STATUS, False),
        ("v16", "Rejected", "Heartbeat", {}, False),
        ("v16", "Rejected", "BootNotification", BOOT, True),
        ("v16", "Accepted", "StatusNotification", STATUS, True),
        ("v201", "Pending", "Heartbeat", {}, False),
        ("v201", "Pending", "BootNotification", BOOT_2, True),
        ("v21", "Pending", "TransactionEvent", event(), False),
        ("v21", "Rejected", "Heartbeat", {}, False),
    ],
)
def test_until_boot_is_accepted_only_what_the_rule_names_passes(
    version: str, status: str, action: str, payload: Any, passes: bool
) -> None:
    world = World(version)
    booted(world, status)
    world.send("1", action, payload)
    (answer,) = world.answers()
    assert answer[0] == (3 if passes else 4)
    if not passes:
        assert answer[2] == "SecurityError"
        assert world.bus.published[-1].subject.startswith(f"ocpp.reject.{version}.")


def test_the_fallback_of_a_boot_gates_nothing() -> None:
    world = World()
    world.send("1", "BootNotification", BOOT)
    world.pass_time(6)
    assert world.answers()[0][2]["status"] == "Pending"
    world.send("2", "StatusNotification", STATUS)
    assert world.answers() == [[3, "2", {}]]


@pytest.mark.parametrize(
    ("config", "tag"),
    [
        ({}, "TypeConstraintViolation /connectorId"),
        ({"validation": "off"}, None),
        ({"validation": "strict"}, "refused"),
        ({"validation": "off", "policy": {"v16": {"MeterValues": {"validation": "strict"}}}}, "refused"),
        ({"validation": "strict", "policy": {"v16": {"MeterValues": {"validation": "off"}}}}, None),
    ],
    ids=[
        "money is not thrown away: lenient by default",
        "off says nothing",
        "a global key beats the default",
        "the action's policy beats the global key",
        "both ways",
    ],
)
def test_the_validation_level_decides_about_a_violation(config: dict[str, Any], tag: str | None) -> None:
    world = World("v16", **config)
    world.send("1", "MeterValues", METER | {"connectorId": "1"})
    (fact,), (answer,) = world.bus.published, world.answers()
    if tag == "refused":
        assert answer[2] == "TypeConstraintViolation"
    else:
        assert answer == [3, "1", {}]
        assert fact.headers.get("ocpp-violation") == tag


@pytest.mark.parametrize(
    "payload",
    [
        b'{"connectorId":"1","x":}',
        b'{"connectorId":1,"connectorId":1}',
        b'{"connectorId":"1","x":' + b"[" * 40 + b"]" * 40 + b"}",
    ],
    ids=["broken JSON", "a duplicate key", "too deep"],
)
def test_no_level_passes_what_is_no_sound_json(payload: bytes) -> None:
    world = World(validation="off")
    world.send("1", "MeterValues", payload)
    assert world.answers()[0][0] == 4
