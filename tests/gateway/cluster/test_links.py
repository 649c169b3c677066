"""Link facts in virtual time (docs/contract.md 3.6): stored, owed and settled, superseded."""

import orjson
import pytest

from gateways import LINKS, Gateway, Time, states
from voltgate import _core
from voltgate.gateway.cluster.links import AGAIN, LinkFact
from voltgate.gateway.interfaces import Stored


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def here(time: Time) -> Gateway:
    return Gateway(time, "a")


def test_the_epoch_is_the_sequence_of_the_up_and_the_down_follows_it_alone(time: Time, here: Gateway) -> None:
    link = here.up()
    assert (link.epoch, here.events) == (1, [("stored", "a-1")])
    here.links.down(link, "client")
    time.settle()
    assert states(time) == [("up", "a-1", None), ("down", "a-1", "client")]
    assert time.bus.streams[LINKS][1].headers["Nats-Expected-Last-Subject-Sequence"] == "1"


def test_a_connection_that_ends_before_its_epoch_is_known_is_up_and_then_down(
    time: Time, here: Gateway
) -> None:
    link = here.link()
    here.links.up(link)
    here.links.down(link, "client")
    time.settle()
    assert states(time) == [("up", "a-1", None), ("down", "a-1", "client")]
    assert ("stored", "a-1") not in here.events, "no command can reach it any more"


def test_a_down_behind_a_newer_up_is_not_stored_and_not_owed(time: Time, here: Gateway) -> None:
    old, other = here.up(), Gateway(time, "b")
    other.up()
    here.links.down(old, "client")
    time.go_on(3 * AGAIN)
    assert states(time) == [("up", "a-1", None), ("up", "b-1", None)]


def test_an_up_that_was_not_stored_is_owed_until_it_is(time: Time, here: Gateway) -> None:
    time.bus.fails.add(LINKS)
    link = here.up()
    time.go_on(3 * AGAIN)
    assert (link.epoch, here.events) == (None, [])
    time.bus.fails.clear()
    time.go_on(AGAIN + 1)
    assert (states(time), here.events) == ([("up", "a-1", None)], [("stored", "a-1")])


def test_an_up_whose_pub_ack_was_lost_is_found_and_not_written_twice(time: Time, here: Gateway) -> None:
    acknowledge = time.bus._ack
    time.bus.fails.add(LINKS)
    link = here.up()
    acknowledge(LINKS, time.bus.published[-1])  # it is stored all the same
    time.bus.fails.clear()
    time.go_on(AGAIN + 1)
    assert (states(time), link.epoch) == ([("up", "a-1", None)], 1)
    assert ("stored", "a-1") in here.events


def test_an_owed_up_gives_way_to_a_newer_connection(time: Time, here: Gateway) -> None:
    """It may have been stored before that one's or not; written again it would hide it."""
    other = Gateway(time, "b")
    time.bus.fails.add(LINKS)
    here.up()
    time.bus.fails.clear()
    other.up()
    time.go_on(AGAIN + 1)
    assert states(time) == [("up", "b-1", None)]
    assert here.events[-1] == ("superseded", "a-1")


def test_an_owed_up_follows_the_link_it_replaces(time: Time, here: Gateway) -> None:
    other = Gateway(time, "b")
    other.up()
    time.bus.fails.add(LINKS)
    here.up(replaces="b-1")
    time.bus.fails.clear()
    time.go_on(AGAIN + 1)
    assert states(time) == [("up", "b-1", None), ("up", "a-1", None)]


def test_an_owed_up_of_a_connection_that_ended_meanwhile_is_not_written(time: Time, here: Gateway) -> None:
    time.bus.fails.add(LINKS)
    link = here.up()
    here.links.down(link, "client")
    time.bus.fails.clear()
    time.go_on(AGAIN + 1)
    assert (states(time), here.events) == ([], [])


def test_an_owed_down_is_written_and_its_successor_hides_it(time: Time, here: Gateway) -> None:
    first = here.up()
    time.bus.fails.add(LINKS)
    here.links.down(first, "client")
    time.settle()
    second = here.up(replaces=first.session)
    here.links.down(first, "client")  # tried again while the successor's `up` is owed
    time.settle()
    time.bus.fails.clear()
    time.go_on(2 * AGAIN + 1)
    assert states(time)[-1] == ("up", second.session, None)


def test_a_link_that_was_marked_down_while_it_stood_is_up_again(time: Time, here: Gateway) -> None:
    """``link_stored`` comes once: its commands reach it already."""
    link, other = here.up(replaces="x-1"), Gateway(time, "b")
    other.links.mark_down(link.token, 1, lambda arg, stored: None, None)
    time.settle()
    assert states(time)[-1] == ("down", "a-1", "gateway_lost")
    assert here.events[-1] == ("marked_down", "CP", "a-1")
    here.links.up_again(link, 2)
    time.settle()
    assert (states(time)[-1], link.epoch, link.replaces) == (("up", "a-1", None), 3, None)
    assert here.events.count(("stored", "a-1")) == 1


def test_a_link_that_was_marked_down_and_moved_stays_where_it_went(time: Time, here: Gateway) -> None:
    link, other = here.up(), Gateway(time, "b")
    other.links.mark_down(link.token, 1, lambda arg, stored: None, None)
    time.settle()
    here.feed.follows = False  # it learns late that the charger came up elsewhere
    other.up()
    here.links.up_again(link, 2)
    time.settle()
    assert states(time)[-1] == ("up", "b-1", None)
    assert here.events[-1] == ("superseded", "a-1")


@pytest.mark.parametrize("identity", ["", "x" * 49, "x" * 5000, "a:b"], ids=len)
def test_a_link_of_no_legal_identity_is_not_marked_down(identity: str) -> None:
    """Its ``down`` would go to a subject for which NATS disconnects the gateway, again and again."""
    link = {
        "state": "up", "identity": identity, "version": "v16", "session": "s", "replaces": None,
        "gateway": "ghost-1", "remote": "r", "security_profile": 1, "at": "",
    }  # fmt: skip
    assert LinkFact.parse(_core.token(identity), Stored(1, {}, orjson.dumps(link))) is None
    assert LinkFact.parse("CP=201", Stored(1, {}, orjson.dumps(link))) is not None
