"""What upgrades may take of one turn of the loop."""

from voltgate.gateway.edge.paced import SECONDS, Paced
from wire import Edge, request


def test_steps_run_at_once_while_the_turn_has_time_left_then_in_order() -> None:
    edge, ran = Edge(), list[int]()
    paced = Paced(edge.clock, edge.soon.append)

    def step(number: int) -> None:
        edge.time += SECONDS * 0.6
        ran.append(number)

    for number in range(5):
        paced.run(lambda number=number: step(number))  # type: ignore[misc]
    assert (ran, len(paced)) == ([0, 1], 3)
    edge.turn()
    assert (ran, len(paced)) == ([0, 1, 2, 3], 1)
    edge.settle()
    assert (ran, len(paced)) == ([0, 1, 2, 3, 4], 0)
    paced.run(lambda: step(5))
    assert ran[-1] == 5, "the turns before it have been paid for"


def test_a_charger_that_hung_up_while_it_waited_is_not_decided_on() -> None:
    edge, decided = Edge(), list[str | None]()

    def decide(upgrade: object) -> None:
        edge.time += SECONDS * 1.5
        decided.append(getattr(upgrade, "identity", None))

    edge.knock(decide, request("/A"))
    second = edge.knock(decide, request("/B"))
    edge.knock(decide, request("/C"))
    assert decided == ["A"]
    second.lose()
    edge.settle()
    assert decided == ["A", "C"]
