"""When a charger's socket is not read (session/bounds.py), also after a reload of the limits."""

import json

from world import STATUS, World, result


def test_at_the_bound_of_open_calls_the_socket_is_not_read_and_then_it_is_again() -> None:
    world = World(limits={"open_calls": 3})
    world.bus.hold = True
    reading = []
    for n in range(3):
        world.send(str(n), "StatusNotification", STATUS)
        reading.append(world.reading)
    world.bus.release(1)
    assert [*reading, world.reading] == [True, True, False, True]
    world.bus.release()
    assert len(world.answers()) == 3


def test_above_calls_per_second_the_socket_rests_and_nothing_is_dropped() -> None:
    world = World(limits={"calls_per_second": 10, "calls_burst": 5})
    for n in range(7):
        world.send(str(n), "Heartbeat", {})
    assert len(world.answers()) == 7
    assert not world.reading
    world.pass_time(0.3)
    assert world.reading


def test_large_messages_count_until_they_are_answered() -> None:
    world = World()
    world.bus.hold = True
    payload = json.dumps({"vendorId": "x", "data": "y" * 20_000}).encode()
    world.send("1", "DataTransfer", payload)
    assert world.held > 20_000
    world.bus.answers = lambda question: result('{"status":"Accepted"}')
    world.bus.hold = False
    world.bus.release()
    world.pass_time(1)
    assert world.held == 0


def test_a_reload_changes_open_calls_on_a_live_connection() -> None:
    world = World(limits={"open_calls": 8})
    world.bus.hold = True
    reading = []
    for n, limit in enumerate((8, 2, 3, 5, 3)):
        world.reload(open_calls=limit)
        world.send(str(n), "StatusNotification", STATUS)
        reading.append(world.reading)
    assert reading == [True, False, False, True, False]
    world.bus.release(2)
    assert not world.reading, "three are open"
    world.bus.release(1)
    assert world.reading


def test_a_reload_lowers_rejects_per_minute_on_a_live_connection() -> None:
    world = World(limits={"rejects_per_minute": 10})
    world.send("0", "Nonsense", {})
    world.reload(rejects_per_minute=1)
    for n in range(6):
        world.send(str(n), "Nonsense", {})
    assert len(world.bus.published) == 1
    assert world.counted("voltgate_rejects_unstored_total", version="v16") == 6


def test_a_reload_changes_the_rate_on_a_live_connection() -> None:
    world = World()
    world.send("0", "Heartbeat", {})
    world.reload(calls_per_second=1, calls_burst=1)
    for n in range(3):
        world.send(str(n), "Heartbeat", {})
    assert not world.reading


def test_a_reload_reaches_the_sessions_of_a_record_with_quirks() -> None:
    world = World(half_duplex=True, limits={"open_calls": 8})
    world.bus.hold = True
    world.reload(open_calls=1)
    world.send("1", "StatusNotification", STATUS)
    assert not world.reading
