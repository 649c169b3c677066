"""The life of a simulated charger, with mobilityhouse's central system and with a CSMS by script."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from types import ModuleType
from typing import Any

import ocpp.v16
import ocpp.v21
import ocpp.v201
import orjson
import pytest
import trustme
from ocpp.routing import on
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from scripted_csms import (
    ERROR,
    NOW,
    QUICK,
    SILENCE,
    VERSIONS,
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
from voltgate.charger import Latencies, run_chargers
from voltgate.charger.link import Phase
from voltgate.schemas import SUBPROTOCOLS

# With strangers: mobilityhouse's central system validates every request and answer by itself


def central_system(v: ModuleType) -> Any:
    """A ChargePoint object of theirs is the CSMS's end of one connection."""
    answer = v.call_result
    idtoken = {"status": "Accepted"}
    now = datetime.now(UTC).isoformat()

    class CentralSystem(v.ChargePoint):  # type: ignore[name-defined]
        @on("BootNotification")
        def boot(self, **_: Any) -> Any:
            return answer.BootNotification(current_time=now, interval=300, status="Accepted")

        @on("Heartbeat")
        def heartbeat(self, **_: Any) -> Any:
            return answer.Heartbeat(current_time=now)

        @on("StatusNotification")
        def status(self, **_: Any) -> Any:
            return answer.StatusNotification()

        @on("MeterValues")
        def meter(self, **_: Any) -> Any:
            return answer.MeterValues()

        @on("Authorize")
        def authorize(self, **_: Any) -> Any:
            name = "id_tag_info" if v is ocpp.v16 else "id_token_info"
            return answer.Authorize(**{name: idtoken})

        if v is ocpp.v16:

            @on("StartTransaction")
            def start_transaction(self, **_: Any) -> Any:
                return answer.StartTransaction(transaction_id=42, id_tag_info=idtoken)

            @on("StopTransaction")
            def stop_transaction(self, **_: Any) -> Any:
                return answer.StopTransaction()

        else:

            @on("TransactionEvent")
            def event(self, id_token: Any = None, **_: Any) -> Any:
                return answer.TransactionEvent(id_token_info=idtoken if id_token else None)

    return CentralSystem


COMMANDS: dict[ModuleType, list[tuple[Any, str]]] = {
    ocpp.v16: [
        (ocpp.v16.call.ChangeConfiguration(key="HeartbeatInterval", value="1"), "Accepted"),
        (ocpp.v16.call.TriggerMessage(requested_message="Heartbeat"), "Accepted"),
        (ocpp.v16.call.UnlockConnector(connector_id=1), "Unlocked"),
        (ocpp.v16.call.RemoteStartTransaction(id_tag="AB"), "Accepted"),
    ],
    **{
        v: [
            (v.call.TriggerMessage(requested_message="Heartbeat"), "Accepted"),
            (v.call.UnlockConnector(evse_id=1, connector_id=1), "Unlocked"),
            (
                v.call.RequestStartTransaction(
                    id_token={"idToken": "AB", "type": "Local"}, remote_start_id=9
                ),
                "Accepted",
            ),
            (v.call.RequestStopTransaction(transaction_id="not this one"), "Rejected"),
        ]
        for v in (ocpp.v201, ocpp.v21)
    },
}


@pytest.mark.parametrize("v", COMMANDS, ids=lambda v: v.__name__)
async def test_a_whole_conversation_with_mobilityhouse_s_central_system(v: ModuleType) -> None:
    """Boot, status, clock reading, a transaction, heartbeats, commands: valid by their validation too."""
    version = v.__name__.rpartition(".")[2]
    received: list[str] = []
    connected: asyncio.Queue[Any] = asyncio.Queue()
    system = central_system(v)

    class Listening(system):  # type: ignore[misc, valid-type]
        async def route_message(self, raw_msg: str) -> None:
            frame = orjson.loads(raw_msg)
            if frame[0] == 2:
                received.append(frame[3].get("eventType") or frame[2])
            await super().route_message(raw_msg)

    async def hear(socket: ServerConnection) -> None:
        point = Listening("CP1", socket)
        connected.put_nowait(point)
        with suppress(ConnectionClosed):
            await point.start()

    async with serve(hear, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOLS[version])]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        charger = new(f"ws://127.0.0.1:{port}", version)
        charger.start()
        point = await connected.get()
        await ready(charger)
        charger.connectors.read(1)
        tx = await charger.connectors.charge(1, "CARD", readings=2)
        assert tx is not None
        await emptied(charger)
        for command, status in COMMANDS[v]:
            assert (await point.call(command, suppress=False)).status == status, command
        await wait_until(lambda: charger.connectors.transactions)
        await charger.stop()

    first, last = ("StartTransaction", "StopTransaction") if version == "v16" else ("Started", "Ended")
    assert received[0] == "BootNotification"
    assert received.index("Authorize") < received.index(first) < received.index(last)
    assert {"StatusNotification", "MeterValues", "Heartbeat"} <= set(received)
    assert (charger.tally.callerror, charger.tally.invalid, charger.tally.timeout) == (0, 0, 0)
    assert charger.tally.commands == len(COMMANDS[v])
    assert version != "v16" or tx.id == 42, "1.6: the id is what the CSMS gave"


# Transactions


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_transaction_has_its_messages_in_order(version: str) -> None:
    async with conversation(version) as (charger, csms):
        await ready(charger)
        tx = await charger.connectors.charge(1, "CARD", readings=2)
        await emptied(charger)
        await wait_until(lambda: statuses(csms)[-1] == "Available")
        assert tx is not None
    if version == "v16":
        found = csms.all("StartTransaction", "MeterValues", "StopTransaction")
        assert [call.action for call in found] == [
            "StartTransaction",
            "MeterValues",
            "MeterValues",
            "StopTransaction",
        ]
        assert found[0].payload["idTag"] == "CARD"
        assert {call.payload["transactionId"] for call in found[1:]} == {7}, "the id the CSMS gave"
        assert found[0].payload["meterStart"] < found[-1].payload["meterStop"]
    else:
        found = csms.all("TransactionEvent")
        assert [call.payload["eventType"] for call in found] == ["Started", "Updated", "Updated", "Ended"]
        assert [call.payload["seqNo"] for call in found] == [0, 1, 2, 3]
        assert {call.payload["transactionInfo"]["transactionId"] for call in found} == {tx.id}
        assert [call.payload.get("idToken", {}).get("idToken") for call in found] == [
            "CARD",
            None,
            None,
            None,
        ]
    states = statuses(csms)
    assert (states[0], states[-1]) == ("Available", "Available")
    assert ("Charging" if version == "v16" else "Occupied") in states


def statuses(csms: Csms) -> list[Any]:
    """What connectors were said to be, in order."""
    calls = csms.all("StatusNotification")
    return [call.payload.get("status", call.payload.get("connectorStatus")) for call in calls]


REFUSED = {"v16": {"idTagInfo": {"status": "Blocked"}}, "v201": {"idTokenInfo": {"status": "Blocked"}}}


@pytest.mark.parametrize("version", ["v16", "v201"])
async def test_a_refused_card_starts_no_transaction(version: str) -> None:
    def decide(call: Call) -> Decision:
        return REFUSED[version] if call.action == "Authorize" else accept(call)

    async with conversation(version, decide) as (charger, csms):
        await ready(charger)
        assert await charger.connectors.charge(1) is None
        assert not csms.all("StartTransaction", "TransactionEvent")


@pytest.mark.parametrize("version", ["v16", "v201"])
async def test_a_token_that_is_refused_after_the_start_ends_the_transaction(version: str) -> None:
    def decide(call: Call) -> Decision:
        if call.action == "StartTransaction":
            return {"transactionId": 3, **REFUSED["v16"]}
        if call.action == "TransactionEvent" and "idToken" in call.payload:
            return REFUSED["v201"]
        return accept(call)

    async with conversation(version, decide) as (charger, csms):
        await ready(charger)
        tx = await charger.connectors.charge(1, readings=1_000_000)
        await emptied(charger)
        assert tx is not None
        assert tx.stopped == "DeAuthorized"
        last = csms.all("StopTransaction", "TransactionEvent")[-1].payload
        assert last.get("reason", last.get("transactionInfo", {}).get("stoppedReason")) == "DeAuthorized"


# Boot and connection


@pytest.mark.parametrize("status", ["Pending", "Rejected", ERROR, SILENCE])
async def test_before_it_is_accepted_a_charger_only_asks_again(status: str) -> None:
    left = [status] * 2

    def decide(call: Call) -> Decision:
        if call.action != "BootNotification" or not left:
            return accept(call)
        now = left.pop()
        return now if now in {ERROR, SILENCE} else {"status": now, "currentTime": NOW, "interval": 50}

    behaviour = replace(QUICK, answer_timeout=0.5 if status == SILENCE else 5)
    async with conversation("v21", decide, behaviour) as (charger, csms):
        charger.connectors.read(1)
        await emptied(charger)
        assert [call.action for call in csms.received[:3]] == ["BootNotification"] * 3
        if status in {"Pending", "Rejected"}:
            assert csms.received[1].at - csms.received[0].at >= 0.045, "at the interval the CSMS gave"
        assert charger.registration == "Accepted"


async def test_a_trigger_while_pending_boots_at_once() -> None:
    left = ["Pending"]

    def decide(call: Call) -> Decision:
        if call.action == "BootNotification" and left:
            return {"status": left.pop(), "currentTime": NOW, "interval": 3_000_000}
        return accept(call)

    async with conversation("v16", decide) as (charger, csms):
        await wait_until(lambda: charger.registration == "Pending")
        assert (await csms.command("RemoteStartTransaction", {"idTag": "A"}))[2] == {"status": "Rejected"}
        answer = await csms.command("TriggerMessage", {"requestedMessage": "BootNotification"})
        assert answer[2] == {"status": "Accepted"}
        await ready(charger)


async def test_heartbeats_come_at_the_interval_of_the_boot_answer() -> None:
    async with conversation("v16", behaviour=replace(QUICK, heartbeat=None, second=0.0001)) as (_, csms):
        first, second = await csms.wait_for("Heartbeat"), await csms.wait_for("Heartbeat", 2)
        assert second.at - first.at >= 0.0285, "300 seconds of this charger"


async def test_back_off_doubles_and_starts_again_after_a_connection() -> None:
    """docs/ocpp.md A19."""
    csms = Csms()
    csms.refuse = 4
    behaviour = replace(QUICK, back_off_minimum=0.02, back_off_random=0.001)
    charger = new(await csms.start(), "v16", behaviour)
    charger.start()
    await ready(charger)
    charger.hang_up()
    await csms.until(lambda: len(csms.handshakes) == 6)
    await charger.stop()
    await csms.stop()
    times = [at for at, _ in csms.handshakes]
    waits = [later - earlier for earlier, later in pairwise(times)]
    for waited, least in zip(waits[:4], [0.02, 0.04, 0.08, 0.08], strict=True):
        assert waited >= least * 0.95, "doubled twice, then the same"
    assert charger.tally.refused.total() == 4


async def test_a_charger_that_stops_while_it_connects_stays_stopped() -> None:
    """The last answer of a connect that arrives behind the Close does not make it ready again."""
    stopping: list[asyncio.Task[None]] = []
    last = 0

    def decide(call: Call) -> Decision:
        if last and len(csms.all("StatusNotification")) == last:
            stopping.append(asyncio.create_task(charger.stop()))
        return accept(call)

    csms = Csms(decide)
    charger = new(await csms.start(), "v16")
    charger.start()
    await ready(charger)
    last = 2 * len(csms.all("StatusNotification"))
    charger.hang_up()
    await csms.until(lambda: stopping)
    async with asyncio.timeout(10):
        await stopping[0]
    charger.drop(0)
    assert not charger.connected
    assert charger.phase is Phase.STOPPED
    await csms.stop()
    assert len(csms.handshakes) == 2


async def test_without_its_subprotocol_a_charger_sends_nothing() -> None:
    csms = Csms()
    csms.subprotocols = None
    charger = new(await csms.start(), "v16")
    charger.start()
    await csms.until(lambda: len(csms.handshakes) == 2)
    await charger.stop()
    await csms.stop()
    assert charger.tally.refused.total() >= 1
    assert charger.tally.sent == 0


async def test_the_handshake_carries_identity_subprotocol_and_raw_password() -> None:
    async with conversation("v201", password=b"\x00\xff:secret-secret!", source="127.0.0.2") as (
        charger,
        csms,
    ):
        await ready(charger)
        _, request = csms.handshakes[0]
        assert request.path == "/ocpp/CP%201"
        assert request.headers["Sec-WebSocket-Protocol"] == "ocpp2.0.1"
        assert (
            b64decode(request.headers["Authorization"].removeprefix("Basic "))
            == b"CP 1:\x00\xff:secret-secret!"
        )
        assert csms.sockets[0].remote_address[0] == "127.0.0.2"


async def test_tls_is_checked_against_the_context_given() -> None:
    authority = trustme.CA()
    csms, trusting = Csms(), ssl.create_default_context()
    csms.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(csms.tls)
    authority.configure_trust(trusting)
    url = await csms.start()
    stranger, friend = (
        new(url, "v21", identity=name, ssl=tls) for name, tls in [("A", None), ("B", trusting)]
    )
    stranger.start()
    friend.start()
    await ready(friend)
    await wait_until(lambda: stranger.tally.refused)
    await stranger.stop()
    await friend.stop()
    await csms.stop()
    assert {call.identity for call in csms.received} == {"B"}


async def test_stop_closes_cleanly() -> None:
    async with conversation("v16") as (charger, csms):
        await ready(charger)
        await charger.stop()
        await csms.until(lambda: csms.closed)
        assert csms.closed == [1000]


# Many


async def test_a_fleet_of_mixed_versions_lives() -> None:
    lively = replace(QUICK, idle=(0.0, 0.05), charging=(0.02, 0.05), heartbeat=0.05)
    csms = Csms()
    identities = ["CP001", "CP002", "CP003", "CP004"]
    fleet = asyncio.create_task(run_chargers(await csms.start(), 4, lively))

    def ended(identity: str) -> Iterable[Call]:
        return [
            c
            for c in csms.received
            if c.identity == identity
            and (c.action == "StopTransaction" or c.payload.get("eventType") == "Ended")
        ]

    await csms.until(lambda: all(ended(identity) for identity in identities))
    fleet.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fleet
    await csms.until(lambda: len(csms.closed) == 4)
    await csms.stop()
    assert set(csms.closed) == {1000}
    assert {call.subprotocol for call in csms.received} == set(SUBPROTOCOLS.values())


def test_latencies_are_counted_within_two_percent() -> None:
    latencies = Latencies()
    for ms in range(1, 1001):
        latencies.add(ms / 1000)
    for share in (0.5, 0.95, 0.99):
        assert latencies.percentile(share) == pytest.approx(share, rel=0.021)
    assert len(latencies) == 1000
