"""When a charger's socket is not read (session/bounds.py), also after a reload of the limits."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from world import NOW, START, STARTED, STATUS, World, result


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


# -- budgets that outlive a connection -------------------------------------------------------------------


def bulk(size: int) -> bytes:
    return json.dumps({"vendorId": "x", "data": "y" * size}).encode()


def test_control_frames_and_fragments_count_in_the_rate() -> None:
    world = World(limits={"calls_per_second": 10, "calls_burst": 5})
    for _ in range(5):
        world.session.spent(1.0, True)
    assert world.reading
    world.session.spent(1.0, True)
    assert not world.reading
    world.pass_time(0.2)
    assert world.reading


def test_fragments_rest_at_the_end_of_their_message() -> None:
    world = World(limits={"calls_per_second": 10, "calls_burst": 5})
    for _ in range(30):
        world.session.spent(1.0, False)
    assert world.reading, "a message that has begun may be finished"
    world.send("1", "Heartbeat", {})
    assert not world.reading
    world.pass_time(2.5)
    assert not world.reading
    world.pass_time(0.2)
    assert world.reading


def test_a_reconnect_brings_no_fresh_burst() -> None:
    world = World(limits={"calls_per_second": 10, "calls_burst": 5, "rejects_per_minute": 2})
    for n in range(4):
        world.send(str(n), "Nonsense", {})
    for n in range(10):
        world.send(str(n), "Heartbeat", {})
    assert not world.reading
    world.session.ended()
    world.connect()
    assert not world.reading, "it begins as its last connection ended"
    world.pass_time(1)
    assert world.reading
    world.send("x", "Nonsense", {})
    assert len([fact for fact in world.facts() if fact.startswith("reject")]) == 2


def test_stored_bytes_have_a_rate_and_may_be_overdrawn_by_one_message() -> None:
    world = World(limits={"stored_bytes_per_second": 1000, "stored_bytes_burst": 100_000})
    world.bus.answers = lambda question: result('{"status":"Accepted"}')
    world.send("1", "DataTransfer", bulk(300_000))
    assert len(world.answers()) == 1, "whatever its size"
    assert not world.reading
    assert world.counted("voltgate_reads_paused_total", bound="stored_bytes") == 1
    world.pass_time(195)
    assert not world.reading
    world.pass_time(10)
    assert world.reading


def test_what_is_not_stored_costs_no_bytes() -> None:
    world = World(limits={"stored_bytes_per_second": 1, "stored_bytes_burst": 1})
    for n in range(50):
        world.send(str(n), "Heartbeat", {})
    assert world.reading


def test_stored_rejects_cost_bytes() -> None:
    world = World(limits={"stored_bytes_per_second": 10, "stored_bytes_burst": 10_000})
    for n in range(9):
        world.send(str(n), "Nonsense", {"x": "y" * 2000})
    assert not world.reading


def test_a_reload_ends_a_long_rest() -> None:
    world = World(limits={"stored_bytes_per_second": 1, "stored_bytes_burst": 1})
    world.send("1", "StatusNotification", STATUS)
    world.send("2", "StatusNotification", STATUS)
    assert not world.reading
    world.reload(stored_bytes_per_second=1e6, stored_bytes_burst=1_000_000)
    world.pass_time(10.1)
    assert world.reading


TIMEOUT = 30.0  # seconds a charger waits for an answer


def slowest(world: World, messages: Iterable[tuple[str, Any]]) -> float:
    """A charger sends them one after the other, each when the last one is answered; the longest wait."""
    longest = 0.0
    for n, (action, payload) in enumerate(messages):
        began = world.time
        while not world.reading:
            world.pass_time(0.05)
        world.send(str(n), action, payload)
        (answer,) = world.answers()
        assert answer[:2] == [3, str(n)]
        longest = max(longest, world.time - began)
    return longest


def test_a_backlog_of_ten_days_comes_through_without_a_time_out() -> None:
    """Ten sessions a day, a meter value of 1 kB each minute of an hour, at the shipped limits."""
    sample = [{"value": f"{n}.5", "measurand": "Voltage", "phase": "L1", "unit": "V"} for n in range(12)]
    start = datetime(2026, 11, 12, tzinfo=UTC)

    def backlog() -> Iterator[tuple[str, Any]]:
        for session in range(100):
            at = start + timedelta(hours=2 * session)
            yield "StartTransaction", START | {"timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
            for minute in range(60):
                time = f"{at + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
                values = [{"timestamp": time, "sampledValue": sample}]
                yield "MeterValues", {"connectorId": 1, "transactionId": 7, "meterValue": values}
            stop = f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
            yield "StopTransaction", {"transactionId": 7, "meterStop": session, "timestamp": stop}

    world = World()
    world.bus.answers = lambda question: result(STARTED)
    assert slowest(world, backlog()) < 1
    assert len(world.bus.streams["tx"]) > 6200


def test_a_report_of_3_000_variables_comes_through_without_a_time_out() -> None:
    """Three hundred at a time, 80 kB a message, each in fragments of 1 kB."""
    variable = {
        "component": {"name": "C" * 50, "evse": {"id": 1}},
        "variable": {"name": "V" * 50},
        "variableAttribute": [{"type": "Actual", "value": "x" * 60, "mutability": "ReadOnly"}],
    }
    world = World("v201")

    def reports() -> Iterator[tuple[str, Any]]:
        for seq in range(10):
            for _ in range(80):
                world.session.spent(1.0, False)
            yield "NotifyReport", {
                "requestId": 1, "generatedAt": NOW, "seqNo": seq, "tbc": seq < 9,
                "reportData": [variable] * 300,
            }  # fmt: skip

    assert slowest(world, reports()) < TIMEOUT
    assert len(world.bus.published) == 10
