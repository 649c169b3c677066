"""Which worker accepts on whose sockets."""

import pytest

from voltgate.gateway.pool.assignment import State, assignment

R, F, S, A = State.ROOM, State.FULL, State.STARTING, State.ABSENT


@pytest.mark.parametrize(
    ("workers", "sets", "expectation"),
    [
        ([R, R], [[0], [1]], "each has its own"),
        ([F, R], [[], [0, 1]], "a full one hands its own over"),
        ([F, F], [[0], [1]], "without room anywhere each keeps its own, and answers 503"),
        ([F, F, R], [[], [], [0, 1, 2]], "the last one with room has them all"),
        ([F, F, R, R], [[], [], [0, 2], [1, 3]], "they are spread over those with room"),
        ([R, S], [[0], [1]], "what comes to one that starts again waits for it"),
        ([F, S], [[0], [1]], "and it is not known to have room"),
        ([R, A], [[0, 1], []], "not for one that drains, or is away for long"),
        ([F, A], [[0, 1], []], "then the full one answers"),
        ([A, A], [[], []], "nobody is there"),
        ([S, S], [[0], [1]], "nobody is there yet"),
        ([R], [[0]], "alone"),
    ],
)
def test_who_accepts_on_what(workers: list[State], sets: list[list[int]], expectation: str) -> None:
    assert assignment(workers) == sets, expectation
