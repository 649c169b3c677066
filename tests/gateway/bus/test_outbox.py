"""When commands are written to NATS, in virtual time."""

import heapq
from collections.abc import Callable

from voltgate._core import Inbox, Outgoing
from voltgate.gateway.bus.outbox import AT_ONCE, EVERY, Outbox


class Timer:
    """A virtual timer."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Scene:
    """An outbox, its clock, and what was written when."""

    def __init__(self) -> None:
        self.time = 5.0
        self.timers: list[tuple[float, int, Timer, Callable[[], None]]] = []
        self.writes: list[tuple[float, bytes]] = []
        self.due = 0
        self.outgoing = Outgoing(Inbox("x", bytes(16)), "T", "E", "", [1.0])
        self.outbox = Outbox(self.outgoing, lambda: self.time, self.later, self.mark)

    def later(self, seconds: float, fire: Callable[[], None]) -> Timer:
        timer = Timer()
        heapq.heappush(self.timers, (self.time + seconds, len(self.writes), timer, fire))
        return timer

    def mark(self) -> None:
        self.due += 1

    def turn(self) -> None:
        """The end of a turn of the loop: the pump writes what is due."""
        if self.due:
            self.due = 0
            self.writes.append((round(self.time - 5.0, 6), self.outbox.take()))

    def add(self, *parts: bytes) -> None:
        """Commands of one turn."""
        for part in parts:
            self.outgoing.add(part)
        self.turn()

    def at(self, seconds: float) -> None:
        """Let time pass until then."""
        while self.timers and self.timers[0][0] <= 5.0 + seconds:
            self.time, _, timer, fire = heapq.heappop(self.timers)
            if not timer.cancelled:
                fire()
                self.turn()
        self.time = 5.0 + seconds


def test_the_first_write_leaves_at_once_and_the_next_a_millisecond_later() -> None:
    scene = Scene()
    scene.add(b"a", b"b")
    assert scene.writes == [(0.0, b"ab")]
    scene.at(0.0002)
    scene.add(b"c")
    scene.at(0.0009)
    scene.add(b"d")
    assert len(scene.writes) == 1
    scene.at(0.002)
    assert scene.writes[1:] == [(0.0012, b"cd")]
    scene.at(0.0030)
    scene.add(b"e")
    assert scene.writes[2:] == [(0.003, b"e")], "a millisecond has passed: at once"


def test_a_steady_stream_is_written_once_a_millisecond_at_most() -> None:
    scene = Scene()
    for n in range(1000):  # 10,000 a second
        scene.at(n * 0.0001)
        scene.add(b"%04d" % n)
    scene.at(1)
    assert b"".join(data for _, data in scene.writes) == b"".join(b"%04d" % n for n in range(1000))
    gaps = [later - sooner for (sooner, _), (later, _) in zip(scene.writes, scene.writes[1:], strict=False)]
    assert min(gaps) >= EVERY - 1e-9
    assert 80 <= len(scene.writes) <= 101


def test_32_kib_are_written_at_once() -> None:
    scene = Scene()
    scene.add(b"first")
    scene.add(bytes(AT_ONCE - 1))
    assert len(scene.writes) == 1
    scene.add(b"x")
    assert [at for at, _ in scene.writes] == [0.0, 0.0]
    assert len(scene.writes[1][1]) == AT_ONCE
    scene.at(1)
    assert len(scene.writes) == 2, "its timer is cancelled"
    assert scene.outgoing.size == 0


def test_what_waits_can_be_taken_at_any_time() -> None:
    """A drain, a stop and a lost connection do not wait for a timer."""
    scene = Scene()
    scene.add(b"a")
    scene.outgoing.add(b"b")
    assert (scene.outgoing.size, scene.outbox.take()) == (1, b"b")
    scene.at(1)
    assert [data for _, data in scene.writes] == [b"a"]
    assert scene.outbox.take() == b""
