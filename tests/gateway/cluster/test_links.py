"""Link facts in virtual time (docs/contract.md 3.6): stored, owed and settled, superseded."""

import orjson
import pytest
from structlog.testing import capture_logs

from gateways import Gateway, Socket, Time, states
from voltgate.gateway.cluster.link import LinkFact
from voltgate.gateway.cluster.links import AGAIN
from voltgate.gateway.interfaces import NotStored, Stored
from world import LINKS, Published


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def here(time: Time) -> Gateway:
    return Gateway(time, "a")


def catch_up(time: Time, gateway: Gateway) -> None:
    """It follows the stream again."""
    gateway.feed.follows = True
    gateway.feed.deliver()
    time.settle()


def test_the_epoch_is_the_sequence_of_the_up_and_the_down_follows_it_alone(time: Time, here: Gateway) -> None:
    link = here.up()
    assert (link.epoch, here.events) == (1, [("known", "a-1")])
    here.links.end(link, "client")
    time.settle()
    assert states(time) == [("up", "a-1", None), ("down", "a-1", "client")]
    assert time.bus.streams[LINKS][1].headers["Nats-Expected-Last-Subject-Sequence"] == "1"


def test_a_connection_that_ends_before_its_epoch_is_known_is_up_and_then_down(
    time: Time, here: Gateway
) -> None:
    link = here.link()
    here.links.up(link)
    here.links.end(link, "client")
    time.settle()
    assert states(time) == [("up", "a-1", None), ("down", "a-1", "client")]
    assert ("known", "a-1") not in here.events, "no command can reach it any more"


def test_a_down_behind_a_newer_up_is_not_stored_and_not_owed(time: Time, here: Gateway) -> None:
    old, other = here.up(), Gateway(time, "b")
    other.up()
    here.links.end(old, "client")
    time.go_on(3 * AGAIN)
    assert states(time) == [("up", "a-1", None), ("up", "b-1", None)]


def test_an_up_that_was_not_stored_is_owed_until_it_is(time: Time, here: Gateway) -> None:
    time.bus.fails.add(LINKS)
    link = here.up()
    time.go_on(3 * AGAIN)
    assert (link.epoch, here.events) == (None, [])
    time.bus.fails.clear()
    time.go_on(AGAIN + 1)
    assert (states(time), here.events) == ([("up", "a-1", None)], [("known", "a-1")])


def test_an_up_whose_pub_ack_was_lost_is_found_and_not_written_twice(time: Time, here: Gateway) -> None:
    acknowledge = time.bus._ack
    time.bus.fails.add(LINKS)
    link = here.up()
    acknowledge(LINKS, time.bus.published[-1])  # it is stored all the same
    time.bus.fails.clear()
    time.go_on(AGAIN + 1)
    assert (states(time), link.epoch) == ([("up", "a-1", None)], 1)
    assert ("known", "a-1") in here.events


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
    here.links.end(link, "client")
    time.bus.fails.clear()
    time.go_on(AGAIN + 1)
    assert (states(time), here.events) == ([], [])


def test_an_owed_down_is_written_and_its_successor_hides_it(time: Time, here: Gateway) -> None:
    first = here.up()
    time.bus.fails.add(LINKS)
    here.links.end(first, "client")
    time.settle()
    second = here.up(replaces=first.session)
    here.links.end(first, "client")  # tried again while the successor's `up` is owed
    time.settle()
    time.bus.fails.clear()
    time.go_on(2 * AGAIN + 1)
    assert states(time)[-1] == ("up", second.session, None)


def test_a_link_that_was_marked_down_while_it_stood_is_up_again(time: Time, here: Gateway) -> None:
    """Commands wait meanwhile; it replaces no session this time."""
    link, other = here.up(replaces="x-1"), Gateway(time, "b")
    here.feed.follows = False
    other.links.mark_down(link.token, 1, lambda arg, stored: None, None)
    time.settle()
    assert states(time)[-1] == ("down", "a-1", "gateway_lost")
    catch_up(time, here)
    assert (states(time)[-1], link.epoch, link.replaces) == (("up", "a-1", None), 3, None)
    assert here.events == [("known", "a-1"), ("unknown", "a-1"), ("known", "a-1")]


@pytest.mark.parametrize("heard", [False, True])
def test_a_link_that_was_marked_down_and_moved_stays_where_it_went(
    time: Time, here: Gateway, heard: bool
) -> None:
    """Whether the gateway that was cut off hears of the ``down`` or of the newer ``up`` alone."""
    link, other = here.up(), Gateway(time, "b")
    here.feed.follows = False
    other.links.mark_down(link.token, 1, lambda arg, stored: None, None)
    time.settle()
    if heard:
        time.bus.hold = True
        catch_up(time, here)  # it writes `up` again, behind the `down`
        here.feed.follows, time.bus.hold = False, False
        other.links.up(other.link())
        time.bus.waiting.rotate(1)  # that of the other gateway is stored first
        time.settle()
    else:
        other.up()
    catch_up(time, here)
    assert states(time)[-1] == ("up", "b-1", None)
    assert here.events[-1] == ("superseded", "a-1")


# -- what stands behind an epoch decides -----------------------------------------------------------------


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("before_ack", [False, True], ids=["after its PubAck", "before its PubAck"])
def test_a_session_of_another_gateway_behind_the_epoch_supersedes(
    time: Time, here: Gateway, before_ack: bool, down: bool
) -> None:
    """Rule 1. Two gateways are dialled, and the ``up`` of the older session is stored last.

    Its ``down``, when the charger has closed that socket, may be all that the other gateway sees. The charger
    is shown offline, and its connection ends so that it dials again.
    """
    there = Gateway(time, "b")
    time.bus.hold_acks = True
    newest = there.up()
    if not before_ack:
        time.bus.acknowledge()
    there.feed.follows = time.bus.hold_acks = False
    oldest = here.up()
    if down:
        here.links.end(oldest, "client")
        time.settle()
        there.feed.miss()
    catch_up(time, there)
    assert (newest.epoch is None) == before_ack
    if before_ack:
        time.bus.acknowledge()
    time.go_on(3 * AGAIN)
    assert there.events[-1] == ("superseded", "b-1")
    assert states(time)[-1] == (("down", "a-1", "client") if down else ("up", "a-1", None))


@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
@pytest.mark.parametrize("before_ack", [False, True], ids=["after its PubAck", "before its PubAck"])
def test_an_earlier_session_of_this_process_behind_the_epoch_is_hidden_again(
    time: Time, here: Gateway, before_ack: bool, ended: bool
) -> None:
    """Rules 2 and 3: its ``up`` got a 503 and was tried again behind its successor's."""
    time.bus.hold = time.bus.hold_acks = True
    first = here.link()
    here.links.up(first)
    here.links.end(first, "superseded", superseded=True)
    second = here.link(replaces=first.session)
    here.links.up(second)
    time.bus.waiting.rotate(-1)
    time.bus.release()
    assert states(time) == [("up", "a-2", None), ("up", "a-1", None)]
    if not before_ack:
        time.bus.acknowledge()
    here.feed.deliver()
    time.bus.hold = time.bus.hold_acks = False
    while time.bus.acks:
        time.bus.acknowledge()
    if ended:
        here.links.end(second, "client")
    time.go_on(3 * AGAIN)
    assert states(time)[-1] == (("down", "a-2", "client") if ended else ("up", "a-2", None))
    assert ended or second.epoch == len(states(time))
    assert ("superseded", "a-2") not in here.events


@pytest.mark.parametrize("stored", [False, True])
def test_a_session_that_was_replaced_while_its_pub_ack_was_lost_is_not_written_again(
    time: Time, here: Gateway, stored: bool
) -> None:
    """Rule 3: the charger has dialled the same gateway again, and then another one or none."""
    time.bus.hold_acks = True
    if not stored:
        time.bus.fails.add(LINKS)
    first = here.up()
    time.bus.fails.clear()
    time.bus.acknowledge(lost=True)
    time.bus.hold_acks = False
    here.links.end(first, "superseded", superseded=True)
    second = here.up(replaces=first.session)
    here.links.end(second, "client")
    time.go_on(3 * AGAIN)
    assert states(time)[-1] == ("down", "a-2", "client")
    assert [entry for entry in states(time) if entry[:2] == ("up", "a-1")] == [("up", "a-1", None)] * stored


def test_a_link_whose_successor_was_never_stored_is_marked_down(time: Time, here: Gateway) -> None:
    """Rule 4: the successor of the same process came and went while NATS was away."""
    first = here.up()
    time.bus.fails.add(LINKS)
    here.links.end(first, "superseded", superseded=True)
    second = here.up(replaces=first.session)
    here.links.end(second, "client")
    time.go_on(AGAIN)
    time.bus.fails.clear()
    time.go_on(4 * AGAIN)
    assert states(time) == [("up", "a-1", None), ("down", "a-1", "gateway_lost")]


def test_a_link_of_an_ended_session_that_comes_late_is_marked_down(time: Time, here: Gateway) -> None:
    """Rules 3 and 4: reading back found no ``up``, and then a copy of it was stored after all."""
    time.bus.fails.add(LINKS)
    link = here.up()
    late = time.bus.published[-1]
    here.links.end(link, "client")
    time.bus.fails.clear()
    time.go_on(2 * AGAIN)
    assert states(time) == []
    time.bus._ack(LINKS, late)
    here.feed.deliver()
    time.go_on(2 * AGAIN)
    assert states(time) == [("up", "a-1", None), ("down", "a-1", "gateway_lost")]


def test_a_down_of_ours_that_is_heard_late_is_not_written_again(time: Time, here: Gateway) -> None:
    here.feed.follows = False
    here.links.end(here.up(), "client")
    time.settle()
    catch_up(time, here)
    published = len(time.bus.published)
    time.go_on(4 * AGAIN)
    assert (len(time.bus.published), time.bus.led) == (published, [])


@pytest.mark.parametrize("before_ack", [False, True], ids=["after its PubAck", "before its PubAck"])
def test_a_copy_of_our_own_up_that_is_stored_late_is_the_new_epoch(
    time: Time, here: Gateway, before_ack: bool
) -> None:
    """Else the ``down`` would be refused."""
    time.bus.hold_acks = before_ack
    link = here.up()
    time.bus._ack(LINKS, time.bus.published[-1])
    here.feed.deliver()
    time.bus.hold_acks = False
    if before_ack:
        time.bus.acknowledge()
    assert link.epoch == 2
    here.links.end(link, "client")
    time.settle()
    assert states(time)[-1] == ("down", "a-1", "client")


def test_a_leader_that_does_not_answer_is_asked_again(time: Time, here: Gateway) -> None:
    time.bus.fails.add(LINKS)
    link = here.up()
    time.bus.fails.clear()
    time.bus.leads = False
    time.go_on(3 * AGAIN)
    assert (link.epoch, states(time)) == (None, [])
    time.bus.leads = True
    time.go_on(2 * AGAIN)
    assert link.epoch == 1


def test_a_gateway_that_dies_costs_its_chargers_one_message_each(time: Time, here: Gateway) -> None:
    """They dial again and are authenticated: their ``up``, no question and nothing read."""
    dead = Gateway(time, "b")
    dead.alive = lambda: False
    for number in range(3000):
        dead.up(f"CP {number}")
    before = len(time.bus.published)
    for number in range(3000):
        (replaced,) = here.claim(Socket(), True, f"CP {number}")
        here.up(f"CP {number}", replaces=str(replaced))
    time.go_on(4 * AGAIN)
    assert len(time.bus.published) - before == 3000
    assert (time.bus.asked, time.bus.live, time.bus.led) == ([], [], [])
    assert here.peers.of("b") == []


NONSENSE: list[dict[str, object]] = [
    {"session": "s" * 900_000},
    {"session": 7},
    {"session": None},
    {"gateway": ["ghost"]},
    {"gateway": "g" * 5000},
    {"state": {}},
]


@pytest.mark.parametrize("fields", NONSENSE, ids=range(len(NONSENSE)))
def test_a_link_of_nonsense_is_counted_and_given_up(
    time: Time, here: Gateway, fields: dict[str, object]
) -> None:
    """Its ``down`` would never be storable; nobody tries for ever."""
    body = {"state": "up", "session": "s", "gateway": "ghost-1"} | fields
    time.bus.streams[LINKS] = [Published("ocpp.link.CP", {}, orjson.dumps(body), "")]
    read: list[object] = []
    here.links.mark_down("CP", 1, lambda arg, stored: read.append(stored), None)
    here.feed.deliver()
    time.go_on(3 * AGAIN)
    assert len(read) == 1
    assert len(time.bus.streams[LINKS]) == 1
    assert set(time.bus.refused) == {"link"} or fields == {"state": {}}
    assert here.peers.find("CP") is None


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[" * 10_000, b"", b"null", b'"up"', b'{"state":"up"}'])
def test_bytes_that_are_no_link_are_counted(time: Time, here: Gateway, data: bytes) -> None:
    for subject in ("ocpp.link.CP", "ocpp.link.=ZZ", "ocpp.link.\ufffd"):
        time.bus.streams.setdefault(LINKS, []).append(Published(subject, {}, data, ""))
    here.feed.deliver()
    assert time.bus.refused == ["link"] * 3
    assert here.events == []


def test_what_a_foreign_link_holds_beside_its_names_is_cut_to_what_a_gateway_writes() -> None:
    link = {
        "state": "up", "session": "s", "gateway": "g", "version": 7, "remote": "r" * 900_000,
        "replaces": {}, "security_profile": "3",
    }  # fmt: skip
    parsed = LinkFact.parse("CP", Stored(1, {}, orjson.dumps(link)))
    assert parsed is not None
    assert (parsed.version, parsed.remote, parsed.replaces, parsed.security_profile) == ("", "", None, 0)


def test_an_up_that_the_stream_refuses_for_good_is_given_up_with_a_line(
    time: Time, here: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time.bus, "_ack", lambda stream, message: NotStored.REFUSED)
    with capture_logs() as logs:
        link = here.up()
        time.go_on(10 * AGAIN)
    assert [(line["event"], line["session"]) for line in logs] == [("link.refused", link.session)]
    assert len(time.bus.published) == 1


def restore(time: Time, length: int) -> None:
    """A backup with so many messages takes the place of the stream."""
    del time.bus.streams[LINKS][length:]


def test_a_stream_that_was_restored_is_noticed_by_the_newest_epoch(time: Time, here: Gateway) -> None:
    """It may be as long as before again; everything is read anew, and what is held is written again."""
    links = [here.up(f"CP{number}") for number in range(3)]
    here.links.verify()
    time.settle()
    assert ("missing",) not in here.events
    restore(time, 1)
    other = Gateway(time, "b")
    for number in range(5):
        other.up(f"elsewhere {number}")
    here.links.verify()
    time.settle()
    assert here.events.count(("missing",)) == 1
    assert all(link.epoch is not None for link in links)
    here.links.verify()
    time.settle()
    assert here.events.count(("missing",)) == 1, "all is stored again"
    assert not [event for event in here.events if event[0] == "superseded"]


def test_a_message_of_another_session_at_our_epoch_shows_it_too(time: Time, here: Gateway) -> None:
    here.up("CP")
    restore(time, 0)
    Gateway(time, "b").up("CP")
    here.links.verify()
    time.settle()
    assert ("missing",) in here.events


def test_what_is_read_later_is_read_again(time: Time, here: Gateway) -> None:
    here.up("CP")
    restore(time, 0)
    time.bus.leads = False
    here.links.verify()
    time.settle()
    assert ("missing",) not in here.events
    time.bus.leads = True
    time.go_on(AGAIN + 0.1)
    assert ("missing",) in here.events


def test_a_charger_that_moved_after_the_backup_stays_where_it_is(time: Time, here: Gateway) -> None:
    """The restored link of its connection elsewhere is older than the one here; a newer one supersedes."""
    elsewhere = Gateway(time, "b")
    elsewhere.up("CP")
    time.go_on(1)
    ours = here.up("CP", replaces="b-1")
    restore(time, 1)
    here.feed.begin_anew()
    time.settle()
    assert ours.epoch == 2
    assert ("superseded", "a-1") not in here.events
    time.go_on(1)
    restore(time, 1)
    elsewhere.up("CP")
    here.feed.begin_anew()
    time.settle()
    assert ("superseded", "a-1") in here.events
