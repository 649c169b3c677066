"""What must not get lost: the outbox and the one open CALL, over real sockets (docs/ocpp.md A8, C)."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from listening import listening
from scripted_csms import (
    CLOSE,
    ERROR,
    NOW,
    QUICK,
    SILENCE,
    Call,
    Csms,
    Decision,
    accept,
    conversation,
    emptied,
    new,
    ready,
    wait_until,
)
from voltgate.charger import Answer, Line, Observer, Queued, Unanswered

DELIVERY = [
    ([], 1, 0, "answered at once"),
    ([ERROR, ERROR], 3, 0, "two CALLERRORs are two failed attempts, the third is taken"),
    ([SILENCE, ERROR], 3, 0, "no answer is a failed attempt"),
    ([ERROR, ERROR, ERROR], 3, 1, "after the last attempt it is dropped"),
    ([CLOSE] * 5, 6, 0, "the end of a connection is not an attempt: the charger was offline"),
    ([ERROR, CLOSE, ERROR], 4, 0, "failed attempts are remembered across connections"),
]


@pytest.mark.parametrize("reuse_ids", [False, True])
@pytest.mark.parametrize(("script", "sends", "dropped", "why"), DELIVERY)
async def test_a_transaction_message_is_sent_until_it_is_taken_or_given_up(
    script: list[str], sends: int, dropped: int, why: str, reuse_ids: bool
) -> None:
    left = list(script)
    settled: list[tuple[str, int]] = []

    class Listening(Observer):
        def answered(self, line: Line, call: Queued, answer: Answer) -> None:
            if call.action == "StartTransaction":
                settled.append((answer.code, call.sends))

    def decide(call: Call) -> Decision:
        return left.pop(0) if call.action == "StartTransaction" and left else accept(call)

    behaviour = replace(QUICK, reuse_ids=reuse_ids, answer_timeout=0.5 if SILENCE in script else 5)
    async with conversation("v16", decide, behaviour, observer=Listening()) as (
        charger,
        csms,
    ):
        await ready(charger)
        await charger.connectors.charge(1, readings=1)
        await emptied(charger)
        seen = charger.tally  # a Heartbeat may be open at the end
        await wait_until(
            lambda: seen.sent == seen.answered + seen.callerror + seen.invalid + seen.timeout + seen.lost
        )

    starts = csms.all("StartTransaction")
    assert (len(starts), charger.tally.given_up) == (sends, dropped), why
    assert len({call.id for call in starts}) == (1 if reuse_ids else sends)
    assert all(call.payload == starts[0].payload for call in starts), "a resend is identical"
    order = [call.action for call in csms.all("StartTransaction", "MeterValues", "StopTransaction")]
    assert order == ["StartTransaction"] * sends + ["MeterValues", "StopTransaction"], "new ones wait"
    stop = csms.all("StopTransaction")[0].payload
    assert stop["transactionId"] == (-1 if dropped else 7), "without an answer there is no id"
    failed = [index for index, what in enumerate(script) if what in {ERROR, SILENCE}]
    for earlier, index in enumerate(failed[: sends - 1], 1):
        waited = starts[index + 1].at - starts[index].at
        assert waited >= QUICK.retry_interval * earlier * 0.95, "interval x number of earlier sends"
    assert settled[-1] == (("InternalError", 3) if dropped else ("", sends))


@pytest.mark.parametrize("version", ["v201", "v21"])
async def test_an_answer_that_cannot_be_processed_is_no_answer(version: str) -> None:
    """2.1 reports it in a CALLRESULTERROR (docs/ocpp.md A13)."""
    left = [{"totalCost": "much"}]

    def decide(call: Call) -> Decision:
        return left.pop() if call.action == "TransactionEvent" and left else accept(call)

    async with conversation(version, decide) as (charger, csms):
        await ready(charger)
        await charger.connectors.charge(1, readings=0)
        await emptied(charger)
        events = csms.all("TransactionEvent")
        assert [event.payload["seqNo"] for event in events] == [0, 0, 1]
        found = csms.answers.get(events[0].id, [None])
        assert found[0] == (5 if version == "v21" else None)
        assert charger.tally.invalid == 1


async def test_other_messages_wait_for_nothing_and_are_not_kept() -> None:
    """A transaction message that waits for its next attempt does not hold up a StatusNotification."""

    def decide(call: Call) -> Decision:
        return ERROR if call.action == "MeterValues" else accept(call)

    async with conversation("v16", decide, replace(QUICK, retry_interval=3600)) as (charger, csms):
        await ready(charger)
        charger.connectors.read(1)
        await csms.wait_for("MeterValues")
        answer = await charger.call("DataTransfer", {"vendorId": "x"})
        assert isinstance(answer, Answer)
        assert answer.code == ""
        assert len(charger.outbox) == 1
        await csms.stop()
        await wait_until(lambda: not charger.ready)
        assert await charger.call("Heartbeat", {}) is Unanswered.LOST


async def test_offline_messages_are_sent_later_in_order_and_marked() -> None:
    async with conversation("v201") as (charger, csms):
        await ready(charger)
        await csms.stop()
        await wait_until(lambda: not charger.ready)
        assert await charger.connectors.charge(1, readings=1) is not None
        assert len(charger.outbox) == 3
        assert not csms.all("TransactionEvent")
        await csms.start()
        await emptied(charger)
        events = csms.all("TransactionEvent")
        assert [(event.payload["seqNo"], event.payload["offline"]) for event in events] == [
            (0, True),
            (1, True),
            (2, True),
        ]
        assert len(csms.all("BootNotification")) == 1, "no boot after a reconnect (J16 5.4)"


async def test_one_call_is_open_at_a_time() -> None:
    """docs/ocpp.md A8, also with many waiting CALLs: the next one follows the answer."""
    async with conversation("v16") as (charger, csms):
        await ready(charger)
        await csms.wait_for("StatusNotification")
        csms.decide = lambda call: SILENCE if call.action == "Heartbeat" else accept(call)
        async with asyncio.TaskGroup() as speakers:
            for action in ("Heartbeat", "DataTransfer"):
                payload = {"vendorId": "x"} if action == "DataTransfer" else {}
                speakers.create_task(charger.call(action, payload))
            beat = await csms.wait_for("Heartbeat")
            assert (await csms.command("GetLocalListVersion", {}))[2] == {"listVersion": 0}, (
                "the other way is open"
            )
            assert not csms.all("DataTransfer")
            await csms.sockets[-1].send(orjson.dumps([3, beat.id, {"currentTime": NOW}]).decode())
            await csms.wait_for("DataTransfer")


async def test_with_several_addresses_one_is_chosen_at_random_and_the_outbox_is_kept() -> None:
    """As behind a load balancer: a message left unanswered by one CSMS is sent to another one."""
    one, two = Csms(lambda call: CLOSE if call.action == "MeterValues" else accept(call)), Csms()
    urls = [await one.start(), await two.start()]
    charger = new(urls, "v16")
    charger.start()
    await ready(charger)
    while not (one.all("MeterValues") and two.all("MeterValues")):
        charger.connectors.read(1)
        await emptied(charger)
        charger.hang_up()
    await charger.stop()
    await one.stop()
    await two.stop()
    unheard = [call.payload for call in one.all("MeterValues")]
    assert all(payload in [call.payload for call in two.all("MeterValues")] for payload in unheard)


# A charger cannot hang: it redials whatever its peer stops doing


class Peer:
    """A TCP proxy that stays connected and drops all bytes while it is frozen."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.frozen = False
        self.links = 0
        self._backs: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            self._backs.append(back)
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                if not self.frozen:
                    target.write(data)
        if not self.frozen:
            target.close()

    def close(self) -> None:
        for back in self._backs:
            back.transport.abort()


STOPPAGES = ["before the upgrade", "in the boot", "with a CALL open", "in the Close handshake"]


@pytest.mark.parametrize("when", STOPPAGES)
async def test_a_peer_that_falls_silent_is_left_and_dialled_again(when: str) -> None:
    """Half-open: TCP stays connected, nothing comes back. The charger has neither pings nor heartbeats."""
    behaviour = replace(QUICK, answer_timeout=0.1, ping_timeout=0.1, open_timeout=0.1, attempts=1_000)

    def decide(call: Call) -> Decision:
        if when == "in the boot" and call.action == "BootNotification" and peer.links == 1:
            peer.frozen = True
        if when == "with a CALL open" and call.action == "MeterValues" and peer.links == 1:
            peer.frozen = True
        return accept(call)

    csms = Csms(decide)
    peer = Peer(urlsplit(await csms.start()).port or 0)
    peer.frozen = when == "before the upgrade"
    async with listening(peer) as port:
        charger = new(f"ws://127.0.0.1:{port}/ocpp", "v16", behaviour)
        charger.start()
        if when == "in the Close handshake":
            await ready(charger)
            peer.frozen = True
            charger.hang_up()
        charger.connectors.read(1)
        await wait_until(lambda: peer.links > 1)
        peer.frozen = False
        await emptied(charger)
        assert csms.all("MeterValues")[-1].payload == csms.all("MeterValues")[0].payload
        await charger.stop()
        peer.close()
    await csms.stop()


async def test_an_observer_that_fails_costs_a_connection_and_not_the_charger() -> None:
    class Failing(Observer):
        failures = 0

        def answered(self, line: Line, call: Queued, answer: Answer) -> None:
            if call.kept and not self.failures:
                self.failures += 1
                raise RuntimeError("once")

    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    async with conversation("v16", observer=Failing()) as (charger, csms):
        await ready(charger)
        charger.connectors.read(1)
        await emptied(charger)
        assert len(csms.sockets) == 2
        assert [str(error) for error in errors] == ["once"]
