"""One command: what makes it invalid, its facts, and the report of its outcome (docs/contract.md 3.5)."""

import json
from typing import Any

import pytest

from world import ACCEPTED, SOFT, World, answered, call, outcome, outcomes

INVALID: list[tuple[str, str, Any, dict[str, str], str, str]] = [
    ("v16", "Reset", {"type": "Mild"}, {}, "PropertyConstraintViolation", "/type"),
    ("v16", "Reset", b'{"type":', {}, "FormationViolation", "/type"),
    ("v16", "SetVariables", {}, {}, "NotSupported", ""),
    ("v16", "Nonsense", {}, {}, "NotSupported", ""),
    ("v16", "Heartbeat", {}, {}, "NotSupported", ""),
    ("v21", "NotifyPeriodicEventStream", {}, {}, "NotSupported", ""),
    ("v16", "ClearCache", {}, {"ocpp_timeout": "0"}, "", ""),
    ("v16", "ClearCache", {}, {"ocpp_timeout": "nan"}, "", ""),
    ("v16", "ClearCache", {}, {"ocpp_timeout": "soon"}, "", ""),
    ("v16", "ClearCache", {}, {"ocpp_command_id": "x" * 256}, "", ""),
    ("v16", "DataTransfer", {"vendorId": "v", "data": "x" * 2000}, {}, "", ""),
]


@pytest.mark.parametrize(("version", "action", "payload", "headers", "code", "pointer"), INVALID)
def test_what_cannot_be_sent_is_told_at_once_and_leaves_no_trace(
    version: str, action: str, payload: Any, headers: dict[str, str], code: str, pointer: str
) -> None:
    world = World(version, limits={"max_message_bytes": 1024})
    world.command(action, payload, **headers)
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "invalid"
    body = json.loads(reply.data)
    assert (body["code"], body["pointer"]) == (code, pointer)
    assert body["reason"]
    assert (world.facts(), world.answers()) == ([], [])
    known = action in ("Reset", "ClearCache", "DataTransfer")
    label = action if known else "unknown"
    assert world.counted("voltgate_commands_total", action=label, outcome="invalid") == 1


@pytest.mark.parametrize("payload", [b"", b" null ", b"{}"])
def test_an_empty_body_is_the_empty_payload(payload: bytes) -> None:
    world = World()
    world.command("ClearCache", payload)
    ((_, _, action, body),) = world.answers()
    assert (action, body) == ("ClearCache", {})


@pytest.mark.parametrize("socket_ends", [False, True])
def test_how_a_sent_command_ended_is_told_when_nats_is_back(socket_ends: bool) -> None:
    """Nobody else knows what the charger answered: neither the caller nor a repeat is left with ``lost``."""
    world = World()
    world.command("Reset", SOFT, ocpp_command_id="c")
    message_id = call(world)
    world.bus.fails.add("command")
    answered(world, message_id, ACCEPTED)
    assert outcomes(world) == ["result"], "it may never have left"
    if socket_ends:
        world.connect()
    world.pass_time(9)
    world.bus.fails.clear()
    world.replies()
    world.pass_time(2)
    assert outcomes(world) == ["result"]
    fact, response = world.bus.streams["command"]
    assert response.headers["ocpp-outcome"] == "result"
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert (outcomes(world), world.answers()) == (["result"], [])
    world.pass_time(100)
    assert world.bus.streams["command"] == [fact, response]


def test_what_was_not_sent_is_told_once() -> None:
    """A storm of commands while their stream is away leaves nothing behind."""
    world = World()
    world.bus.fails.add("command")
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert outcomes(world) == ["unavailable"]
    world.pass_time(10)
    assert outcomes(world) == []
