"""Who answers, with what when nobody does, what is never asked twice, and the boot gate.

See docs/contract.md 3.4.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from e2e.house import Gateway, config, gateway, own_gateway
from e2e.strangers import METER, START, Backend, Expected, Fact, Facts, dial, settle, started, until
from jetstream import NatsServer

Backends = Callable[..., Awaitable[Backend]]

STATUS = '{"connectorId":1,"errorCode":"NoError","status":"Available"}'
TAG_OK = '{"idTagInfo":{"status":"Accepted"}}'


# -- nobody answers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lonely(nats_server: NatsServer) -> Iterator[Gateway]:
    """Waits for nobody and looks at no payload, so that {} will do."""
    with gateway(config(nats_server, nats={"ask_grace": 0.05}, validation="off")) as running:
        yield running


INTERNAL = '[4,"1","InternalError","no backend answered",{}]'
PENDING = '{"currentTime":"NOW","status":"Pending","interval":60}'
UNKNOWN_VENDOR, REJECTED = '{"status":"UnknownVendorId"}', '{"status":"Rejected"}'
FALLBACKS: dict[tuple[str, str], str] = {
    ("v16", "Authorize"): INTERNAL,
    ("v16", "BootNotification"): PENDING,
    ("v16", "DataTransfer"): UNKNOWN_VENDOR,
    ("v16", "SignCertificate"): REJECTED,
    **{
        (version, action): answer
        for version in ("v201", "v21")
        for action, answer in {
            "Authorize": INTERNAL,
            "BootNotification": PENDING,
            "DataTransfer": UNKNOWN_VENDOR,
            "SignCertificate": REJECTED,
            "NotifyEVChargingNeeds": REJECTED,
            "NotifyEVChargingSchedule": REJECTED,
            "GetCertificateStatus": '{"status":"Failed"}',
            "Get15118EVCertificate": INTERNAL,
            "TransactionEvent": "{}",
            "MeterValues-Signed": INTERNAL,
        }.items()
    },
    ("v21", "GetCertificateChainStatus"): INTERNAL,
    ("v21", "OpenPeriodicEventStream"): INTERNAL,
    ("v21", "PullDynamicScheduleUpdate"): INTERNAL,
    ("v21", "VatNumberValidation"): INTERNAL,
}


@pytest.mark.parametrize(("version", "action"), FALLBACKS)
async def test_without_a_backend_each_action_has_its_fallback(
    lonely: Gateway, identity: str, facts: Facts, version: str, action: str
) -> None:
    """Never silence; and what was answered is a fact, by ``fallback``."""
    payload = '{"idToken":{}}' if action == "TransactionEvent" else "{}"
    async with dial(lonely.port, identity, version) as charger:
        up = await facts.link("up")
        answer = await charger.ask(f'[2,"1","{action}",{payload}]')
        assert (await charger.ask('[2,"2","Heartbeat",{}]')).startswith("[3")
    expected = FALLBACKS[version, action]
    now = json.loads(answer)[2].get("currentTime", "") if action == "BootNotification" else ""
    assert answer == (expected if expected == INTERNAL else f'[3,"1",{expected.replace("NOW", now)}]')
    await facts.find(f".{action}.")
    recorded = await facts.find(f".{action}Response.")
    assert recorded.headers["ocpp-answered-by"] == "fallback"
    assert recorded.headers["ocpp-session"] == up["session"]
    if expected == INTERNAL:
        assert recorded.headers["ocpp-error-code"] == "InternalError"
    else:
        assert recorded.data.decode() == expected.replace("NOW", now)


async def test_a_start_without_a_backend_closes_the_socket(
    lonely: Gateway, identity: str, facts: Facts
) -> None:
    """1.6 StartTransaction needs somebody to decide: 1013, the fact is stored, readiness unchanged."""
    async with dial(lonely.port, identity) as charger:
        await charger.send(f'[2,"1","StartTransaction",{START}]')
        assert await charger.closed() == 1013
    assert (await facts.link("down"))["reason"] == "unanswered"
    assert [fact.data.decode() for fact in await facts.stored("TX")] == [START]
    assert not any(lonely.worker.checks().values())


async def test_a_backend_that_comes_within_ask_grace_is_asked(
    nats_server: NatsServer, identity: str, backend: Backends
) -> None:
    """No responder: asked again every 250 ms."""
    settings = config(nats_server, nats={"ask_grace": 10.0, "ask_timeout": 10.0})
    async with own_gateway(settings) as patient, dial(patient.port, identity) as charger:
        await charger.send('[2,"1","Authorize",{"idTag":"a"}]')
        await until(lambda: patient.metric("voltgate_bus_pending") == 0)
        await backend(Authorize=TAG_OK)
        assert await charger.hear() == f'[3,"1",{TAG_OK}]'


async def test_a_backend_that_keeps_silent_is_waited_for_ask_timeout(
    house: Gateway, identity: str, facts: Facts, backend: Backends
) -> None:
    """Then the fallback; its late reply is nobody's answer, not even the next CALL's."""
    asked = (await backend(Authorize=None)).withheld
    async with dial(house.port, identity) as charger:
        began = time.monotonic()
        assert await charger.ask('[2,"1","Authorize",{"idTag":"late"}]') == INTERNAL
        assert time.monotonic() - began > 1.4
        await charger.send('[2,"2","Authorize",{"idTag":"next"}]')
        await until(lambda: len(asked) == 2)
        await asked[0].respond(b'{"idTagInfo":{"status":"Invalid"}}')
        await asked[1].respond(TAG_OK.encode())
        assert await charger.hear() == f'[3,"2",{TAG_OK}]'
        # A fallback is not remembered: the same CALL again is asked again.
        await charger.send('[2,"1","Authorize",{"idTag":"late"}]')
        await until(lambda: len(asked) == 3)
        await asked[2].respond(TAG_OK.encode())
        assert await charger.hear() == f'[3,"1",{TAG_OK}]'
    await facts.link("down")
    answered = [fact.headers["ocpp-answered-by"] for fact in facts.about("AuthorizeResponse")]
    assert answered == ["fallback", "backend", "backend"]


# -- odd replies -----------------------------------------------------------------------------------


class Reply(NamedTuple):
    """What a backend replies to DataTransfer, and the answer without ``[.,"1",``; None: the fallback's."""

    data: bytes
    headers: dict[str, str] | None = None
    answer: str | None = None


LONG = "ä" * 300
REPLIES = {
    "nothing": Reply(b""),
    "no JSON": Reply(b"Accepted"),
    "half of it": Reply(b'{"status":"Acc'),
    "an array": Reply(b"[]"),
    "null": Reply(b"null"),
    "a missing field": Reply(b"{}"),
    "no value of the enum": Reply(b'{"status":"Fine"}'),
    "an unknown property": Reply(b'{"status":"Accepted","x":1}'),
    "invalid UTF-8": Reply(b'{"status":"Accepted","data":"\xff"}'),
    "text behind it": Reply(b'{"status":"Accepted"} {}'),
    "a frame of its own": Reply(b'[3,"1",{"status":"Accepted"}]'),
    "more than max_message_bytes": Reply(b'{"status":"Accepted","data":"%s"}' % (b"x" * 900_000)),
    "an error code nobody knows": Reply(b"no", {"ocpp-error": "Nope"}),
    "a NATS service error": Reply(b'{"status":"Accepted"}', {"Nats-Service-Error-Code": "500"}),
    "an error": Reply(b'say "no"', {"ocpp-error": "SecurityError"}, '"SecurityError","say \\"no\\"",{}]'),
    "an error in 2.x spelling": Reply(b"", {"ocpp-error": "FormatViolation"}, '"FormationViolation","",{}]'),
    "an error by a name in another case": Reply(
        b"x", {"Ocpp-Error": "NotSupported"}, '"NotSupported","x",{}]'
    ),
    "an error told at length": Reply(
        LONG.encode(), {"ocpp-error": "GenericError"}, f'"GenericError","{LONG[:255]}",{{}}]'
    ),
    "white space as it came": Reply(b' {"status" : "Accepted"}\n', None, ' {"status" : "Accepted"}\n]'),
    "400 kB": Reply(
        b'{"status":"Accepted","data":"%s"}' % (b"x" * 400_000),
        None,
        '{"status":"Accepted","data":"' + "x" * 400_000 + '"}]',
    ),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_odd_replies(
    house: Gateway, identity: str, facts: Facts, backend: Backends, client: Client, reply: Reply
) -> None:
    """A valid reply is passed on byte for byte, ``ocpp-error`` is a CALLERROR, all else is the fallback."""

    async def answer(message: Msg) -> None:
        await client.publish(message.reply, reply.data, headers=reply.headers)
        await client.publish(message.reply, b'{"status":"Rejected"}')  # answering twice changes nothing

    await backend(DataTransfer=answer)
    async with dial(house.port, identity) as charger:
        heard = await charger.ask('[2,"1","DataTransfer",{"vendorId":"v"}]')
        assert (await charger.ask('[2,"2","Heartbeat",{}]')).startswith('[3,"2"')
    error = bool(reply.headers) and reply.answer is not None
    expected = reply.answer or f"{UNKNOWN_VENDOR}]"
    assert heard == f'[{4 if error else 3},"1",{expected}'
    recorded = await facts.find(".DataTransferResponse.")
    assert recorded.headers["ocpp-answered-by"] == ("fallback" if reply.answer is None else "backend")
    if error:
        assert recorded.headers["ocpp-error-code"] == json.loads(heard)[2]
    else:
        assert heard == f'[3,"1",{recorded.data.decode()}]'


async def test_a_question_names_its_deadline(house: Gateway, identity: str, backend: Backends) -> None:
    asked = await backend(Authorize=TAG_OK)
    async with dial(house.port, identity) as charger:
        await charger.ask('[2,"1","Authorize",{"idTag":"a"}]')
    deadline = datetime.fromisoformat(asked.questions[0].headers["ocpp-deadline"]).timestamp()
    assert 0 < deadline - time.time() <= 1.5


# -- the boot gate (docs/ocpp.md A18) --------------------------------------------------------------

BOOT = {
    "v16": '{"chargePointModel":"m","chargePointVendor":"v"}',
    "v201": '{"chargingStation":{"model":"m","vendorName":"v"},"reason":"PowerUp"}',
}
BOOT["v21"] = BOOT["v201"]
STATUS_2 = '{"timestamp":"2026-03-01T10:00:00Z","connectorStatus":"Available","evseId":1,"connectorId":1}'


def boot_answer(status: str) -> str:
    return f'{{"currentTime":"2026-03-01T10:00:00Z","interval":9,"status":"{status}"}}'


@pytest.mark.parametrize("version", BOOT)
@pytest.mark.parametrize("verdict", ["Pending", "Rejected"])
async def test_what_passes_the_boot_gate(
    house: Gateway, identity: str, facts: Facts, backend: Backends, version: str, verdict: str
) -> None:
    """Only BootNotification, and 1.6's Heartbeat while Pending; until Accepted the rest: SecurityError."""
    asked = await backend(BootNotification=boot_answer(verdict))
    status = STATUS if version == "v16" else STATUS_2
    boot = f'"BootNotification",{BOOT[version]}]'
    async with dial(house.port, identity, version) as charger:
        assert (await charger.ask(f'[2,"0","StatusNotification",{status}]')) == '[3,"0",{}]'
        for number in ("1", "2"):
            assert await charger.ask(f'[2,"{number}",{boot}') == f'[3,"{number}",{boot_answer(verdict)}]'
        gated = json.loads(await charger.ask(f'[2,"3","StatusNotification",{status}]'))
        assert gated[:3] == [4, "3", "SecurityError"]
        heart = json.loads(await charger.ask('[2,"4","Heartbeat",{}]'))
        assert heart[0] == (3 if (version, verdict) == ("v16", "Pending") else 4)
        asked.answers["BootNotification"] = boot_answer("Accepted")
        assert await charger.ask(f'[2,"5",{boot}') == f'[3,"5",{boot_answer("Accepted")}]'
        assert await charger.ask(f'[2,"3","StatusNotification",{status}]') == '[3,"3",{}]'
    reject = await facts.find(".reject.")
    assert reject.headers["ocpp-error-code"] == "SecurityError"
    assert status in reject.data.decode()
    async with dial(house.port, identity, version) as charger:
        assert (await charger.ask(f'[2,"0","StatusNotification",{status}]')) == '[3,"0",{}]'


async def test_the_fallback_s_pending_gates_nothing(lonely: Gateway, identity: str) -> None:
    async with dial(lonely.port, identity) as charger:
        assert '"Pending"' in await charger.ask(f'[2,"1","BootNotification",{BOOT["v16"]}]')
        assert await charger.ask(f'[2,"2","StatusNotification",{STATUS}]') == '[3,"2",{}]'


# -- policy by configuration -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd_policy(nats_server: NatsServer) -> Iterator[Gateway]:
    policy: dict[str, Any] = {
        "MeterValues": {"class": "live"},
        "StatusNotification": {"class": "tx"},
        "FirmwareStatusNotification": {"class": "tx", "answer": "backend"},
        "Heartbeat": {"class": "event"},
        "Authorize": {"class": "live", "fallback": {"idTagInfo": {"status": "Invalid"}}},
        "DataTransfer": {"fallback": "close"},
        "StartTransaction": {"fallback": "GenericError"},
    }
    with gateway(config(nats_server, nats={"ask_grace": 0.05}, policy={"v16": policy})) as running:
        yield running


async def test_a_class_by_configuration_moves_the_fact(
    odd_policy: Gateway, identity: str, facts: Facts
) -> None:
    """live: published, not stored; tx: stored once however often it is sent, with its Nats-Msg-Id."""
    async with dial(odd_policy.port, identity) as charger:
        up = await facts.link("up")
        assert await charger.ask(f'[2,"1","MeterValues",{METER}]') == '[3,"1",{}]'
        for _ in range(2):
            assert await charger.ask(f'[2,"2","StatusNotification",{STATUS}]') == '[3,"2",{}]'
        beat = json.loads(await charger.ask('[2,"3","Heartbeat",{}]'))[2]
    Expected("live", "v16", "MeterValues", identity, up["session"], "1", METER).check(await facts.next())
    Expected("tx", "v16", "StatusNotification", identity, up["session"], "2", STATUS).check(
        await facts.next()
    )
    await facts.link("down")
    assert [fact.data.decode() for fact in await facts.stored("TX")] == [STATUS]
    assert [fact.json for fact in await facts.stored("EVENTS")] == [{}, beat]
    assert facts.about("HeartbeatResponse")[0].headers["ocpp-answered-by"] == "gateway"


async def test_a_backend_may_answer_what_the_gateway_would(
    odd_policy: Gateway, identity: str, facts: Facts, backend: Backends
) -> None:
    """Its {} is no Response fact; its error is one, and a resend is asked again."""
    asked = await backend(FirmwareStatusNotification="{}")
    frame = '[2,"1","FirmwareStatusNotification",{"status":"Idle"}]'
    async with dial(odd_policy.port, identity) as charger:
        assert await charger.ask(frame) == '[3,"1",{}]'
    assert len(asked.questions) == 1
    assert [fact.json for fact in await facts.stored("TX")] == [{"status": "Idle"}]


async def test_fallbacks_by_configuration(odd_policy: Gateway, identity: str, facts: Facts) -> None:
    async with dial(odd_policy.port, identity) as charger:
        invalid = '{"idTagInfo":{"status":"Invalid"}}'
        assert await charger.ask('[2,"1","Authorize",{"idTag":"a"}]') == f'[3,"1",{invalid}]'
        error = '[4,"2","GenericError","no backend answered",{}]'
        assert await charger.ask(f'[2,"2","StartTransaction",{START}]') == error
        await charger.send('[2,"3","DataTransfer",{"vendorId":"v"}]')
        assert await charger.closed() == 1013
    await facts.link("down")
    assert [fact.subject.split(".")[3] for fact in facts.seen[1:-1]] == [
        "Authorize",
        "StartTransaction",
        "StartTransactionResponse",
        "DataTransfer",
    ]


async def test_everything_moves_with_its_prefix(
    nats_server: NatsServer, client: Client, identity: str
) -> None:
    """Two gateways of different prefixes on one NATS hear nothing of each other."""
    nats = {"prefix": "acme", "rpc_prefix": "acmerpc", "stream_prefix": "ACME"}
    facts, others = Facts(client, identity, "acme", "ACME"), Facts(client, identity)
    await facts.listen()
    await others.listen()

    async def respond(message: Msg) -> None:
        await message.respond(started(3).encode())

    await client.subscribe(f"acmerpc.ask.v16.StartTransaction.{facts.token}", cb=respond)
    await settle(client)
    async with own_gateway(config(nats_server, nats=nats)) as acme, dial(acme.port, identity) as charger:
        assert await charger.ask(f'[2,"1","StartTransaction",{START}]') == f'[3,"1",{started(3)}]'
        assert await charger.ask(f'[2,"2","StartTransaction",{START}]') == f'[3,"2",{started(3)}]'
        assert (await charger.ask('[2,"3","Bogus",{}]')).startswith("[4")
    await facts.link("down")
    assert [fact.data.decode() for fact in await facts.stored("TX")] == [START, started(3)]
    assert len(await facts.stored("REJECTS")) == 1
    assert others.seen == []


async def test_fifty_sends_and_a_call(house: Gateway, identity: str, facts: Facts) -> None:
    """SENDs need no answer but their place: all are stored, in order, before the CALL behind them."""
    sample = '{"id":%d,"pending":0,"basetime":"2026-03-01T10:00:00Z","data":[{"t":1.5,"v":"1"}]}'
    async with dial(house.port, identity, "v21") as charger:
        for number in range(50):
            await charger.send(f'[6,"{number}","NotifyPeriodicEventStream",{sample % number}]')
        assert (await charger.ask('[2,"call","Heartbeat",{}]')).startswith('[3,"call"')
    assert [fact.json["id"] for fact in await facts.stored("EVENTS")] == list(range(50))


async def test_an_error_answer_may_be_followed_by_the_real_one(
    odd_policy: Gateway, identity: str, facts: Facts, backend: Backends
) -> None:
    """A CALLERROR about money is no last word: the resend is asked again and its answer is stored."""
    async with dial(odd_policy.port, identity) as charger:
        assert (await charger.ask(f'[2,"1","StartTransaction",{START}]')).startswith('[4,"1","GenericError"')
        await backend(StartTransaction=started(9))
        assert await charger.ask(f'[2,"1","StartTransaction",{START}]') == f'[3,"1",{started(9)}]'
        assert await charger.ask(f'[2,"2","StartTransaction",{START}]') == f'[3,"2",{started(9)}]'
    kept: list[Fact] = await facts.stored("TX")
    assert [fact.headers.get("ocpp-answered-by") for fact in kept] == [None, "fallback", "backend"]
