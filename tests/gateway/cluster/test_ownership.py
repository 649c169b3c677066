"""Takeovers in virtual time (docs/contract.md 3.6): which of two connections of an identity stays."""

import orjson
import pytest

from gateways import Gateway, Socket, Time
from voltgate.gateway.cluster.ownership import FLAPPING, PROBE, TAKEOVERS_A_MINUTE
from voltgate.gateway.interfaces import Reply
from voltgate.gateway.reasons import Reason, Refusal


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def here(time: Time) -> Gateway:
    return Gateway(time, "a")


@pytest.mark.parametrize("authenticated", [True, False])
def test_the_first_one_gets_its_identity_at_once(here: Gateway, authenticated: bool) -> None:
    socket = Socket()
    assert here.claim(socket, authenticated) == [None]
    assert here.ownership.holder("CP") is socket


def test_an_authenticated_newcomer_wins_at_once(here: Gateway) -> None:
    old, new = Socket(), Socket()
    here.claim(old, True)
    assert here.claim(new, True) == ["a-1"], "the session it replaces"
    assert (old.closed, here.ownership.holder("CP")) == (Reason.SUPERSEDED, new)
    here.ownership.release("CP", old)
    assert here.ownership.holder("CP") is new, "the end of the old one leaves its successor"
    here.ownership.release("CP", new)
    assert here.ownership.holder("CP") is None


def test_without_authentication_a_live_connection_stays(here: Gateway) -> None:
    old, new = Socket(answers=True), Socket()
    here.claim(old, False)
    assert here.claim(new, False) == [Refusal.IDENTITY_IN_USE]
    assert (old.closed, here.ownership.holder("CP")) == (None, old)


def test_without_authentication_a_silent_connection_is_replaced_when_its_time_is_over(
    time: Time, here: Gateway
) -> None:
    old, new = Socket(answers=False), Socket()
    here.claim(old, False)
    decisions = here.claim(new, False)
    time.go_on(PROBE - 0.1)
    assert decisions == []
    time.go_on(0.3)
    assert (decisions, old.closed, here.ownership.holder("CP")) == (["a-1"], Reason.SUPERSEDED, new)
    old.probes[0]()
    assert decisions == ["a-1"], "a late sign of life decides nothing"


def test_of_two_newcomers_at_once_one_wins_and_the_other_meets_the_winner(time: Time, here: Gateway) -> None:
    old, first, second = Socket(answers=False), Socket(answers=True), Socket()
    here.claim(old, False)
    decisions = [here.claim(first, False), here.claim(second, False)]
    time.go_on(PROBE + 0.1)
    assert decisions == [["a-1"], [Refusal.IDENTITY_IN_USE]]
    assert here.ownership.holder("CP") is first


def test_a_newcomer_that_left_while_the_old_one_was_probed_is_not_decided(time: Time, here: Gateway) -> None:
    old, new = Socket(answers=False), Socket()
    here.claim(old, False)
    decisions = here.claim(new, False)
    new.close(Reason.CLIENT)
    time.go_on(PROBE + 0.1)
    assert (decisions, old.closed) == ([], None)


def test_an_old_one_that_leaves_while_it_is_probed_makes_room(time: Time, here: Gateway) -> None:
    old, new = Socket(answers=False), Socket()
    here.claim(old, False)
    decisions = here.claim(new, False)
    old.close(Reason.CLIENT)
    here.ownership.release("CP", old)
    time.go_on(PROBE + 0.1)
    assert (decisions, here.ownership.holder("CP")) == ([None], new)


@pytest.mark.parametrize("authenticated", [True, False])
def test_one_that_is_back_before_its_end_was_counted_takes_over_from_nobody(
    here: Gateway, authenticated: bool
) -> None:
    """Of many that are lost together (edge/paced): it is neither probed nor counted as a takeover."""
    old, new = Socket(answers=False), Socket()
    here.claim(old, authenticated)
    old.untold = lambda: here.ownership.release("CP", old)
    assert here.claim(new, authenticated) == [None]
    assert (old.closed, old.probes, here.ownership.holder("CP")) == (None, [], new)


def test_newcomers_share_one_probe_and_its_outcome(time: Time, here: Gateway) -> None:
    old = Socket(answers=False)
    here.claim(old, False)
    decisions = [here.claim(Socket(), False) for _ in range(250)]
    assert len(old.probes) == 1
    old.probes[0]()
    decisions += [here.claim(Socket(), False) for _ in range(250)]
    assert decisions == [[Refusal.IDENTITY_IN_USE]] * 500
    assert len(old.probes) == 1
    time.go_on(PROBE + 0.1)
    assert here.claim(Socket(), False) == []
    assert len(old.probes) == 2, "an old outcome says nothing"


# -- at other gateways -----------------------------------------------------------------------------------


def answer(time: Time, there: Gateway, socket: Socket) -> None:
    """The question arrives at ``there``, which holds the charger, and its answer comes back."""
    (question,) = time.bus.asked
    there.requested("probe", socket, question.reply)
    time.go_on(PROBE + 0.1)
    if time.bus.live:
        time.bus.reply(time.bus.live[-1].data)


def test_an_authenticated_newcomer_wins_against_another_gateway(time: Time, here: Gateway) -> None:
    """That one ends its connection when it sees the newer link."""
    there = Gateway(time, "b")
    there.up()
    assert here.claim(Socket(), True) == ["b-1"]
    assert time.bus.asked == []


@pytest.mark.parametrize(("answers", "decision"), [(True, Refusal.IDENTITY_IN_USE), (False, "b-1")])
def test_without_authentication_the_other_gateway_probes(
    time: Time, here: Gateway, answers: bool, decision: object
) -> None:
    there = Gateway(time, "b")
    there.up()
    time.bus.answers = lambda question: None
    decisions = here.claim(Socket(), False)
    answer(time, there, Socket(answers))
    assert decisions == [decision]


@pytest.mark.parametrize(
    ("reply", "decision"),
    [
        (Reply("no_responders", {}, b""), "b-1"),
        (Reply("timeout", {}, b""), "b-1"),
        (Reply("away", {}, b""), Refusal.BUS_AWAY),
        (Reply("reply", {}, b'{"alive":true}'), Refusal.IDENTITY_IN_USE),
        (Reply("reply", {}, b'{"alive":"perhaps"}'), "b-1"),
        (Reply("reply", {}, b"nonsense"), "b-1"),
    ],
)
def test_what_the_answer_of_another_gateway_means(
    time: Time, here: Gateway, reply: Reply, decision: object
) -> None:
    Gateway(time, "b").up()
    time.bus.answers = lambda question: reply
    assert here.claim(Socket(), False) == [decision]


def test_the_others_are_asked_also_while_their_links_are_not_all_known(time: Time, here: Gateway) -> None:
    here.feed.follows = False
    assert here.claim(Socket(), False) == [None], "nobody responds"
    assert len(time.bus.asked) == 1


def test_a_connection_that_won_here_while_another_gateway_was_asked_is_probed(
    time: Time, here: Gateway
) -> None:
    Gateway(time, "b").up()
    time.bus.answers = lambda question: None
    first, second = Socket(answers=True), Socket()
    decisions = [here.claim(first, False), here.claim(second, False)]
    assert len(time.bus.asked) == 1, "they share the question"
    time.bus.reply(b'{"alive":false}')
    assert decisions == [["b-1"], [Refusal.IDENTITY_IN_USE]]


# -- flapping --------------------------------------------------------------------------------------------


def test_an_identity_that_is_taken_over_too_often_is_refused_for_a_while(time: Time, here: Gateway) -> None:
    for _ in range(1 + TAKEOVERS_A_MINUTE):
        assert here.claim(Socket(), True)[0] is not Refusal.FLAPPING
    assert here.claim(Socket(), True) == [Refusal.FLAPPING]
    time.go_on(FLAPPING - 1)
    assert here.claim(Socket(), True) == [Refusal.FLAPPING]
    time.go_on(2)
    assert here.claim(Socket(), True) != [Refusal.FLAPPING]


def test_without_credentials_nobody_can_lock_out_another(time: Time, here: Gateway) -> None:
    """Takeovers are counted by source and identity."""
    for _ in range(1 + TAKEOVERS_A_MINUTE):
        here.claim(Socket(answers=False), False, source="198.51.100.9")
        time.go_on(PROBE + 0.1)
    assert here.claim(Socket(), False, source="198.51.100.9") == []
    time.go_on(PROBE + 0.1)
    assert here.claim(Socket(), False, source="198.51.100.9") == [Refusal.FLAPPING]
    decisions = here.claim(Socket(), False, source="192.0.2.1")
    time.go_on(PROBE + 0.1)
    assert decisions != [Refusal.FLAPPING]


def test_takeovers_of_a_longer_time_than_a_minute_do_not_add_up(time: Time, here: Gateway) -> None:
    here.claim(Socket(), True)
    for _ in range(3 * TAKEOVERS_A_MINUTE):
        time.go_on(15)
        assert here.claim(Socket(), True) != [Refusal.FLAPPING]


def test_takeovers_on_all_gateways_count_together(time: Time, here: Gateway) -> None:
    """The sixth within a minute is flapping, whichever gateway it comes to."""
    pair = here, Gateway(time, "b")
    for number in range(1 + TAKEOVERS_A_MINUTE):
        gateway = pair[number % 2]
        (replaced,) = gateway.claim(Socket(), True)
        assert replaced is not Refusal.FLAPPING
        for one in pair:  # each sees the other's link and ends its own connection
            if (holder := one.ownership.holder("CP")) is not None and one is not gateway:
                one.ownership.release("CP", holder)
        gateway.up(replaces=str(replaced) if replaced else None)
    assert pair[0].claim(Socket(), True) == [Refusal.FLAPPING]


# -- requests of operators and other gateways ------------------------------------------------------------


@pytest.mark.parametrize("alive", [True, False])
def test_a_probe_is_answered_with_what_was_found(time: Time, here: Gateway, alive: bool) -> None:
    here.requested("probe", Socket(answers=alive))
    time.go_on(PROBE + 0.1)
    (reply,) = time.bus.live
    assert orjson.loads(reply.data) == {"alive": alive, "session": "a session", "gateway": "a"}


def test_a_kick_ends_the_connection_and_is_answered(time: Time, here: Gateway) -> None:
    socket = Socket()
    here.requested("kick", socket)
    assert socket.closed is Reason.KICKED
    assert orjson.loads(time.bus.live[0].data) == {"session": "a session", "gateway": "a"}


def test_a_probe_without_reply_subject_disturbs_nobody(here: Gateway) -> None:
    socket = Socket()
    here.requested("probe", socket, "")
    assert socket.probes == []
