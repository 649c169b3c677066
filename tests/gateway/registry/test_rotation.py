"""Passwords that commands change, in virtual time: the record at every step, and who dies.

See docs/contract.md 3.8.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from voltgate import _core
from voltgate.gateway.interfaces import Ack, Change, NotStored, Verdict
from voltgate.gateway.reasons import Reason
from voltgate.gateway.registry.record import Known, Record
from voltgate.gateway.registry.rotation import TRIES, Rotation
from world import World, answered, call, outcome, outcomes

OLD, NEW = "the old password", "the new password"
CHANGE = {"key": "AuthorizationKey", "value": NEW}


def variables(*values: str, **more: Any) -> dict[str, Any]:
    entry = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}} | more
    return {"setVariableData": [entry | {"attributeValue": value} for value in values]}


def results(status: str) -> dict[str, Any]:
    entry = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    return {"setVariableResult": [entry | {"attributeStatus": status}]}


def changing(version: str = "v16", **config: Any) -> World:
    """A charger that has a record with one password."""
    world = World(version, **config)
    world.record(password_hashes=[OLD], of_a_newer_release=1)
    return world


def send(world: World, **headers: Any) -> str:
    """The command that changes the password; its message id."""
    if world.version == "v16":
        world.command("ChangeConfiguration", CHANGE, **headers)
    else:
        world.command("SetVariables", variables(NEW), **headers)
    return call(world)


def answer(world: World, message_id: str, status: str) -> None:
    answered(world, message_id, {"status": status} if world.version == "v16" else results(status))


def login(world: World, password: str) -> None:
    """A new connection that came in with ``password``, to a process that knows nothing but the record."""
    record = Record.model_validate_json(world.bus.streams["KV_ocpp_chargers"][-1].data)
    assert password in record.password_hashes, "the charger can log in"
    world.connect()
    known = Known(world.identity, "CP=201", record, b"", password)
    Rotation(world.bus, world.clock, "OCPP", world.hash).logged_in(known)
    world.bus.settle()


def kill(world: World) -> None:
    """The process dies as it stands: nothing of it happens any more, and nobody is told anything."""
    world.bus.waiting.clear()
    world.bus.hold = False
    world.connect()


@pytest.mark.parametrize("version", ["v16", "v201", "v21"])
@pytest.mark.parametrize(
    ("status", "kept"),
    [("Accepted", [NEW]), ("Rejected", [OLD]), ("RebootRequired", [OLD, NEW])],
)
def test_the_record_follows_what_the_charger_says(version: str, status: str, kept: list[str]) -> None:
    """docs/ocpp.md A24: Accepted retires the old password, a refusal keeps it."""
    world = changing(version)
    message_id = send(world)
    assert world.passwords == [OLD, NEW], "before the charger has it"
    answer(world, message_id, status)
    assert (outcomes(world), world.passwords) == (["result"], kept)
    assert world.closed is None
    kept_beside = json.loads(world.bus.streams["KV_ocpp_chargers"][-1].data)["of_a_newer_release"]
    assert kept_beside == 1


def test_the_password_is_in_the_record_when_the_call_leaves_and_in_no_fact() -> None:
    world = changing()
    world.bus.hold = True
    world.command("ChangeConfiguration", CHANGE)
    steps = []
    while not world.written:
        world.bus.release(1)
        steps.append(world.passwords)
    assert steps[-1] == [OLD, NEW]
    assert NEW.encode() not in b"".join(m.data for m in world.bus.streams["command"])


@pytest.mark.parametrize("kind", [b'[4,"%s","InternalError","",{}]', b'[4,"%s","NotSupported","",{}]'])
def test_a_callerror_keeps_the_old_password(kind: bytes) -> None:
    world = changing()
    message_id = send(world)
    world.raw(kind % message_id.encode())
    assert (outcomes(world), world.passwords) == (["error"], [OLD])


def lost(world: World) -> None:
    world.session.ended()
    assert outcomes(world) == ["lost"]


def timed_out(world: World) -> None:
    world.pass_time(31)
    assert outcomes(world) == ["timeout"]


def unusable(world: World) -> None:
    message_id = world.bus.streams["command"][0].headers["ocpp-message-id"]
    answered(world, message_id, {"status": "Perhaps"})
    assert outcomes(world) == ["bad_result"]


@pytest.mark.parametrize("ends", [lost, timed_out, unusable, kill])
@pytest.mark.parametrize("password", [OLD, NEW])
def test_after_an_unknown_outcome_both_passwords_stay_until_one_logs_in(
    ends: Callable[[World], None], password: str
) -> None:
    world = changing()
    send(world)
    ends(world)
    assert world.passwords == [OLD, NEW]
    login(world, password)
    assert world.passwords == [password]


@pytest.mark.parametrize("password", [OLD, NEW])
def test_a_charger_that_restarts_later_can_log_in_before_and_after(password: str) -> None:
    """RebootRequired: the old one's login proves nothing, the new one's does."""
    world = changing()
    answer(world, send(world), "RebootRequired")
    login(world, OLD)
    assert world.passwords == [OLD, NEW]
    login(world, password)
    assert world.passwords == ([NEW] if password == NEW else [OLD, NEW])
    body = json.loads(world.bus.streams["KV_ocpp_chargers"][-1].data)
    assert body.get("password_change") == (None if password == NEW else "at_reboot")


def test_a_key_that_an_operator_made_counts_when_it_logs_in() -> None:
    """voltgate chargers set --new-key: it is entered in the charger at some later time."""
    world = World()
    world.record(password_hashes=[OLD, NEW], password_change="new_key")
    login(world, OLD)
    assert world.passwords == [OLD, NEW]
    login(world, NEW)
    assert world.passwords == [NEW]
    body = json.loads(world.bus.streams["KV_ocpp_chargers"][-1].data)
    assert "password_change" not in body


@pytest.mark.parametrize(
    ("status", "kept"), [("Accepted", [NEW]), ("Rejected", [OLD, NEW]), ("RebootRequired", [OLD, NEW])]
)
def test_a_key_that_an_operator_made_may_be_sent_by_a_command(status: str, kept: list[str]) -> None:
    world = World()
    world.record(password_hashes=[OLD, NEW], password_change="new_key")
    answer(world, send(world), status)
    assert (outcomes(world), world.passwords) == (["result"], kept)


def test_a_login_that_does_not_know_of_the_restart_removes_nothing() -> None:
    """The charger reconnects while RebootRequired is written, to a process that has the record before."""
    world = changing()
    message_id = send(world)
    stale = Record.model_validate_json(world.bus.streams["KV_ocpp_chargers"][-1].data)
    answer(world, message_id, "RebootRequired")
    known = Known(world.identity, "CP=201", stale, b"", OLD)
    Rotation(world.bus, world.clock, "OCPP", world.hash).logged_in(known)
    world.bus.settle()
    assert world.passwords == [OLD, NEW]


def test_a_restart_that_is_noted_after_a_login_keeps_the_new_password() -> None:
    world = changing()
    before, message_id = world.session, send(world)
    login(world, OLD)
    assert world.passwords == [OLD]
    before.received(world._decode(b'[3,"%s",{"status":"RebootRequired"}]' % message_id.encode()))
    world.bus.settle()
    assert world.passwords == [OLD, NEW]
    login(world, NEW)
    assert world.passwords == [NEW]


@pytest.mark.parametrize("password", [OLD, NEW])
def test_two_passwords_that_an_operator_keeps_stay(password: str) -> None:
    world = World()
    world.record(password_hashes=[OLD, NEW])
    login(world, password)
    assert world.passwords == [OLD, NEW]


@pytest.mark.parametrize("steps", range(1, 9))
@pytest.mark.parametrize(("status", "logs_in"), [("Accepted", NEW), ("Rejected", OLD)])
def test_whenever_the_gateway_is_killed_the_charger_can_log_in(steps: int, status: str, logs_in: str) -> None:
    """One step of NATS at a time, then nothing more."""
    world = changing()
    world.bus.hold = True
    world.command("ChangeConfiguration", CHANGE)
    has = OLD  # what the charger asks for
    for _ in range(steps):
        world.bus.release(1)
        if frames := world.answers():
            has = logs_in
            body = json.dumps({"status": status}).encode()
            world.session.received(world._decode(b'[3,"%s",%s]' % (frames[0][1].encode(), body)))
    kill(world)
    login(world, has)
    assert world.passwords == [has]


@pytest.mark.parametrize(("status", "kept"), [("Accepted", [NEW]), ("Rejected", [OLD])])
def test_a_late_answer_decides_too(status: str, kept: list[str]) -> None:
    world = changing()
    message_id = send(world)
    timed_out(world)
    answer(world, message_id, status)
    assert (outcomes(world), world.passwords) == ([], kept)


def test_a_login_beats_the_answer_that_comes_after_it() -> None:
    world = changing()
    before, message_id = world.session, send(world)
    login(world, NEW)
    before.received(world._decode(b'[3,"%s",{"status":"Rejected"}]' % message_id.encode()))
    world.bus.settle()
    assert world.passwords == [NEW]


def test_the_same_password_again_is_not_added_and_settles_what_is_open() -> None:
    world = changing()
    send(world)
    timed_out(world)
    message_id = send(world)
    assert world.passwords == [OLD, NEW]
    answer(world, message_id, "Accepted")
    assert world.passwords == [NEW]
    answer(world, send(world), "Rejected")
    assert world.passwords == [NEW], "the one in force stays"


@pytest.mark.parametrize("order", range(6))
def test_a_command_that_was_not_sent_takes_nothing_from_its_repeat(order: int) -> None:
    """What the first one still has to write, and what the repeat reads and writes, in any order."""
    world = changing()
    first, again = (Change(_core.token(world.identity), NEW.encode(), False) for _ in range(2))
    rotation = Rotation(world.bus, world.clock, "OCPP", world.hash)
    ends: list[str] = []
    rotation.begin(first, lambda _, fault: ends.append(fault), None)
    world.bus.release()
    world.bus.hold = True
    rotation.settle(first, Verdict.REFUSED)
    rotation.begin(again, lambda _, fault: ends.append(fault), None)
    for step in range(3):
        world.bus.waiting.rotate(order >> step & 1)
        world.bus.release(1)
    world.bus.release()
    world.bus.hold = False
    world.pass_time(1)
    assert ends[0] == ""
    if ends[1]:
        assert world.passwords == [OLD], "it was not sent"
        return
    assert world.passwords == [OLD, NEW], "the charger may have either"
    rotation.settle(again, Verdict.TAKEN)
    world.bus.release()
    assert world.passwords == [NEW]


def test_a_late_refusal_takes_nothing_from_the_repeat() -> None:
    world = changing()
    late = send(world)
    timed_out(world)
    message_id = send(world)
    answer(world, late, "Rejected")
    assert world.passwords == [OLD, NEW], "nobody knows what comes of the repeat"
    answer(world, message_id, "Accepted")
    assert world.passwords == [NEW]


def test_a_third_password_is_not_sent_while_two_are_undecided() -> None:
    world = changing()
    send(world)
    timed_out(world)
    world.command("ChangeConfiguration", CHANGE | {"value": "yet another one!"})
    reply = outcome(world)
    assert reply.headers["ocpp-outcome"] == "unavailable"
    assert "two passwords are kept" in json.loads(reply.data)["reason"]
    assert (world.answers(), world.passwords) == ([], [OLD, NEW])


def test_a_record_that_cannot_be_written_sends_nothing() -> None:
    world = changing()
    world.bus.fails.add("KV_ocpp_chargers")
    world.command("ChangeConfiguration", CHANGE)
    assert (outcomes(world), world.answers(), world.passwords) == (["unavailable"], [], [OLD])


@pytest.mark.parametrize(("others", "ends"), [(1, []), (TRIES - 1, []), (TRIES, ["unavailable"])])
def test_a_record_that_others_write_meanwhile_is_written_again(others: int, ends: list[str]) -> None:
    """Compare-and-set: nobody's change is lost."""
    world = changing()
    left = others
    store = world.bus._ack

    def somebody_is_first(class_: str, message: Any) -> Ack | NotStored:
        nonlocal left
        if class_ == "KV_ocpp_chargers" and left:
            left -= 1
            world.record(password_hashes=[OLD], quirks=["no_ping"])
        return store(class_, message)

    world.bus._ack = somebody_is_first  # type: ignore[method-assign]
    world.command("ChangeConfiguration", CHANGE)
    world.pass_time(1)
    assert (outcomes(world), world.passwords) == (ends, [OLD] if ends else [OLD, NEW])
    assert json.loads(world.bus.streams["KV_ocpp_chargers"][-1].data)["quirks"] == ["no_ping"]


def test_an_operator_who_sets_another_password_meanwhile_has_the_last_word() -> None:
    world = changing()
    message_id = send(world)
    world.record(password_hashes=["an operator's"])
    answer(world, message_id, "Accepted")
    assert world.passwords == ["an operator's"]


def test_a_charger_without_record_is_sent_the_password_and_gets_no_record() -> None:
    world = World()
    answer(world, send(world), "Accepted")
    assert outcomes(world) == ["result"]
    assert "KV_ocpp_chargers" not in world.bus.streams


def test_what_ends_before_the_call_leaves_takes_the_password_out_again() -> None:
    world = changing(half_duplex=True)
    world.bus.hold = True
    world.command("ChangeConfiguration", CHANGE)
    world.bus.release(4)  # the link, the fact, the record read and hashed
    world.send("1", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
    world.bus.release(1)
    assert (world.passwords, world.answers()) == ([OLD, NEW], [])
    world.session.leave(Reason.DRAIN)
    world.bus.release()
    assert (outcomes(world), world.passwords) == (["gone"], [OLD])


def test_two_passwords_in_one_command_are_refused() -> None:
    world = changing("v201")
    world.command("SetVariables", variables("one password 16c", "two password 16c"))
    assert outcome(world).headers["ocpp-outcome"] == "invalid"
    assert (world.answers(), world.passwords) == ([], [OLD])
