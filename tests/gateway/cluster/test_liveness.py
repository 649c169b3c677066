"""Dead gateways in virtual time (docs/contract.md 3.6): which are judged, when, and by which."""

import pytest

from gateways import Gateway, Time, states
from voltgate.gateway.cluster.liveness import DEAD_AFTER, FRESH, PATIENCE
from voltgate.gateway.interfaces import NotRead
from world import LINKS

PREFIX = "$KV.ocpp_gateways."


class Cluster:
    """Gateways whose signs of life come every five seconds, but for those that are dead or frozen."""

    def __init__(self, *names: str) -> None:
        self.time = Time()
        self.silent: set[str] = set()
        self.all = {name: self.gateway(name) for name in names}

    def gateway(self, name: str) -> Gateway:
        gateway = Gateway(self.time, name)
        gateway.alive = lambda: name not in self.silent
        return gateway

    def sign(self, name: str, **headers: str) -> None:
        """It reaches every gateway that is not frozen."""
        for other, gateway in self.all.items():
            if other not in self.silent:
                gateway.signs.give(PREFIX + name, self.time.wall, **headers)

    def go_on(self, seconds: float) -> None:
        """Five seconds at a time."""
        for _ in range(int(seconds / 5)):
            for name in self.all.keys() - self.silent:
                self.sign(name)
            self.time.go_on(5)

    @property
    def purged(self) -> list[str]:
        """Whose keys were taken away."""
        return [message.subject.removeprefix(PREFIX) for message in self.time.bus.live]


def test_the_links_of_a_dead_gateway_are_marked_down_and_it_is_forgotten() -> None:
    cluster = Cluster("a", "b", "c")
    dead, alive = cluster.all["c"], cluster.all["b"]
    dead.up("CP 1")
    dead.up("CP 2")
    alive.up("CP 3")
    cluster.go_on(5)
    cluster.silent.add("c")
    cluster.go_on(DEAD_AFTER - 10)
    assert {state for state, *_ in states(cluster.time)} == {"up"}, "its time is not over"
    cluster.go_on(15)
    down = [entry for entry in states(cluster.time) if entry[0] == "down"]
    assert down == [("down", "c-1", "gateway_lost"), ("down", "c-2", "gateway_lost")], "once, by one of them"
    assert "c" in cluster.purged
    assert alive.peers.of("c") == []


def test_a_gateway_that_lives_keeps_its_links() -> None:
    cluster = Cluster("a", "b")
    cluster.all["b"].up()
    cluster.go_on(600)
    assert states(cluster.time) == [("up", "b-1", None)]
    assert cluster.purged == []


def test_no_gateway_counts_as_dead_while_our_own_key_is_missing() -> None:
    """A gateway that was frozen, or whose signs are not stored, knows nothing of others."""
    cluster = Cluster("a", "b")
    cluster.all["b"].up()
    cluster.go_on(5)
    cluster.silent |= {"a", "b"}
    cluster.time.go_on(10 * DEAD_AFTER)
    assert states(cluster.time) == [("up", "b-1", None)]
    cluster.silent = {"b"}
    cluster.go_on(10)
    assert states(cluster.time)[-1] == ("down", "b-1", "gateway_lost"), "its own sign is back"
    assert FRESH < 10 * DEAD_AFTER


@pytest.mark.parametrize("feed", ["feed", "signs"])
def test_no_gateway_counts_as_dead_while_a_stream_is_not_followed(feed: str) -> None:
    cluster = Cluster("a", "b")
    cluster.all["b"].up()
    cluster.go_on(5)
    cluster.silent.add("b")
    getattr(cluster.all["a"], feed).follows = False
    cluster.go_on(60)
    assert states(cluster.time) == [("up", "b-1", None)]
    getattr(cluster.all["a"], feed).follows = True
    cluster.go_on(10)
    assert states(cluster.time)[-1] == ("down", "b-1", "gateway_lost")


def test_the_first_live_gateway_marks_links_down_or_the_next_if_it_does_not() -> None:
    cluster = Cluster("a", "b", "c")
    cluster.all["c"].up()
    cluster.go_on(5)
    cluster.all["a"].feed.follows = False  # it is alive and cannot judge
    cluster.silent.add("c")
    cluster.go_on(DEAD_AFTER - 5)
    for name in "ab":
        cluster.sign(name)
    cluster.time.go_on(PATIENCE - 0.5)
    assert states(cluster.time) == [("up", "c-1", None)]
    cluster.time.go_on(2)
    assert states(cluster.time)[-1] == ("down", "c-1", "gateway_lost")


def test_a_gateway_that_said_good_bye_has_its_last_links_marked_down_soon() -> None:
    cluster = Cluster("a", "b")
    cluster.all["b"].up()
    cluster.go_on(5)
    cluster.sign("b", **{"KV-Operation": "PURGE"})
    cluster.silent.add("b")
    cluster.go_on(5)
    assert states(cluster.time)[-1] == ("down", "b-1", "gateway_lost")
    cluster.go_on(10)
    assert cluster.purged == [], "it did that itself"


def test_a_link_of_a_gateway_without_any_sign_has_the_usual_time() -> None:
    cluster = Cluster("a")
    ghost = cluster.gateway("ghost")
    cluster.silent.add("ghost")
    cluster.go_on(10)
    ghost.up()
    cluster.go_on(DEAD_AFTER - 5)
    assert states(cluster.time) == [("up", "ghost-1", None)]
    cluster.go_on(15)
    assert states(cluster.time)[-1] == ("down", "ghost-1", "gateway_lost")


@pytest.mark.parametrize("name", ["*", ">", "a b", "", "a.b", "..", "=", "x" * 300])
def test_a_name_that_is_not_a_key_is_never_purged(name: str) -> None:
    """A wildcard would take away the signs of all."""
    cluster = Cluster("a")
    ghost = cluster.gateway(name)
    cluster.silent.add(name)
    cluster.go_on(10)
    ghost.up()
    cluster.go_on(40)
    assert states(cluster.time)[-1] == ("down", f"{name}-1", "gateway_lost")
    assert cluster.purged == []


def test_more_links_than_are_marked_down_at_once_and_a_stream_that_does_not_answer() -> None:
    cluster = Cluster("a", "b")
    for number in range(200):
        cluster.all["b"].up(f"CP {number}")
    cluster.go_on(5)
    cluster.silent.add("b")
    read, failed = cluster.time.bus.read_leader, 0

    def unreadable(stream: str, seq: int, subject: str | None, done: object, arg: object) -> None:
        nonlocal failed
        failed += 1
        if failed <= 100:
            cluster.time.bus.waiting.append(lambda: done(arg, NotRead.UNREADABLE))  # type: ignore[operator]
        else:
            read(stream, seq, subject, done, arg)  # type: ignore[arg-type]

    cluster.time.bus.read_leader = unreadable  # type: ignore[method-assign]
    cluster.go_on(25)
    down = {session for state, session, _ in states(cluster.time) if state == "down"}
    assert down == {f"b-{number}" for number in range(1, 201)}
    assert len(cluster.time.bus.streams[LINKS]) == 400, "each once"


def test_a_gateway_that_is_started_when_none_is_alive_marks_their_links_down_and_forgets_them() -> None:
    """Both streams still hold what the dead one wrote last."""
    cluster = Cluster("b")
    cluster.all["b"].up()
    died = cluster.time.wall
    cluster.silent.add("b")
    cluster.time.go_on(60)
    late = cluster.all["a"] = Gateway(cluster.time, "a")
    late.signs.give(f"{PREFIX}b", died)
    cluster.go_on(10)
    assert states(cluster.time)[-1] == ("down", "b-1", "gateway_lost")
    assert cluster.purged == ["b"]
