"""Which worker accepts on which set of listening sockets (``gateway.listening``).

A worker accepts on its own set as long as it has room. The sets of workers that are full, drain or do not
respond are accepted on by those that have room; where none has, each full one keeps its own and answers 503
(docs/contract.md 2.1). A worker that is being started again finds in its accept queue what came meanwhile,
unless that takes long: else chargers that were cut off together would all move to the other workers.
"""

from collections.abc import Sequence
from enum import Enum, auto


class State(Enum):
    """A worker as far as new connections are concerned."""

    ROOM = auto()
    FULL = auto()
    STARTING = auto()  # for a short time, or for the first time: nothing came to its sockets yet
    ABSENT = auto()  # drains, does not respond, or has not been started again for some seconds


def assignment(workers: Sequence[State]) -> list[list[int]]:
    """For each worker the sets that it accepts on."""
    roomy = [number for number, state in enumerate(workers) if state is State.ROOM]
    able = roomy or [number for number, state in enumerate(workers) if state is State.FULL]
    sets: list[list[int]] = [[] for _ in workers]
    for number, state in enumerate(workers):
        if number in able or state is State.STARTING:
            sets[number].append(number)
        elif able:
            sets[able[number % len(able)]].append(number)
    return sets
