"""What a gateway knows of the links of others, in virtual time (docs/contract.md 3.6)."""

import orjson
import pytest

from gateways import Gateway, Time
from world import LINKS, Published


@pytest.fixture
def time() -> Time:
    return Time()


def write(time: Time, token: str, body: object) -> None:
    """A link that no gateway of this release wrote."""
    message = Published(f"ocpp.link.{token}", {}, orjson.dumps(body), "")
    time.bus.streams.setdefault(LINKS, []).append(message)
    for gateway in time.gateways:
        gateway.feed.deliver()


def test_links_from_before_the_start_and_after_it_are_known(time: Time) -> None:
    here = Gateway(time, "a")
    here.up("CP 1")
    there = Gateway(time, "b")
    here.up("CP 2")
    assert [token for token, _ in there.peers.of("a")] == ["CP=201", "CP=202"]
    found = there.peers.find("CP=202")
    assert found is not None
    assert (found.epoch, found.session, found.gateway) == (2, "a-2", "a")
    assert here.peers.of("a") == [], "its own are not a peer's"
    assert (there.peers.named(), there.peers.named()) == ({"a"}, set())


def test_a_down_ends_the_link(time: Time) -> None:
    here, there = Gateway(time, "a"), Gateway(time, "b")
    link = here.up()
    here.links.end(link, "client")
    time.settle()
    assert there.peers.find("CP") is None
    assert there.events == []


def test_an_up_here_ends_the_link_there(time: Time) -> None:
    here, there = Gateway(time, "a"), Gateway(time, "b")
    here.up()
    there.up(replaces="a-1")
    assert there.peers.find("CP") is None
    assert here.peers.find("CP") is not None
    assert here.events[1:] == [("changed_hands", "CP"), ("superseded", "a-1")]


def test_a_recreated_stream_clears_the_known_links(time: Time) -> None:
    here, there = Gateway(time, "a"), Gateway(time, "b")
    here.up()
    time.bus.streams.clear()
    there.feed.begin_anew()
    assert there.peers.find("CP") is None


def test_a_link_is_forgotten_only_while_it_is_the_last(time: Time) -> None:
    here, there = Gateway(time, "a"), Gateway(time, "b")
    here.up()
    old = there.peers.find("CP")
    assert old is not None
    here.up()
    there.peers.forget("CP", old)
    assert there.peers.find("CP") is not None


GOOD = {"state": "up", "session": "s", "gateway": "ghost-1"}


@pytest.mark.parametrize(
    "body",
    [
        GOOD | {"gateway": None},
        GOOD | {"gateway": 5},
        GOOD | {"gateway": []},
        GOOD | {"session": 5},
        GOOD | {"state": "asleep"},
        {"state": "up"},
        [],
        None,
        "up",
    ],
)
def test_links_that_no_gateway_wrote_are_ignored(time: Time, body: object) -> None:
    """A gateway name that is not a text would stop the search for dead gateways, on all of them."""
    here = Gateway(time, "a")
    write(time, "nonsense", body)
    write(time, "=ZZ", GOOD)
    assert (here.peers.find("nonsense"), here.peers.named(), here.events) == (None, set(), [])
    write(time, "ghost", GOOD)
    assert here.peers.find("ghost") is not None
