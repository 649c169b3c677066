"""What a charger may not say, the exact answer, and the reject fact stored before it.

See docs/contract.md 2.2.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import pytest

from e2e.house import Gateway, config, gateway
from e2e.strangers import Backend, Charger, Expected, Fact, Facts, attribute, dial, header, key, token, until
from jetstream import NatsServer

STATUS = {
    "v16": '{"connectorId":1,"errorCode":"NoError","status":"Available"}',
    "v201": '{"timestamp":"2026-03-01T10:00:00Z","connectorStatus":"Available","evseId":1,"connectorId":1}',
}
STATUS["v21"] = STATUS["v201"]
METER_VALID = (
    '[2,"1","MeterValues",{"connectorId":1,"meterValue":'
    '[{"timestamp":"2026-03-01T10:00:00Z","sampledValue":[{"value":"7"}]}]}]'
)
TYPE, NOT_IMPLEMENTED, NOT_SUPPORTED = "TypeConstraintViolation", "NotImplemented", "NotSupported"
PROPERTY = "PropertyConstraintViolation"
DEEP = '{"connectorId":' + "[" * 40 + "1" + "]" * 40 + "}"


class Row(NamedTuple):
    """A frame, the code of its refusal, where, and with which id it is answered (None: not at all)."""

    frame: str
    code: str
    pointer: str = ""
    message_id: str | None = "1"


def codes(version: str) -> tuple[str, str]:
    """The version's spelling of what is missing and of what is misshapen (docs/ocpp.md A15)."""
    if version == "v16":
        return "OccurenceConstraintViolation", "FormationViolation"
    return "OccurrenceConstraintViolation", "FormatViolation"


def status(payload: str) -> str:
    return f'[2,"1","StatusNotification",{payload}]'


def common(version: str) -> dict[str, Row]:
    occurrence, formation = codes(version)
    good = STATUS[version]
    bad_type = good.replace('"connectorId":1', '"connectorId":"1"')
    unreadable = (
        Row("", "FormationViolation", "", None)
        if version == "v16"
        else Row("", "RpcFrameworkError", "", "-1")
    )
    return {
        "a string for an integer": Row(status(bad_type), TYPE, "/connectorId"),
        "null for an integer": Row(status(bad_type.replace('"1"', "null")), TYPE, "/connectorId"),
        "a required field is missing": Row(status("{}"), occurrence),
        "an unknown property": Row(status(good[:-1] + ',"x":1}'), formation, "/x"),
        "a duplicate key": Row(status(good[:-1] + ',"connectorId":1}'), formation, "/connectorId"),
        "a payload that is an array": Row(status("[]"), formation),
        "a payload that is a string": Row(status('"x"'), formation),
        "a value not in the enum": Row(status(good.replace("Available", "Sleepy")), PROPERTY),
        "an unknown action": Row('[2,"1","Bogus",{}]', NOT_IMPLEMENTED),
        "an action in another case": Row('[2,"1","heartbeat",{}]', NOT_IMPLEMENTED),
        "an action only a CSMS sends": Row('[2,"1","Reset",{"type":"Soft"}]', NOT_SUPPORTED),
        "too few elements": Row('[2,"1"]', formation),
        "no payload": Row('[2,"1","Heartbeat"]', formation),
        "too many elements": Row('[2,"1","Heartbeat",{},{}]', formation),
        "text behind the frame": Row('[2,"1","Heartbeat",{}]x', formation),
        "two frames in one message": Row('[2,"1","Heartbeat",{}][2,"2","Heartbeat",{}]', formation),
        "an action that is no string": Row('[2,"1",7,{}]', formation),
        "broken JSON behind a readable id": Row('[2,"1","Heartbeat",{"a":}]', formation),
        "truncated, its id readable (docs/ocpp.md B)": Row('[2,"1","StatusNotification",{"conn', formation),
        "an id of 37 characters": Row(f'[2,"{"i" * 37}","Heartbeat",{{}}]', formation, "", "i" * 37),
        "an id of 255 characters": Row(f'[2,"{"ö" * 255}","Heartbeat",{{}}]', formation, "", "ö" * 255),
        "an id of 256 characters": unreadable._replace(frame=f'[2,"{"i" * 256}","Heartbeat",{{}}]'),
        "an id that is a number": unreadable._replace(frame='[2,1,"Heartbeat",{}]'),
        "an id that is null": unreadable._replace(frame='[2,null,"Heartbeat",{}]'),
        "an empty message (docs/ocpp.md B)": unreadable._replace(frame=""),
        "a literal pong (docs/ocpp.md B)": unreadable._replace(frame="pong"),
        "a leading comma (docs/ocpp.md B)": unreadable._replace(frame='[,2,"1","Heartbeat",{}]'),
        "an object": unreadable._replace(frame='{"a":1}'),
        "an empty array": unreadable._replace(frame="[]"),
        "a lone surrogate as id": unreadable._replace(frame='[2,"\\ud800","Heartbeat",{}]'),
        "an id with CR LF": Row('[2,"a\\r\\nb: c","Bogus",{}]', NOT_IMPLEMENTED, "", "a\r\nb: c"),
        "an id with quotes": Row('[2,"\\"\\\\","Bogus",{}]', NOT_IMPLEMENTED, "", '"\\'),
        "too deep": Row(status(DEEP), TYPE, "/connectorId"),
    }


TABLE = [(version, what, row) for version in STATUS for what, row in common(version).items()]
TABLE += [
    ("v16", "a null payload counts as {}", Row('[2,"1","StatusNotification",null]', codes("v16")[0])),
    ("v16", "over maxLength", Row('[2,"1","Authorize",{"idTag":"' + "x" * 21 + '"}]', PROPERTY, "/idTag")),
    ("v16", "-Signed, which 1.6 does not know", Row('[2,"1","Heartbeat-Signed",{}]', NOT_IMPLEMENTED)),
    ("v16", "minItems", Row('[2,"1","Authorize",{}]', codes("v16")[0])),
    ("v201", "a null payload", Row('[2,"1","Heartbeat",null]', "FormatViolation")),
    ("v21", "a null payload", Row('[2,"1","Heartbeat",null]', "FormatViolation")),
    ("v201", "a time without a zone", Row(
        status(STATUS["v201"].replace("00Z", "00")), PROPERTY, "/timestamp")),
    ("v21", "an empty list", Row(
        '[2,"1","NotifyEvent",{"generatedAt":"2026-03-01T10:00:00Z","seqNo":0,"eventData":[]}]',
        "OccurrenceConstraintViolation", "/eventData")),
    ("v201", "below the minimum", Row(
        '[2,"1","NotifyChargingLimit",{"chargingLimit":{"chargingLimitSource":"EMS"},"chargingSchedule":[]}]',
        "OccurrenceConstraintViolation", "/chargingSchedule")),
    ("v201", "an unknown message type", Row('[7,"1","Heartbeat",{}]', "MessageTypeNotSupported")),
    ("v201", "a SEND, unknown before 2.1", Row('[6,"1","Heartbeat",{}]', "MessageTypeNotSupported")),
    ("v201", "an unknown type without an id", Row("[7]", "MessageTypeNotSupported", "", "-1")),
    ("v16", "an unknown message type", Row('[1,"1","Heartbeat",{}]', "ProtocolError", "", None)),
    ("v21", "an unknown message type", Row('[7,"1","Heartbeat",{}]', "MessageTypeNotSupported", "", None)),
    ("v21", "a CALL's action in a SEND", Row('[6,"1","Heartbeat",{}]', NOT_SUPPORTED, "", None)),
    ("v21", "a SEND's action in a CALL", Row('[2,"1","NotifyPeriodicEventStream",{}]', NOT_SUPPORTED)),
    ("v21", "a SEND of nothing", Row('[6,"1","NotifyPeriodicEventStream",{}]',
        "OccurrenceConstraintViolation", "", None)),
    ("v16", "a result nobody waits for", Row('[3,"1",{}]', "GenericError", "", None)),
    ("v201", "an error nobody waits for", Row('[4,"1","GenericError","",{}]', "GenericError", "", None)),
    ("v21", "a result error", Row('[5,"1","GenericError","",{}]', "GenericError", "", None)),
    ("v201", "a result with an unreadable id", Row("[3,7,{}]", "RpcFrameworkError", "", None)),
]  # fmt: skip


async def check_still_served(charger: Charger) -> None:
    """The next CALL is answered, and nothing came in between."""
    assert (await charger.ask('[2,"next","Heartbeat",{}]')).startswith('[3,"next",')


@pytest.mark.parametrize(
    ("version", "row"), [(v, row) for v, _, row in TABLE], ids=[f"{v} {w}" for v, w, _ in TABLE]
)
async def test_a_refused_frame_is_stored_and_then_answered(
    house: Gateway, identity: str, facts: Facts, version: str, row: Row
) -> None:
    """The CALLERROR has exactly that code and id; its reject fact is in the stream before it goes out."""
    async with dial(house.port, identity, version) as charger:
        up = await facts.link("up")
        await charger.send(row.frame)
        answer = "" if row.message_id is None else await charger.hear()
        if row.message_id is not None:
            assert len(await facts.stored("REJECTS")) == 1
        await check_still_served(charger)
    reject = await facts.find(".reject.")
    headers = dict(reject.headers)
    reason = headers.pop("ocpp-error-reason")
    assert headers.pop("ce-id").startswith(f"{up['session']}/")
    assert headers.pop("ce-time").endswith("Z")
    assert headers.pop("ocpp-error-pointer") is not None
    if row.pointer:
        assert reject.headers["ocpp-error-pointer"] == row.pointer
    readable = headers.pop("ocpp-message-id", None)
    if row.message_id not in (None, "-1"):
        assert readable == header(row.message_id or "")
    assert headers == {
        "ce-specversion": "1.0",
        "ce-source": f"/chargers/{token(identity)}",
        "ce-type": f"ocpp.{version}.reject",
        "ce-subject": attribute(identity),
        "ce-datacontenttype": "application/octet-stream",
        "ocpp-session": up["session"],
        "ocpp-error-code": row.code,
    }
    assert reject.subject == f"ocpp.reject.{version}.{token(identity)}"
    assert reject.data.decode() == row.frame
    if row.message_id is not None:
        [kind, message_id, code, text, details] = json.loads(answer)
        assert (kind, message_id, code, details) == (4, row.message_id, row.code, {})
        pointer = reject.headers["ocpp-error-pointer"]
        assert header(text) == (f"{pointer}: {reason}" if pointer else reason)
        shown = json.dumps(row.message_id, ensure_ascii=False).replace(r"\r\n", r"\u000d\u000a")
        whole = f'[4,{shown},"{row.code}",{json.dumps(text)},{{}}]'
        assert answer == whole
    about = [
        fact.subject
        for fact in facts.seen
        if "Heartbeat" not in fact.subject and ".link." not in fact.subject
    ]
    assert about == [reject.subject]


async def test_a_signed_call_is_a_backend_s(
    house: Gateway, identity: str, facts: Facts, backend: Callable[..., Awaitable[Backend]]
) -> None:
    """-Signed messages pass on unchanged, in their action's class, and a backend answers.

    See docs/ocpp.md A16.
    """
    payload = '{"payload":"e30","signatures":[{"protected":"x","signature":"y"}]}'
    asked = await backend(**{"MeterValues-Signed": '{"anything":1}', "StatusNotification-Signed": "{}"})
    async with dial(house.port, identity, "v201") as charger:
        up = await facts.link("up")
        assert await charger.ask(f'[2,"1","MeterValues-Signed",{payload}]') == '[3,"1",{"anything":1}]'
        assert await charger.ask(f'[2,"2","StatusNotification-Signed",{payload}]') == '[3,"2",{}]'
    fact = await facts.find("ocpp.tx.v201.MeterValues-Signed.")
    assert (fact.data.decode(), fact.headers["ocpp-session"]) == (payload, up["session"])
    assert (await facts.find("ocpp.tx.v201.MeterValues-SignedResponse.")).data == b'{"anything":1}'
    assert (await facts.find("ocpp.event.v201.StatusNotification-Signed.")).data.decode() == payload
    assert len(asked.questions) == 2


async def test_a_send_is_stored_and_never_answered(house: Gateway, identity: str, facts: Facts) -> None:
    payload = '{"id":1,"pending":0,"basetime":"2026-03-01T10:00:00Z","data":[{"t":1.5,"v":"1"}]}'
    async with dial(house.port, identity, "v21") as charger:
        up = await facts.link("up")
        await charger.send(f'[6,"s","NotifyPeriodicEventStream",{payload}]')
        await check_still_served(charger)
    expected = Expected("event", "v21", "NotifyPeriodicEventStream", identity, up["session"], "s", payload)
    expected.check(await facts.next())


# -- repeats ---------------------------------------------------------------------------------------


async def test_a_repeat_while_the_first_is_open_is_the_same_call(
    house: Gateway, identity: str, facts: Facts, backend: Callable[..., Awaitable[Backend]]
) -> None:
    """Three times the same id: one fact, one question, one answer."""
    asked = (await backend(Authorize=None)).withheld
    before = house.metric("voltgate_duplicates_total", **{"class": "event"})
    async with dial(house.port, identity) as charger:
        await charger.send(*['[2,"same","Authorize",{"idTag":"a"}]'] * 3)
        await until(lambda: house.metric("voltgate_duplicates_total", **{"class": "event"}) == before + 2)
        await until(lambda: asked)
        await asked[0].respond(b'{"idTagInfo":{"status":"Accepted"}}')
        assert await charger.hear() == '[3,"same",{"idTagInfo":{"status":"Accepted"}}]'
        await check_still_served(charger)
    await facts.link("down")
    assert (len(asked), len(facts.about("Authorize."))) == (1, 1)


async def test_a_repeat_of_an_answered_call_gets_the_same_answer(
    house: Gateway, identity: str, facts: Facts, backend: Callable[..., Awaitable[Backend]]
) -> None:
    """Same session, id and payload: answered from memory; another payload is another CALL."""
    asked = await backend(Authorize='{"idTagInfo":{"status":"Accepted","parentIdTag":"once"}}')
    async with dial(house.port, identity) as charger:
        first = await charger.ask('[2,"1","Authorize",{"idTag":"a"}]')
        asked.answers["Authorize"] = '{"idTagInfo":{"status":"Blocked"}}'
        assert await charger.ask('[2,"1","Authorize",{"idTag":"a"}]') == first
        assert "Blocked" in await charger.ask('[2,"1","Authorize",{"idTag":"b"}]')
        assert "Blocked" in await charger.ask('[2,"2","Authorize",{"idTag":"a"}]')
    await facts.link("down")
    assert len(asked.questions) == len(facts.about(".Authorize.")) == 3


async def test_heartbeats_of_one_id_are_each_answered_by_the_clock(house: Gateway, identity: str) -> None:
    async with dial(house.port, identity) as charger:
        answers = {await charger.ask('[2,"1","Heartbeat",{}]') for _ in range(20)}
        assert len(answers) > 1


async def test_pipelined_calls_are_answered_in_their_order(
    house: Gateway, identity: str, facts: Facts, backend: Callable[..., Awaitable[Backend]]
) -> None:
    """Quick ones do not overtake slow ones, refused ones neither."""
    await backend(Authorize='{"idTagInfo":{"status":"Accepted"}}')
    frames = [
        '[2,"1","Authorize",{"idTag":"a"}]',
        '[2,"2","Heartbeat",{}]',
        '[2,"3","Bogus",{}]',
        status(STATUS["v16"]).replace('"1"', '"4"', 1),
        METER_VALID.replace('"1"', '"5"', 1),
        '[2,"6","Heartbeat",{}]',
    ]
    async with dial(house.port, identity) as charger:
        await charger.send(*frames)
        answers = [json.loads(await charger.hear()) for _ in frames]
    assert [answer[:2] for answer in answers] == [[3, "1"], [3, "2"], [4, "3"], [3, "4"], [3, "5"], [3, "6"]]


# -- how much of it is kept (docs/contract.md 3.2) -------------------------------------------------


async def test_ten_rejects_a_minute_are_stored_all_are_answered(
    house: Gateway, identity: str, facts: Facts
) -> None:
    before = house.metric("voltgate_rejects_unstored_total", version="v16")
    async with dial(house.port, identity) as charger:
        for number in range(15):
            answer = json.loads(await charger.ask(f'[2,"{number}","Bogus",{{}}]'))
            assert answer[:3] == [4, str(number), "NotImplemented"]
        bad_tx = '[2,"tx","StartTransaction",{"connectorId":1,"connectorId":1}]'
        assert json.loads(await charger.ask(bad_tx))[2] == "FormationViolation"
    kept = [fact.data.decode() for fact in await facts.stored("REJECTS")]
    assert kept == [f'[2,"{number}","Bogus",{{}}]' for number in range(10)] + [bad_tx]
    await house.counts(before + 5, "voltgate_rejects_unstored_total", version="v16")


async def test_a_reject_is_cut_at_4_kib_but_for_money(house: Gateway, identity: str, facts: Facts) -> None:
    """``ocpp-reject-bytes`` has the size of what was cut; a tx action's frame is kept whole."""
    long = '[2,"1","Bogus",{"x":"' + "ä" * 3000 + '"}]'
    money = '[2,"2","StartTransaction",{"a":1,"a":"' + "x" * 6000 + '"}]'
    async with dial(house.port, identity) as charger:
        assert json.loads(await charger.ask(long))[:2] == [4, "1"]
        assert json.loads(await charger.ask(money))[:2] == [4, "2"]
    cut, whole = await facts.stored("REJECTS")
    assert cut.data == long.encode()[:4096]
    assert cut.headers["ocpp-reject-bytes"] == str(len(long.encode()))
    assert whole.data == money.encode()
    assert "ocpp-reject-bytes" not in whole.headers


# -- levels ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def levels(nats_server: NatsServer) -> Iterator[Gateway]:
    policy = {
        "StatusNotification": {"validation": "lenient"},
        "FirmwareStatusNotification": {"validation": "off"},
        "StartTransaction": {"validation": "strict"},
    }
    with gateway(config(nats_server, validation=None, policy={"v16": policy})) as running:
        yield running


class Level(NamedTuple):
    """A frame, how its answer begins, the subject of what is published, ``ocpp-violation`` there."""

    frame: str
    answer: list[object]
    subject: str
    violation: str | None = None


METER = (
    '[2,"1","MeterValues",{"connectorId":1,"meterValue":'
    '[{"timestamp":"2026-03-01T10:00:00","sampledValue":[{"value":7}]}]}]'
)
OFF = '[2,"1","FirmwareStatusNotification",%s]'
FORMATION = [4, "1", "FormationViolation"]
LEVELS = {
    "lenient by default: a time without a zone costs no money": Level(
        METER, [3, "1", {}], "tx.v16.MeterValues", f"{PROPERTY} /meterValue/0/timestamp"),
    "lenient by configuration": Level(
        status('{"connectorId":"1"}'), [3, "1", {}], "event.v16.StatusNotification", f"{TYPE} /connectorId"),
    "lenient, and nothing at all": Level(
        status("{}"), [3, "1", {}], "event.v16.StatusNotification", "OccurenceConstraintViolation"),
    "off says nothing": Level(
        OFF % '{"status":7,"x":null}', [3, "1", {}], "event.v16.FirmwareStatusNotification"),
    "strict money by configuration": Level(
        '[2,"1","StartTransaction",{"connectorId":1}]', [4, "1", "OccurenceConstraintViolation"],
        "reject.v16"),
    "lenient passes no duplicate key": Level(
        status('{"connectorId":1,"connectorId":2}'), FORMATION, "reject.v16"),
    "off passes no duplicate key": Level(OFF % '{"a":1,"a":1}', FORMATION, "reject.v16"),
    "off passes no broken JSON": Level(OFF % '{"a":01}', FORMATION, "reject.v16"),
    "off passes no duplicate key behind a lesser violation": Level(
        OFF % '{"status":7,"a":{"b":1,"b":1}}', FORMATION, "reject.v16"),
    "lenient passes no excess depth": Level(status(DEEP), [4, "1", PROPERTY], "reject.v16"),
    "lenient passes no id that is too long": Level(
        f'[2,"{"i" * 37}","StatusNotification",{STATUS["v16"]}]', [4, "i" * 37, FORMATION[2]], "reject.v16"),
    "off passes no fifth element": Level(OFF % '{"status":"Idle"},1', FORMATION, "reject.v16"),
}  # fmt: skip


@pytest.mark.parametrize("row", LEVELS.values(), ids=LEVELS)
async def test_validation_levels(levels: Gateway, identity: str, facts: Facts, row: Level) -> None:
    """What passes does so unchanged and tagged, and is answered as if it were valid."""
    async with dial(levels.port, identity) as charger:
        up = await facts.link("up")
        answer = json.loads(await charger.ask(row.frame))
        assert answer[: len(row.answer)] == row.answer
    fact = await facts.next()
    assert fact.subject == f"ocpp.{row.subject}.{token(identity)}"
    if row.subject.startswith("reject"):
        assert fact.data.decode() == row.frame
        return
    payload = row.frame[row.frame.index("{") : -1]
    more = {} if row.violation is None else {"ocpp-violation": row.violation}
    class_, version, action = row.subject.split(".")
    Expected(class_, version, action, identity, up["session"], "1", payload, more=more).check(fact)


async def test_the_message_id_cannot_write_headers(house: Gateway, identity: str, facts: Facts) -> None:
    """CR LF in an id is percent-encoded on NATS and comes back to the charger as it was."""
    async with dial(house.port, identity) as charger:
        up = await facts.link("up")
        answer = await charger.ask(f'[2,"1\\r\\nce-id: x","StatusNotification",{STATUS["v16"]}]')
        assert json.loads(answer) == [3, "1\r\nce-id: x", {}]
    message_id = "1\r\nce-id: x"
    Expected("event", "v16", "StatusNotification", identity, up["session"], message_id, STATUS["v16"]).check(
        await facts.next()
    )


def test_the_key_of_the_tests_is_the_contract_s() -> None:
    """The examples' own arithmetic, to see a common mistake (docs/contract.md 3.1)."""
    assert token("RDAM 1.2*") == "RDAM=201=2E2=2A"
    assert key("v16", "Authorize", "A B", "s", "1/2", "{}") == "A=20B/s/1=2F2"
    assert Fact("s", {}, b"{}").json == {}
