"""``make peers``: what it says of a contender, and that a server shows what its validation is worth."""

from pathlib import Path

import comparison
import contenders
import pytest
from comparison import Entry
from contenders import Contender, Sources
from judged import BAD, Judged, judged
from measure import Idle, Message, Size

from building import UnavailableError

FLOOR = Contender("floor", "a 1", "nothing", unchecked=True)
OURS = Contender("Voltgate, durable", "b 2", "stored", stored=True)


def entry(contender: Contender, cpu: float, nats: float = 0.0) -> Entry:
    run = Message(cpu, rate=1000.0, busy=0.9, answered=4000, p99=1500.0, nats=nats)
    return Entry(contender, Judged(True, ("an unknown member",)), [run, run], [Idle(2048.0, 90.0)] * 2)


def test_a_row_has_what_a_message_costs_over_the_floor() -> None:
    table = comparison.tabled([entry(FLOOR, 5.0), entry(OURS, 15.0, nats=4.0)], Size())
    floor, ours = table.data()["rows"]
    assert "to the floor" not in floor
    assert "refuses of six bad" not in floor, "it reads nothing"
    assert (ours["over the floor us"], ours["to the floor"]) == ("10.0 (10.0-10.0)", "3.00 (3.00-3.00) x")
    assert (ours["NATS us"], ours["p99 ms"]) == ("4.0 (4.0-4.0)", "1.5 (1.5-1.5)")
    assert ours["refuses of six bad"] == "5 of 6, accepts an unknown member"


def test_what_cannot_be_had_is_named_and_the_others_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "CACHE", tmp_path)

    def no_registry(source: object, made: object) -> None:
        raise UnavailableError("npm install: 404")

    away = Contender("away", "c 3", "parsed", sources=Sources("node", (), no_registry))
    toolless = Contender("toolless", "d 4", "parsed", sources=Sources("go", ("no-such-tool",), no_registry))
    here = Contender("here", "e 5", "parsed", command=lambda folder: ["true"])
    cases, missing = comparison.ready([away, toolless, here])
    assert [contender.name for contender, _ in cases] == ["here"]
    assert missing == ["away: npm install: 404", "toolless: no-such-tool is not installed"]


def test_every_contender_names_its_versions() -> None:
    assert all(any(digit in one.made_of for digit in "123456789") for one in contenders.everyone())


@pytest.mark.parametrize(
    ("name", "accepted"),
    [("mobilityhouse", ("a timestamp that is none",)), ("floor", tuple(BAD))],
    ids=["validates", "reads nothing"],
)
def test_bad_messages_tell_who_validates(name: str, accepted: tuple[str, ...]) -> None:
    (contender,) = [one for one in contenders.everyone() if one.name == name]
    with contender.case().start() as server:
        assert judged(server.port) == Judged(True, accepted)
