"""Tables of benchmarks as JSON, and targets that were missed."""

import tables
from measure import Message


def message(cpu: float) -> Message:
    return Message(cpu, rate=1000.0, busy=0.9, answered=4000, p99=1000.0)


def rounds(live: float) -> dict[str, list[Message]]:
    """Every case, at the floor's cost but for `live`."""
    names = ["floor MeterValues", "durable MeterValues", tables.MOBILITYHOUSE, "floor Heartbeat"]
    return {name: [message(10.0)] for name in names} | {"live MeterValues": [message(live)]}


def test_a_target_that_is_not_met_is_named_and_is_in_the_json() -> None:
    table = tables.messages(rounds(live=20.0))
    missed = [line for line in table.missed() if "live" in line]
    assert missed == ["A message: live MeterValues: at most 1.6 x or +3 us: not met"]
    (row,) = [row for row in table.data()["rows"] if row["case"] == "live MeterValues"]
    assert (row["targets"], row["met"]) == (["at most 1.6 x or +3 us: not met"], False)
    assert (row["to the floor"], row["over the floor us"]) == ("2.00 x", "10.0")


def test_a_target_that_is_met_is_not() -> None:
    table = tables.messages(rounds(live=15.0))
    assert [line for line in table.missed() if "live" in line] == []
    rows = {row["case"]: row for row in table.data()["rows"]}
    assert rows["live MeterValues"]["met"] is True
    assert "met" not in rows["floor MeterValues"], "it has no target"
