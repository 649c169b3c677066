"""One process of ``voltgate swarm``, with a scripted CSMS. The command: ``cli/swarm/test_command.py``."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from processes import PATIENCE
from scripted_csms import OK, SILENCE, VERSIONS, Call, Csms, accept, wait_until
from voltgate.charger.plan import Plan, rate_at
from voltgate.charger.swarm import Swarm
from voltgate.charger.tally import Latencies, Tally


@asynccontextmanager
async def stations(csms: Csms, *versions: str, url: str = "", **plan: Any) -> AsyncIterator[Swarm]:
    """Connected, or trying to; all ends with the block."""
    chargers: list[tuple[str, str, str | None, str]] = [
        (f"S {number}", version, None, "") for number, version in enumerate(versions)
    ]
    there = await csms.start()
    made = Swarm(Plan(url=url or there, chargers=chargers, connect_rate=1000, storm_spread=0, **plan))
    await made.connect()
    try:
        yield made
    finally:
        made.hurry(0)
        await made.finish()
        await made.leave()
        await csms.stop()


async def joined(made: Swarm, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        await wait_until(lambda: made.report().joined >= count)


def balanced(tally: Tally) -> bool:
    """Every CALL has one end."""
    ends = (tally.answered, tally.callerror, tally.invalid, tally.timeout, tally.lost, tally.interrupted)
    return tally.sent == sum(ends)


async def test_a_slow_answer_does_not_slow_the_plan_and_is_counted_from_when_it_was_due() -> None:
    async def slowly(seconds: float) -> None:
        await asyncio.sleep(seconds)

    class Slow(Csms):
        async def _answer(self, socket: Any, call: Call) -> None:
            await slowly(0.05)
            await super()._answer(socket, call)

    async with stations(Slow(), "v201", rate=100) as made:
        await joined(made)
        made.load()
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: made.tally.due >= 60)
        answered = len(made.tally.load)
        assert answered < 30, "the plan is far ahead of a CSMS that answers 20 a second"
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.unanswered == 0, "and yet every CALL of it was made"
        assert made.tally.due == len(made.tally.load)
        assert made.tally.load.longest > 1.0, "the wait of a CALL is included"
        assert balanced(made.tally)


@pytest.mark.parametrize("version", VERSIONS)
async def test_its_messages_are_valid_and_in_order(version: str) -> None:
    csms = Csms()  # checks every request against its schema
    async with stations(csms, version, rate=200) as made:
        await joined(made)
        made.load()
        spoken = {"MeterValues", "StatusNotification", "Heartbeat", "BootNotification"}
        spoken = spoken if version == "v16" else spoken - {"MeterValues"} | {"TransactionEvent"}
        await csms.until(lambda: {call.action for call in csms.received} >= spoken)
        assert [call.action for call in csms.received[:3]] == ["BootNotification"] + [
            "StatusNotification"
        ] * 2
        ends = "StopTransaction" if version == "v16" else "TransactionEvent"
        await csms.until(
            lambda: any(version == "v16" or c.payload["eventType"] == "Ended" for c in csms.all(ends))
        )
        if version == "v16":
            assert {call.payload["transactionId"] for call in csms.all(ends)} == {7}, "what the CSMS gave"
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.errors == 0
        assert balanced(made.tally)


async def test_with_faults_the_plan_goes_on_and_every_planned_call_is_counted() -> None:
    """A Heartbeat is in the place of a message that a fault has dropped."""
    csms = Csms()
    async with stations(csms, "v16", "v201", rate=200, faults=("start_lost", "stop_lost")) as made:
        await joined(made, 2)
        made.load()
        await csms.until(lambda: len(csms.received) > 200)
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.errors == 0
        assert made.tally.due == len(made.tally.load)
        assert csms.all("StartTransaction", "StopTransaction") == []
        events = {call.payload["eventType"] for call in csms.all("TransactionEvent")}
        assert events == {"Updated"}


async def test_a_refused_upgrade_is_repeated_after_retry_after() -> None:
    class Busy(Csms):
        async def _admit(self, socket: Any, request: Any) -> Any:
            response = await super()._admit(socket, request)
            if response is not None:
                response.headers["Retry-After"] = "0"
            return response

    csms = Busy()
    csms.refuse = 2
    async with stations(csms, "v16") as made:
        await joined(made)
        assert made.tally.refused == {"HTTP 503": 2}
        assert made.tally.errors == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_storm_cuts_off_is_sent_again_after_boot_and_statuses(version: str) -> None:
    start = "StartTransaction" if version == "v16" else "TransactionEvent"

    def decide(call: Call) -> Any:
        return SILENCE if call.action == start and len(csms.all(start)) == 1 else accept(call)

    csms = Csms(decide)
    async with stations(csms, version) as made:
        first = await csms.wait_for(start)
        made.storm()
        again = await csms.wait_for(start, 2)
        assert (again.payload, again.id != first.id) == (first.payload, True), "same body, new id"
        actions = [call.action for call in csms.received]
        assert actions[4:7] == ["BootNotification", "StatusNotification", "StatusNotification"]
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: balanced(made.tally))
        assert (made.tally.interrupted, made.tally.errors, len(made.tally.storm)) == (1, 0, 3)


async def test_the_plan_goes_on_when_the_csms_ends_a_transaction() -> None:
    csms = Csms()
    async with stations(csms, "v16", rate=200) as made:
        await csms.wait_for("StartTransaction")
        await wait_until(lambda: len(made.tally.start) >= 3 and made.tally.answered >= 4)
        answer = await csms.command("RemoteStopTransaction", {"transactionId": 7})
        assert answer[2] == {"status": "Accepted"}
        assert (await csms.wait_for("StopTransaction")).payload["reason"] == "Remote"
        made.load()
        await csms.wait_for("StartTransaction", 2)
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.errors == 0
        assert balanced(made.tally)


async def test_a_call_without_an_answer_counts_at_its_age_in_every_percentile() -> None:
    def decide(call: Call) -> Any:
        return SILENCE if call.action == "Heartbeat" else accept(call)

    async with stations(Csms(decide), "v16", rate=50, mix={"heartbeat": 1}) as made:
        await joined(made)
        made.load()
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: made.tally.due >= 30)
        assert len(made.tally.load) == 0, "the first is open, the others wait behind it"
        made.hurry(0.1)
        await made.finish()
        tally = made.tally
        assert tally.unanswered == tally.due == len(tally.load) == len(tally.actions["Heartbeat"])
        assert tally.failed["Heartbeat"] == tally.due
        assert tally.load.percentile(0.5) > 0.1
        assert tally.open == 0


async def test_the_plan_does_not_pass_over_a_busy_charger() -> None:
    def decide(call: Call) -> Any:
        return SILENCE if call.identity == "S%200" and call.action == "Heartbeat" else accept(call)

    async with stations(Csms(decide), "v16", "v16", rate=400, mix={"heartbeat": 1}) as made:
        await joined(made, 2)
        made.load()
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: made.tally.due >= 200)
        assert made.tally.open > 50, "half of the calls were due at the charger that gets no answer"
        made.hurry(0)


async def test_a_half_open_socket_stays_open_until_the_csms_closes_it() -> None:
    csms = Csms()
    async with stations(csms, "v16") as made:
        await joined(made)
        made.silence(1.0)
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: len(csms.sockets) == 2)
            await wait_until(lambda: len(made.tally.back) == 1)
            assert (made.tally.silent, len(made.tally.noticed), made.tally.disconnects) == (1, 0, 0)
            csms.sockets[0].transport.close()
            await wait_until(lambda: len(made.tally.noticed) == 1)
        assert made.tally.back.longest >= 1.0, "a router does not come back at once"
        assert len(csms.all("BootNotification")) == 2


async def test_calls_that_the_swarm_itself_delayed_do_not_count_as_those_of_the_load() -> None:
    csms = Csms()
    async with stations(csms, "v16", rate=100, reconnect_rate=5.0, mix={"heartbeat": 1}) as made:
        await joined(made)
        made.load()
        async with asyncio.timeout(PATIENCE):
            await wait_until(lambda: len(made.tally.away) > 0)
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.due == len(made.tally.load) + len(made.tally.away)
        assert made.tally.away.longest > 0.5
        assert made.tally.load.longest < 0.5


async def test_boots_that_are_not_accepted_are_counted_by_status() -> None:
    pending = OK["BootNotification"] | {"status": "Pending", "interval": 1}

    def decide(call: Call) -> Any:
        return pending if call.action == "BootNotification" and len(csms.received) < 2 else accept(call)

    csms = Csms(decide)
    async with stations(csms, "v201") as made:
        await joined(made)
        assert made.tally.boots == {"Pending": 1}


async def test_tls_to_a_port_without_it_is_a_refusal_that_says_so() -> None:
    csms = Csms()
    plain = await csms.start()
    try:
        async with (
            stations(Csms(), "v16", url=plain.replace("ws:", "wss:")) as made,
            asyncio.timeout(PATIENCE),
        ):
            await wait_until(lambda: made.tally.refused.total() >= 1)
        assert all(reason.startswith(("TLS: ", "Connection")) for reason in made.tally.refused), (
            made.tally.refused
        )
    finally:
        await csms.stop()


async def test_a_recording_is_repeated_by_its_chargers_at_their_times(tmp_path: Any) -> None:
    lines = [
        {"at": 10.0 + number, "identity": "S 0", "version": "v16", "action": "Heartbeat", "payload": {}}
        for number in range(4)
    ]
    (tmp_path / "frames").write_text("\n".join(map(json.dumps, lines)))
    csms = Csms()
    async with stations(csms, "v16", "v16", replay=str(tmp_path / "frames"), speed=20.0) as made:
        await joined(made, 2)
        made.load()
        await csms.wait_for("Heartbeat", 4)
        first, *_, last = csms.all("Heartbeat")
        assert 0.1 < last.at - first.at < PATIENCE
        assert {call.identity for call in csms.all("Heartbeat")} == {"S%200"}
        assert csms.all("StartTransaction") == [], "nothing is planned beside the recording"
        made.hurry(PATIENCE)
        await made.finish()
        assert made.tally.due == len(made.tally.load) == 4


@pytest.mark.parametrize(
    ("seconds", "rate"), [(-1, 10), (0, 10), (5, 15), (10, 20), (15, 10), (20, 0), (99, 0)]
)
def test_a_profile_is_linear_between_its_points(seconds: float, rate: float) -> None:
    assert rate_at([(0, 10), (10, 20), (20, 0)], seconds) == rate


def test_latencies_since_an_earlier_state_are_those_added_after_it() -> None:
    before, after = Latencies(), Latencies()
    for latencies, times in ((before, [1.0, 2.0]), (after, [1.0, 2.0, 0.01])):
        for seconds in times:
            latencies.add(seconds)
    found = after.since(before)
    assert len(found) == 1
    assert found.percentile(1.0) == pytest.approx(0.01, rel=0.03)
    assert found.longest < 0.011


def test_tallies_of_processes_add_up_as_json() -> None:
    one, other = Tally(sent=2, answered=1), Tally(sent=3)
    one.load.add(0.1)
    other.load.add(0.3)
    other.refused["HTTP 503"] += 4
    one.merge(json.loads(json.dumps(other.dump())))
    assert (one.sent, one.answered, one.refused) == (5, 1, {"HTTP 503": 4})
    assert (len(one.load), one.load.longest) == (2, 0.3)
    assert one.load.percentile(0.5) == pytest.approx(0.1, rel=0.03)
    assert one.load.percentile(1.0) == 0.3, "never above the longest"
