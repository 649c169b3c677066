"""Which CALLs the lane takes, and what it counts."""

from typing import Any

import pytest

from world import BOOT, METER, NOW, STATUS, World, event


@pytest.mark.parametrize(
    ("version", "action", "payload", "taken"),
    [
        ("v16", "MeterValues", METER, True),
        ("v16", "StatusNotification", STATUS, True),
        ("v16", "BootNotification", BOOT, False),
        ("v16", "Authorize", {"idTag": "a"}, False),
        ("v201", "TransactionEvent", event(1), True),
        ("v201", "TransactionEvent", event(1, idToken={"idToken": "a", "type": "Central"}), False),
        ("v201", "NotifyReport", {"requestId": 1, "generatedAt": NOW, "seqNo": 0}, False),
    ],
)
def test_what_the_gateway_answers_with_nothing_waits_in_the_lane(
    version: str, action: str, payload: Any, taken: bool
) -> None:
    world = World(version)
    world.bus.hold = True
    world.send("1", action, payload)
    assert (world.lane.open, len(world.session.turn.calls)) == (taken, not taken)
    assert world.session.turn.open_calls == 1


def test_a_lane_that_cannot_wait_takes_nothing() -> None:
    world = World(limits={"open_calls": 1})
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    assert (world.lane.open, len(world.session.turn.calls)) == (False, 1)
    world.bus.release()
    assert world.answers() == [[3, "1", {}]]


def test_a_changed_limit_opens_the_lane_of_a_live_session() -> None:
    world = World(limits={"open_calls": 1})
    world.reload(open_calls=2)
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    assert world.lane.open


def test_what_the_lane_has_counted_is_added_once() -> None:
    world = World()
    for message_id in "12":
        world.send(message_id, "MeterValues", METER)
    labels = {"version": "v16", "action": "MeterValues"}
    for _ in range(2):
        assert world.counted("voltgate_frames_total", direction="in", type="call", **labels) == 2
        assert world.counted("voltgate_calls_answered_total", by="gateway", **labels) == 2
        assert world.counted("voltgate_duplicates_total", **{"class": "tx"}) == 1
        assert world.counted("voltgate_answer_seconds_count", **{"class": "tx"}) == 2


def test_a_transaction_event_with_a_known_key_and_other_bytes_is_stored_and_counted() -> None:
    world = World("v21")
    world.send("1", "TransactionEvent", event(3))
    world.connect()
    world.send("2", "TransactionEvent", event(3, offline=True))
    assert len(world.bus.streams["tx"]) == 2
    assert world.counted("voltgate_key_conflicts_total") == 1
