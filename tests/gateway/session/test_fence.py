"""Commands by the charger's link, in virtual time (docs/contract.md 3.5).

Until the epoch is known they wait, and the CALL leaves only where the last link is this session's ``up``.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voltgate.gateway.interfaces import NotRead, Stored
from voltgate.gateway.reasons import Reason
from voltgate.gateway.session.command import Standing
from voltgate.gateway.session.fence import standing
from world import ACCEPTED, EPOCH, SOFT, World, answered, call, outcome, outcomes


def link(**fields: Any) -> Stored:
    body = {"state": "up", "session": "s", "gateway": "gw"} | fields
    return Stored(1, {}, json.dumps(body).encode())


STANDING: list[tuple[Stored | NotRead, Standing]] = [
    (link(), Standing.OURS),
    (link(state="down"), Standing.HIDDEN),
    (link(session="earlier"), Standing.HIDDEN),
    (link(session="other", gateway="other"), Standing.OTHER),
    (link(session=None, gateway=None), Standing.OTHER),
    (Stored(1, {}, b"[]"), Standing.HIDDEN),
    (Stored(1, {}, b"{"), Standing.HIDDEN),
    (NotRead.MISSING, Standing.HIDDEN),
    (NotRead.UNREADABLE, Standing.UNKNOWN),
]


@pytest.mark.parametrize(("last", "expected"), STANDING)
def test_what_the_last_link_says_about_a_session(last: Stored | NotRead, expected: Standing) -> None:
    assert standing(last, "s", "gw") is expected


def test_the_link_is_read_from_its_leader_once_for_each_command() -> None:
    world = World()
    for _ in range(2):
        world.command("Reset", SOFT)
        answered(world, call(world), ACCEPTED)
    assert outcomes(world) == ["result", "result"]
    assert world.bus.led == [("OCPP_LINKS", 0, "ocpp.link.CP=201")] * 2


def test_the_call_waits_for_the_link_as_for_the_fact() -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    for _ in range(2):
        assert world.answers() == []
        world.bus.release(1)
    assert call(world)


def test_a_session_that_another_gateway_has_overtaken_sends_nothing_and_ends() -> None:
    world = World()
    world.link("s2", "other")
    world.command("Reset", SOFT)
    world.command("ClearCache")
    assert outcomes(world) == ["gone", "gone"]
    assert (world.answers(), world.closed) == ([], Reason.SUPERSEDED)


@pytest.mark.parametrize(("session", "gateway", "state"), [("s1", "gw", "down"), ("s0", "gw", "up")])
def test_a_session_that_is_hidden_sends_nothing_and_stays(session: str, gateway: str, state: str) -> None:
    """Its ``up`` is written again, and the command may be repeated, also under its id."""
    world = World()
    world.link(session, gateway, state)
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert outcomes(world) == ["gone"]
    assert world.closed is None
    world.link("s1", "gw")
    world.command("Reset", SOFT, ocpp_command_id="c")
    answered(world, call(world), ACCEPTED)
    assert outcomes(world) == ["result"]


def test_a_link_that_cannot_be_read_sends_nothing() -> None:
    world = World()
    world.bus.leads = False
    world.command("Reset", SOFT)
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "unavailable"
    assert "link" in json.loads(reply.data)["reason"]
    assert (world.answers(), world.closed) == ([], None)


def test_the_same_id_gets_the_recorded_outcome_from_a_session_that_was_overtaken() -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_command_id="c")
    answered(world, call(world), ACCEPTED)
    world.link("s2", "other")
    world.replies()
    world.command("Reset", SOFT, ocpp_command_id="c")
    assert outcomes(world) == ["result"]
    assert world.answers() == []


# -- until the epoch is known ----------------------------------------------------------------------------


def test_a_command_waits_until_the_epoch_is_known() -> None:
    world = World(limits={"command_queue": 1})
    world.session.linked(False)
    world.command("Reset", SOFT)
    assert (world.answers(), world.facts(), outcomes(world)) == ([], [], [])
    world.command("ClearCache")
    assert outcomes(world) == ["busy"]
    world.session.linked(True)
    world.bus.settle()
    answered(world, call(world), ACCEPTED)
    assert outcomes(world) == ["result"]


def test_a_command_whose_deadline_passes_before_the_epoch_is_known_is_expired() -> None:
    world = World()
    world.session.linked(False)
    world.command("Reset", SOFT, ocpp_timeout=3)
    world.pass_time(3.2)
    world.session.linked(True)
    assert outcomes(world) == ["expired"]
    assert (world.answers(), world.facts()) == ([], [])


def test_a_command_whose_session_ends_before_the_epoch_is_known_is_gone() -> None:
    world = World()
    world.session.linked(False)
    world.command("Reset", SOFT)
    world.session.ended()
    assert (outcomes(world), world.facts()) == (["gone"], [])


# -- ocpp-deadline ---------------------------------------------------------------------------------------


def at(seconds: float) -> str:
    """The time so many seconds from the start of the test's world."""
    return (datetime.fromtimestamp(EPOCH, UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_command_that_arrives_after_its_deadline_is_expired() -> None:
    """The gateway was frozen, say; a timeout would begin anew."""
    world = World()
    world.pass_time(240)
    world.command("Reset", SOFT, ocpp_deadline=at(30), ocpp_timeout=30)
    assert (outcomes(world), world.answers(), world.facts()) == (["expired"], [], [])


@pytest.mark.parametrize(
    "written", [at(20), at(20).replace("+00:00", "z"), at(20).replace("+00:00", ".123456789Z")]
)
def test_a_deadline_counts_and_not_the_timeout(written: str) -> None:
    world = World()
    world.pass_time(10)
    world.command("Reset", SOFT, ocpp_deadline=written, ocpp_timeout=100)
    call(world)
    world.pass_time(9.8)
    assert outcomes(world) == []
    world.pass_time(0.5)
    assert outcomes(world) == ["timeout"]


@pytest.mark.parametrize("written", ["", "soon", "20", at(20).replace("+00:00", ""), at(90_000)])
def test_what_is_not_a_deadline_is_invalid(written: str) -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_deadline=written, ocpp_timeout=5)
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "invalid"
    assert json.loads(reply.data)["reason"].startswith("ocpp-deadline:")
