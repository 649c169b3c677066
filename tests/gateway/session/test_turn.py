"""Who may send: half duplex, drains, and what a command triggered (docs/contract.md 3.8, 4.5)."""

import pytest

from voltgate.gateway.reasons import Reason
from world import ACCEPTED, SOFT, STATUS, World, answered, booted, call, outcomes


def test_what_a_command_asked_for_passes_while_pending() -> None:
    world = World()
    booted(world, "Pending")
    world.session.turn.triggered = frozenset({"StatusNotification"})
    world.send("1", "StatusNotification", STATUS)
    assert world.answers() == [[3, "1", {}]]


def test_with_half_duplex_a_command_waits_for_the_chargers_own_call() -> None:
    """docs/ocpp.md B: some cannot take a CALL while their own is open."""
    world = World(half_duplex=True)
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.command("Reset", SOFT)
    assert world.facts() == ["event.v16.StatusNotification"], "its turn has not come"
    world.bus.release(1)
    assert [(frame[0], frame[1]) for frame in world.answers()] == [(3, "1")], "its fact is stored first"
    assert world.facts() == ["event.v16.StatusNotification", "command.v16.Reset"]
    world.bus.release()
    message_id = call(world)
    answered(world, message_id, ACCEPTED)
    assert outcomes(world) == ["result"]


def test_with_half_duplex_a_call_that_begins_while_the_fact_is_stored_is_answered_first() -> None:
    world = World(half_duplex=True)
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.send("1", "StatusNotification", STATUS)
    world.bus.release(1)
    assert world.answers() == []
    world.bus.release()
    assert [(frame[0], len(frame)) for frame in world.answers()] == [(3, 3), (2, 4)]


@pytest.mark.parametrize("stored", [False, True], ids=["queued", "its fact stored"])
def test_with_half_duplex_the_deadline_runs_while_it_waits(stored: bool) -> None:
    world = World(half_duplex=True)
    world.bus.hold = True
    if stored:
        world.command("Reset", SOFT, ocpp_timeout=5)
        world.send("1", "StatusNotification", STATUS)
        world.bus.release(2)
    else:
        world.send("1", "StatusNotification", STATUS)
        world.command("Reset", SOFT, ocpp_timeout=5)
    world.command("ClearCache", ocpp_timeout=9)
    world.pass_time(4.8)
    assert outcomes(world) == []
    world.pass_time(0.4)
    assert outcomes(world) == ["expired"]
    world.bus.hold = False
    world.bus.settle()
    assert [frame[0] for frame in world.answers()] == [3, 2], "the next one's turn comes all the same"


def test_with_half_duplex_the_queue_is_bounded_while_it_waits() -> None:
    world = World(half_duplex=True, limits={"command_queue": 2})
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    for _ in range(3):
        world.command("Reset", SOFT)
    assert outcomes(world) == ["busy"]
    world.session.ended()
    assert outcomes(world) == ["gone", "gone"]


def test_with_half_duplex_one_that_waits_with_its_fact_stored_is_gone_when_the_charger_leaves() -> None:
    world = World(half_duplex=True)
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.send("1", "StatusNotification", STATUS)
    world.bus.release(2)
    world.session.leave(Reason.DRAIN)
    assert outcomes(world) == ["gone"]
    world.bus.release()
    assert [frame[0] for frame in world.answers()] == [3]
    assert world.closed is Reason.DRAIN


@pytest.mark.parametrize("own", [False, True], ids=["no CALL open", "a CALL open"])
def test_a_drain_waits_for_the_answer_to_the_command_in_flight(own: bool) -> None:
    """docs/contract.md 4.5: CALLs in flight are finished, in both directions."""
    world = World()
    world.command("Reset", SOFT)
    world.command("ClearCache")
    message_id = call(world)
    world.bus.hold = own
    if own:
        world.send("1", "StatusNotification", STATUS)
    world.session.leave(Reason.DRAIN)
    assert outcomes(world) == ["gone"]
    assert (world.closed, world.reading) == (None, True), "its answer must be read"
    answered(world, message_id, ACCEPTED)
    assert outcomes(world) == ["result"]
    if own:
        assert (world.closed, world.reading) == (None, False), "nothing new is taken"
        world.bus.release()
        assert [frame[0] for frame in world.answers()] == [3]
    assert world.closed is Reason.DRAIN


def test_a_drain_ends_with_the_deadline_of_the_command_in_flight() -> None:
    world = World()
    world.command("Reset", SOFT, ocpp_timeout=7)
    world.session.leave(Reason.DRAIN)
    world.pass_time(6.8)
    assert (outcomes(world), world.closed) == ([], None)
    world.pass_time(0.4)
    assert (outcomes(world), world.closed) == (["timeout"], Reason.DRAIN)


def test_a_drain_waits_for_a_fact_on_its_way_and_sends_nothing() -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    world.session.leave(Reason.DRAIN)
    before = world.closed
    world.bus.release()
    assert (outcomes(world), world.answers()) == (["gone"], [])
    assert (before, world.closed) == (None, Reason.DRAIN)


@pytest.mark.parametrize("reason", [Reason.OUTAGE, Reason.RECORD_CHANGED])
def test_whatever_else_ends_a_connection_does_not_wait_for_a_command(reason: Reason) -> None:
    world = World()
    world.command("Reset", SOFT)
    world.session.leave(reason)
    assert (outcomes(world), world.closed) == (["lost"], reason)
