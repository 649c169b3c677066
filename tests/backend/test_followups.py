"""Commands of the backend after facts: over a real nats-server, with the gateway's side by the test."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from answering import Answering, ask, backend_on
from voltgate import Codec
from voltgate.backend.authority import Authorities
from voltgate.backend.rules import Rules
from voltgate.backend.sites import Sites
from voltgate.charger.certificates import Request

TARIFF = {"tariffId": "night-3", "currency": "EUR", "energy": {"prices": [{"priceKwh": 0.3}]}}
Commands = list[tuple[str, dict[str, Any], dict[str, str]]]
RESULT = {"ocpp-outcome": "result"}


def event(number: int, kind: str = "Updated", transaction: str = "tx", **more: Any) -> bytes:
    body = {"eventType": kind, "seqNo": number, "transactionInfo": {"transactionId": transaction}, **more}
    return orjson.dumps(body)


async def links(nc: Client, *up: tuple[str, str]) -> None:
    """OCPP_LINKS, with these chargers connected: identity, version."""
    js = nc.jetstream()
    await js.add_stream(StreamConfig(name="OCPP_LINKS", subjects=["ocpp.link.*"], max_msgs_per_subject=1))
    for charger, version in up:
        await js.publish(f"ocpp.link.{charger}", orjson.dumps({"state": "up", "version": version}))


async def gateway(nc: Client, answers: dict[str, Any], **headers: str) -> Answering:
    return await Answering(nc, answers, headers={"ocpp-outcome": "result"} | headers).listen("ocpprpc.send.>")


async def facts(nc: Client, *messages: tuple[str, bytes]) -> None:
    for subject, body in messages:
        await nc.publish(f"ocpp.{subject}", body)
    await nc.flush()


def tx(*bodies: bytes, charger: str = "CP001", version: str = "v201") -> list[tuple[str, bytes]]:
    return [(f"tx.{version}.TransactionEvent.{charger}", body) for body in bodies]


STATUS = {"ongoingIndicator": True, "messagesInQueue": False}
GAPS: list[tuple[str, list[bytes], list[int]]] = [
    ("no gap", [event(0, "Started"), event(1), event(2, "Ended")], []),
    ("one missing", [event(0, "Started"), event(2)], [2]),
    ("the last but one missing", [event(0, "Started"), event(1), event(3, "Ended")], [3]),
    ("a repeat and an earlier one", [event(0, "Started"), event(1), event(1), event(0), event(2)], []),
    ("nothing is known of an earlier one", [event(7), event(8)], []),
    ("each gap", [event(0, "Started"), event(2), event(4)], [2, 4]),
    ("numbering begins again", [event(5), event(0), event(1), event(6)], []),
    ("what cannot be read", [event(0, "Started"), b"{", b"[]", b"{}", event(1)], []),
]


@pytest.mark.parametrize(("why", "events", "gaps"), GAPS, ids=[gap[0] for gap in GAPS])
async def test_a_gap_in_seq_no_is_asked_about(
    nc: Client, why: str, events: list[bytes], gaps: list[int]
) -> None:
    await links(nc)
    sent = await gateway(nc, {"GetTransactionStatus": STATUS})
    async with backend_on(nc):
        await facts(nc, *tx(*events), *tx(event(0, "Started", "end"), event(2, "Ended", "end")))
        await sent.until(len(gaps) + 1)
    asked = [(subject, body, headers["ocpp-command-id"]) for subject, body, headers in sent.asked]
    subject = "ocpprpc.send.GetTransactionStatus.CP001"
    wanted = [(subject, {"transactionId": "tx"}, f"gap/tx/{number}") for number in gaps]
    assert asked == [*wanted, (subject, {"transactionId": "end"}, "gap/end/2")], why


async def test_the_cost_so_far_goes_to_the_charger_once_a_minute(nc: Client) -> None:
    await links(nc)
    ledger = await Answering(nc, {"cost": {"cost": "1.25"}}).listen("ops.ask.*")
    sent = await gateway(nc, {"CostUpdated": {}})
    async with backend_on(nc):
        await facts(nc, *tx(event(0, "Started"), event(1), event(2), event(3, offline=True), version="v21"))
        await facts(nc, *tx(event(4, "Updated", "other"), event(1, "Updated", "past", offline=True)))
        await sent.until(2)
    assert [(subject, body) for subject, body, _ in sent.asked] == [
        ("ocpprpc.send.CostUpdated.CP001", {"transactionId": "tx", "totalCost": 1.25}),
        ("ocpprpc.send.CostUpdated.CP001", {"transactionId": "other", "totalCost": 1.25}),
    ]
    assert len(ledger.asked) == 2
    for version in ("ocpp2.0.1", "ocpp2.1"):
        assert Codec(version).check("CostUpdated", "request", orjson.dumps(sent.asked[0][1])) is None


async def test_events_while_the_cost_is_not_known_yet_are_asked_about_afterwards(nc: Client) -> None:
    """A burst of a charger: the books read its start while the first question is open."""
    await links(nc)
    asked: list[bytes] = []

    async def books(question: Msg) -> None:
        asked.append(question.data)
        if len(asked) == 1:
            await facts(nc, *tx(event(2), event(3)))
        await question.respond(orjson.dumps({"cost": None if len(asked) == 1 else "1.25"}))

    await nc.subscribe("ops.ask.*", cb=books)
    sent = await gateway(nc, {"CostUpdated": {}})
    async with backend_on(nc):
        await facts(nc, *tx(event(0, "Started"), event(1)))
        await sent.until(1)
    assert [body for _, body, _ in sent.asked] == [{"transactionId": "tx", "totalCost": 1.25}]
    assert len(asked) == 2


async def test_a_charger_without_cost_updated_is_not_asked_again_before_it_boots(nc: Client) -> None:
    await links(nc)
    await Answering(nc, {"cost": {"cost": "1.25"}}).listen("ops.ask.*")
    refused = {"code": "NotImplemented", "description": "", "details": {}}
    sent = await gateway(nc, {"CostUpdated": refused}, **{"ocpp-outcome": "error"})
    async with backend_on(nc):
        await facts(nc, *tx(event(1, transaction="a")))
        await sent.until(1)
        await facts(nc, *tx(event(0, "Started", "g"), event(2, "Ended", "g")))  # its answer comes behind a's
        await sent.until(2)
        await facts(nc, *tx(event(1, transaction="b"), event(0, "Started", "h"), event(2, "Ended", "h")))
        await sent.until(3)
        await facts(nc, ("event.v201.BootNotificationResponse.CP001", b'{"status":"Accepted"}'))
        await facts(nc, *tx(event(1, transaction="c")))
        await sent.until(4)
    assert [body["transactionId"] for _, body, _ in sent.asked] == ["a", "g", "h", "c"]


async def test_a_2_1_charger_gets_its_tariff_at_its_boot_and_when_it_changes(nc: Client) -> None:
    await links(nc, ("CP001", "v21"), ("CP002", "v21"), ("OLD", "v201"))
    tariffs: dict[str, Any] = {"CP001": TARIFF, "CP002": None}
    ledger = await Answering(nc, {"tariffs": {"tariffs": tariffs}}).listen("ops.ask.*")
    sent = await gateway(nc, {"SetDefaultTariff": {"status": "Accepted"}, "ClearTariffs": {}})
    boot = ("event.v21.BootNotificationResponse.CP001", b'{"status":"Accepted"}')
    async with backend_on(nc):
        await facts(nc, ("event.v201.BootNotificationResponse.OLD", b'{"status":"Accepted"}'))
        await facts(nc, ("event.v21.BootNotificationResponse.CP002", b'{"status":"Pending"}'), boot)
        await sent.until(1)
        await nc.publish("ops.tick", b"{}")
        await ledger.until(2)
        tariffs["CP002"] = TARIFF | {"tariffId": "day-1"}
        await nc.publish("ops.tick", b"{}")
        await sent.until(2)
        tariffs["CP001"] = None
        await nc.publish("ops.tick", b"{}")
        await sent.until(3)
    assert [(subject.split(".", 2)[2], body) for subject, body, _ in sent.asked] == [
        ("SetDefaultTariff.CP001", {"evseId": 0, "tariff": TARIFF}),
        ("SetDefaultTariff.CP002", {"evseId": 0, "tariff": TARIFF | {"tariffId": "day-1"}}),
        ("ClearTariffs.CP001", {"tariffIds": ["night-3"]}),
    ]
    assert ledger.asked[0][1] == {"chargers": ["CP001"]}
    assert ledger.asked[1][1] == {"chargers": ["CP001", "CP002"]}, "who is connected, and of 2.1"
    codec = Codec("ocpp2.1")
    for subject, body, _ in sent.asked:
        assert codec.check(subject.split(".")[2], "request", orjson.dumps(body)) is None


async def test_a_tick_while_a_tariff_is_on_its_way_sends_it_no_second_time(nc: Client) -> None:
    await links(nc, ("CP001", "v21"))
    ledger = await Answering(nc, {"tariffs": {"tariffs": {"CP001": TARIFF}}}).listen("ops.ask.*")
    sent = await gateway(nc, {})  # the charger takes its time
    async with backend_on(nc):
        await facts(nc, ("event.v21.BootNotificationResponse.CP001", b'{"status":"Accepted"}'))
        await sent.until(1)
        for asked in (2, 3):
            await nc.publish("ops.tick", b"{}")
            await ledger.until(asked)
        await nc.flush()
    assert [subject for subject, *_ in sent.asked] == ["ocpprpc.send.SetDefaultTariff.CP001"]


@pytest.mark.parametrize(
    ("version", "asked", "body", "command"),
    [
        ("v16", "SignCertificate", "csr", "CertificateSigned"),
        ("v201", "NotifyEVChargingNeeds", "needs", "SetChargingProfile"),
    ],
)
async def test_a_command_follows_the_answer_of_its_question_only(
    nc: Client, tmp_path: Path, version: str, asked: str, body: str, command: str
) -> None:
    """Sent by the instance that has answered, once, when the fact of the answer is there."""
    (tmp_path / "sites.txt").write_text("* 32\n")
    rules = Rules(authorities=Authorities(tmp_path), sites=Sites(tmp_path / "sites.txt"))
    bodies = {
        "csr": {"csr": Request("CP001").csr},
        "needs": {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase"}},
    }
    house = await gateway(nc, {command: {"status": "Accepted"}})
    fact = f"ocpp.event.{version}.{asked}Response.CP001"
    async with backend_on(nc, rules=rules):
        await facts(nc, *tx(event(0, "Started", evse={"id": 1})))
        reply = await ask(nc, f"{version}.{asked}", orjson.dumps(bodies[body]), key="k1")
        assert orjson.loads(reply.data) == {"status": "Accepted"}
        for key in ("another", "k1", "k1"):
            await nc.publish(fact, b'{"status":"Accepted"}', headers={"ocpp-key": key})
        await house.until(1)
        await nc.publish(fact, b'{"status":"Accepted"}', headers={"ocpp-key": "k1"})
        await ask(nc, f"{version}.StatusNotification", b"{}")
    assert [(subject, headers["ocpp-command-id"]) for subject, _, headers in house.asked] == [
        (f"ocpprpc.send.{command}.CP001", "after/k1")
    ]
