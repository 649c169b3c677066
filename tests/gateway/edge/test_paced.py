"""What sockets that are not connected may take of one turn of the loop."""

from collections.abc import Callable
from functools import partial

from voltgate.gateway.edge.paced import AT_ONCE, CROWD, ENDS, REST, SECONDS, Paced, Stage
from voltgate.gateway.reasons import Reason
from wire import Charger, Edge, request


class Work:
    """Steps that take a part of what one turn has for them, and the order in which they ran."""

    def __init__(self, part: float) -> None:
        self.edge, self.ran, self._part = Edge(), list[str](), part
        self.paced = Paced(self.edge.clock, self.edge._later)

    def step(self, name: str, then: Callable[[], None] | None = None) -> Callable[[], None]:
        return partial(self._step, name, then)

    def _step(self, name: str, then: Callable[[], None] | None) -> None:
        self.edge.time += SECONDS * self._part
        self.ran.append(name)
        if then is not None:
            then()


def test_steps_run_at_once_while_the_turn_has_time_left_then_in_order() -> None:
    work = Work(0.6)
    for name in "abcde":
        work.paced.run(Stage.REQUEST, work.step(name))
    assert ("".join(work.ran), len(work.paced)) == ("ab", 3)
    work.edge.turn()
    assert "".join(work.ran) == "ab", "the turn was used up: the others come first"
    assert work.edge.rests[-1] >= SECONDS * REST
    work.edge.turn()
    assert ("".join(work.ran), len(work.paced)) == ("abcd", 1)
    work.edge.settle()
    assert ("".join(work.ran), len(work.paced)) == ("abcde", 0)
    work.paced.run(Stage.REQUEST, work.step("f"))
    assert work.ran[-1] == "f", "the turns before it have been paid for"


def test_a_turn_that_was_not_used_up_is_followed_by_the_next() -> None:
    work = Work(0.3)
    work.paced.wait(Stage.HELLO, work.step("a"))
    work.edge.settle()
    assert (work.ran, set(work.edge.rests)) == (["a"], {0.0})


def test_the_nearest_to_its_end_goes_first_and_one_of_each_stage_in_a_turn() -> None:
    work = Work(0.3)
    for name in ("hello 1", "hello 2", "handshake 1", "handshake 2", "request 1", "decision 1", "decision 2"):
        work.paced.wait(Stage[name.split()[0].upper()], work.step(name))
    work.edge.turn()
    assert work.ran == ["decision 1", "request 1", "handshake 1", "hello 1"], "one of each"
    work.edge.settle()
    assert work.ran[4:] == ["decision 2", "handshake 2", "hello 2"]


def test_in_a_crowd_one_socket_is_accepted_in_a_turn() -> None:
    work, accepted = Work(0.3), list[int]()
    work.paced.accept(accepted.append)
    work.edge.settle()
    for name in range(CROWD + 5):
        work.paced.wait(Stage.HELLO, work.step(str(name)))
    work.paced.accept(accepted.append)
    work.edge.turn()
    assert (accepted, len(work.paced) > CROWD) == ([AT_ONCE, 1], True), "the others wait in the kernel"


def test_a_step_of_a_step_is_a_part_of_it() -> None:
    work = Work(0.6)
    inner = partial(work.paced.run, Stage.DECISION, work.step("decision"))
    work.paced.run(Stage.REQUEST, work.step("request", inner))
    assert work.ran == ["request", "decision"]
    work.paced.run(Stage.REQUEST, work.step("next"))
    assert "next" not in work.ran, "both have been counted"


def test_the_end_of_a_connection_counts_more_than_its_own_time() -> None:
    """NATS has more to do for it than the loop has: as many as the loop could end would delay others."""
    work = Work(0.3)
    for number in range(3):
        work.paced.wait(Stage.END, work.step(f"end {number}"))
    work.edge.turn()
    assert (work.ran, 0.3 * 3 < 1 <= 0.3 * 2 * ENDS) == (["end 0", "end 1"], True)
    work.edge.settle()
    assert work.ran == ["end 0", "end 1", "end 2"]


def test_at_the_end_of_the_process_every_connection_that_waits_is_ended() -> None:
    work = Work(1.0)
    for name in ("end 1", "end 2", "hello"):
        work.paced.wait(Stage[name.split()[0].upper()], work.step(name))
    work.paced.finish(Stage.END)
    assert work.ran == ["end 1", "end 2"], "nobody else is let in any more"


def test_chargers_that_are_lost_together_are_told_in_parts_and_each_before_it_is_back() -> None:
    edge, count = Edge(), 40
    chargers = [Charger(edge) for _ in range(count)]
    edge.settle()

    def told(connection: object, reason: Reason) -> None:
        ends.append(reason)
        edge.time += SECONDS / 4

    ends = list[Reason]()
    for one in chargers:
        one.connection._on_end = told
        one.wire.lose()
    assert 0 < len(ends) < count, "the others wait"
    assert len(ends) + edge.shared.ending == count, "and take nobody's place"
    assert [one.receiver.over for one in chargers] == [1] * count, "no session writes any more"
    before = len(ends)
    chargers[-1].connection.settle()
    chargers[-1].connection.settle()
    assert len(ends) == before + 1, "at once, and once"
    assert len(edge.shared.open) > 0
    edge.settle()
    assert (ends, edge.shared.open, edge.shared.ending) == ([Reason.CLIENT] * count, set(), 0)


def test_a_step_that_fails_leaves_the_others_their_turn() -> None:
    work = Work(0.6)

    def fails() -> None:
        raise ZeroDivisionError

    work.paced.run(Stage.REQUEST, work.step("a"))
    work.paced.run(Stage.REQUEST, work.step("b"))
    work.paced.run(Stage.REQUEST, fails)
    work.paced.run(Stage.REQUEST, work.step("c"))
    for _ in range(4):
        try:
            work.edge.settle()
        except ZeroDivisionError:
            continue
    assert (work.ran, len(work.paced)) == (["a", "b", "c"], 0)


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
