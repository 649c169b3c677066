"""Faults of ours end one session and no other."""

import pytest

from voltgate.gateway.reasons import Reason
from world import SOFT, STATUS, World, outcomes


class Broken(World):
    """A charger whose socket fails to write."""

    def write(self, frame: bytes) -> None:
        raise OSError("no")


@pytest.mark.parametrize("gated", [False, True], ids=["lane", "session"])
def test_a_fault_of_ours_ends_one_session_and_says_so(gated: bool) -> None:
    world = Broken(gated=gated)
    world.bus.hold = True
    world.send("1", "StatusNotification", STATUS)
    world.bus.release()
    assert world.closed is Reason.INTERNAL


def test_a_fault_of_ours_ends_one_session_and_the_command_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.bus.hold = True
    world.command("Reset", SOFT)
    monkeypatch.setattr(world, "write", lambda frame: 1 / 0)
    world.bus.release()
    assert world.closed is Reason.INTERNAL
    assert outcomes(world) == ["lost"], "nobody knows what went out"
