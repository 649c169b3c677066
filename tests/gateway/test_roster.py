"""The chargers connected here: links, commands, records that change, chargers that move; in virtual time."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from frames import frame
from voltgate import _core
from voltgate.config import Limits, load
from voltgate.gateway.cluster.links import Heard
from voltgate.gateway.edge.listener import Admission
from voltgate.gateway.edge.upgrade import Upgrade
from voltgate.gateway.gc_policy import GcPolicy
from voltgate.gateway.interfaces import Request, Ticket
from voltgate.gateway.reasons import Reason
from voltgate.gateway.registry.record import Known, Record
from voltgate.gateway.roster import AGAIN, AGE_JITTER, Charger, Process, Roster
from wire import CLOSE, TEXT, Edge, Wire, request
from world import Bus as MemoryBus
from world import Published

STATUS = b'[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available"}]'
LINK, SEND = "ocpprpc.link.*.CP1", "ocpprpc.send.*.CP1"


class Bus(MemoryBus):
    """The bus in memory, never connected, and the subscriptions there are."""

    connected, connections = False, 0

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge.clock)
        self.subscribed: dict[str, Callable[[Request], None]] = {}
        self.at_first_store: set[str] = set()  # subscribed by then

    def store(self, ticket: Ticket[Any, Any], hpub: bytes, tx: bool = False) -> None:
        if not self.published:
            self.at_first_store = set(self.subscribed)
        super().store(ticket, hpub, tx)

    def subscribe(self, subject: str, take: Callable[[Request], None]) -> "Interest":
        self.subscribed[subject] = take
        return Interest(self, subject)


class Interest:
    def __init__(self, bus: Bus, subject: str) -> None:
        self._bus, self._subject = bus, subject

    def end(self) -> None:
        del self._bus.subscribed[self._subject]


class Here(Edge):
    """A process with a roster; ``connect`` is a charger whose upgrade has been decided."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = Bus(self)
        process = Process("gw", load(None), cast(Any, self.bus), self.clock, self.metrics)
        self.roster = Roster(process, GcPolicy(self.metrics), lambda change, hashes, hashed: hashed(None))

    def connect(self, record: Record | None = None, replaced: str | None = None) -> tuple[Charger, Wire]:
        known = Known("CP1", "CP1", record) if record is not None else None
        admission = Admission("CP1", "ocpp1.6", 1, False, known, needs_record=False)

        def start(upgrade: Upgrade) -> None:
            assert upgrade.prepare("ocpp1.6")
            self.roster.start_session(admission, upgrade, replaced)

        wire = self.knock(start, request())
        self.bus.settle()
        charger = self.roster.here("CP1")
        assert charger is not None
        return charger, wire

    def links(self) -> list[dict[str, Any]]:
        """The link facts so far."""
        stored = self.bus.published
        return [json.loads(one.data) for one in stored if one.subject == "ocpp.link.CP1"]

    def states(self) -> list[tuple[str, str | None]]:
        return [(link["state"], link["reason"]) for link in self.links()]

    def left(self, wire: Wire) -> int:
        """The code a charger was closed with."""
        assert len(self.roster) == 0
        first, payload = wire.frames()[-1]
        assert first == CLOSE
        return int.from_bytes(payload[:2], "big")


def test_a_charger_is_online_from_its_101_to_its_end() -> None:
    here = Here()
    charger, wire = here.connect(replaced="s0")
    (up,) = here.links()
    assert (up["state"], up["replaces"], up["gateway"]) == ("up", "s0", "gw")
    assert up["session"] == charger.link.session
    assert here.counted("voltgate_connections", version="v16") == 1
    assert here.counted("voltgate_handshakes_total", result="accepted") == 1
    assert [one.link.identity for one in here.roster] == ["CP1"]
    wire.send(frame(TEXT, b'[2,"1","Heartbeat",{}]'))
    assert wire.frames()[0][1].startswith(b'[3,"1",')
    wire.lose()
    assert here.states() == [("up", None), ("down", "client")]
    assert here.roster.here("CP1") is None
    assert here.counted("voltgate_connections", version="v16") == 0
    assert here.counted("voltgate_disconnects_total", reason="client") == 1


def test_commands_reach_a_charger_before_its_link_is_stored_and_wait() -> None:
    """Whoever sees its ``up`` finds the subscription."""
    here = Here()
    here.bus.hold = True
    charger, wire = here.connect()
    assert here.bus.at_first_store == {LINK, SEND}
    here.bus.subscribed[SEND](Request("ocpprpc.send.ClearCache.CP1", "_INBOX.c", {}, b""))
    assert len(here.bus.published) == 1
    here.bus.release()
    here.bus.release()
    assert b"ClearCache" in wire.frames()[-1][1]
    here.bus.subscribed[LINK](Request("ocpprpc.link.kick.CP1", "_INBOX.k", {}, b""))
    assert here.bus.subscribed == {}, "at once, though its socket is still closing"
    assert here.left(wire) == 1012
    here.bus.release()
    assert here.states() == [("up", None), ("down", "kicked")]
    assert json.loads(here.bus.live[-1].data) == {"session": charger.link.session, "gateway": "gw"}


def test_a_charger_that_is_gone_before_its_link_is_stored_takes_no_commands() -> None:
    here = Here()
    here.bus.hold = True
    _, wire = here.connect()
    wire.lose()
    assert here.bus.subscribed == {}
    here.bus.release()
    assert here.states() == [("up", None), ("down", "client")]


def test_a_link_that_the_bus_did_not_take_is_stored_later() -> None:
    here = Here()
    here.bus.fails = {"link"}
    charger, _ = here.connect()
    assert charger.link.epoch is None
    here.bus.fails = set()
    here.pass_time(5.2)
    here.bus.settle()
    assert charger.link.epoch == 1


RECORDS: dict[str, tuple[Record | None, int | None]] = {
    "the same": (Record(enabled=True), None),
    "disabled": (Record(enabled=False), 1008),
    "another level": (Record(enabled=True, validation="off"), 1012),
    "removed, where none is needed": (None, None),
}


@pytest.mark.parametrize(("record", "code"), RECORDS.values(), ids=RECORDS)
def test_a_record_that_changes_takes_effect_at_once(record: Record | None, code: int | None) -> None:
    here = Here()
    _, wire = here.connect(Record(enabled=True))
    known = Known("CP1", "CP1", record) if record is not None else None
    here.roster.record_changed("CP2", known)
    here.roster.record_changed("CP1", known)
    if code is None:
        assert here.states() == [("up", None)]
    else:
        assert here.left(wire) == code


def test_a_record_that_changed_while_the_charger_waited_counts() -> None:
    here = Here()
    body = json.dumps({"enabled": False}).encode()
    here.bus.streams["KV_ocpp_chargers"] = []
    command: Ticket[Any, Any] = here.bus.ticket(lambda *_: None, None)
    here.bus.store(command, _core.publish("$KV.ocpp_chargers.CP1", command.reply, [], body))
    known = Known("CP1", "CP1", Record(enabled=True))
    admission = Admission("CP1", "ocpp1.6", 1, True, known, needs_record=True)

    def start(upgrade: Upgrade) -> None:
        assert upgrade.prepare("ocpp1.6")
        here.roster.start_session(admission, upgrade, None)

    wire = here.knock(start, request())
    here.bus.settle()
    assert here.left(wire) == 1008


# -- peers.Told -----------------------------------------------------------------------------------------


def test_a_charger_that_came_up_elsewhere_is_superseded_here() -> None:
    """Its `up` is the newer one, so this gateway writes no `down`."""
    here = Here()
    charger, wire = here.connect()
    epoch = charger.link.epoch
    assert epoch is not None
    here.roster.heard("CP1", Heard(epoch - 1, True, "s2", ours=False))
    assert len(here.roster) == 1, "an older link than ours"
    here.roster.heard("CP1", Heard(epoch + 1, True, "s2", ours=False))
    assert here.left(wire) == 1008
    assert here.states() == [("up", None)]
    assert here.counted("voltgate_disconnects_total", reason="superseded") == 1


def test_a_link_that_was_set_down_comes_up_again() -> None:
    here = Here()
    charger, wire = here.connect()
    session = charger.link.session
    down = json.dumps({"state": "down", "session": session, "gateway": "gw"}).encode()
    here.bus.streams["link"].append(Published("ocpp.link.CP1", {}, down, ""))
    here.roster.heard("CP1", Heard(2, False, session, ours=True))
    here.bus.settle()
    assert here.states() == [("up", None), ("up", None)]
    assert charger.link.epoch == 3
    wire.lose()
    here.roster.heard("CP1", Heard(4, False, session, ours=True))
    assert here.states()[2:] == [("down", "client")]


def test_links_that_are_lost_come_up_again() -> None:
    here = Here()
    here.connect()
    here.bus.streams["link"].clear()
    here.roster.links_lost()
    assert here.states() == [("up", None), ("up", None)]


def test_a_charger_that_leaves_takes_no_commands() -> None:
    here = Here()
    charger, wire = here.connect()
    charger.leave(Reason.DRAIN)
    assert here.bus.subscribed == {}
    assert here.left(wire) == 1001


AGED = Limits(max_connection_age=10)


def test_an_old_connection_ends() -> None:
    here = Here()
    here.roster.take(AGED)
    _, wire = here.connect()
    here.pass_time(10 * (1 - AGE_JITTER) - 0.1)
    assert here.states() == [("up", None)]
    here.pass_time(10 * AGE_JITTER + 0.2)
    assert here.left(wire) == 1001
    assert here.states() == [("up", None), ("down", "aged")]


def test_a_limit_of_age_that_comes_later_counts_too_but_not_for_all_at_once() -> None:
    here = Here()
    _, wire = here.connect()
    here.pass_time(30)
    here.roster.take(AGED)
    assert len(here.roster) == 1
    here.pass_time(10 * AGE_JITTER + 0.1)
    assert here.left(wire) == 1001
    _, wire = here.connect()
    here.roster.take(Limits())
    here.pass_time(30)
    assert len(here.roster) == 1, "there is none any more"


def test_an_old_connection_with_an_open_call_stays_until_that_is_answered() -> None:
    here = Here()
    here.roster.take(AGED)
    _, wire = here.connect()
    here.bus.hold = True
    wire.send(frame(TEXT, STATUS))
    here.bus.collect()
    here.pass_time(20)
    assert len(here.roster) == 1
    here.bus.release()
    assert wire.frames()[-1][1].startswith(b'[3,"s"')
    here.pass_time(AGAIN + 0.1)
    assert here.left(wire) == 1001


def test_a_charger_is_moved_while_nothing_is_open() -> None:
    here = Here()
    charger, wire = here.connect()
    move = Request("ocpprpc.link.move.CP1", "_INBOX.m", {}, b"")
    about = {"session": charger.link.session, "gateway": "gw"}
    here.bus.hold = True
    wire.send(frame(TEXT, STATUS))
    here.bus.collect()
    here.bus.subscribed[LINK](move)
    assert json.loads(here.bus.live[-1].data) == {"moved": False, **about}
    here.bus.release()
    here.bus.subscribed[LINK](move)
    assert json.loads(here.bus.live[-1].data) == {"moved": True, **about}
    assert here.left(wire) == 1001
    here.bus.release()
    assert here.states() == [("up", None), ("down", "rebalanced")]
