"""Listeners that want credentials (docs/contract.md 2.1, 3.8): who comes in; others learn nothing."""

import asyncio
import itertools
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import websockets
from nats.aio.client import Client
from nats.js.kv import KeyValue

from e2e.house import PATIENCE, Gateway, config, gateway
from e2e.logins import KEY, asked, beats, charger, fast, login, slow
from e2e.strangers import Facts, Upgrade, dial, token, until
from jetstream import NatsServer


@pytest.fixture(scope="module")
def closed(nats_server: NatsServer) -> Iterator[Gateway]:
    """Wants credentials; beside it a door that wants a record, and one that takes anybody."""
    doors: list[dict[str, Any]] = [{"allow_unauthenticated": False}, {"unmatched": "close"}]
    own = {"prefix": "closed", "rpc_prefix": "closedrpc", "stream_prefix": "CLOSED"}
    with gateway(config(nats_server, *doors, registry={"required": True}, nats=own)) as running:
        yield running


@pytest.fixture
async def bucket(client: Client, closed: Gateway) -> KeyValue:
    return await client.jetstream().key_value("closed_chargers")


@pytest.fixture
async def facts_of_logins(client: Client, identity: str) -> Facts:
    heard = Facts(client, identity, "closed", "CLOSED")
    await heard.listen()
    return heard


Register = Callable[..., Awaitable[None]]


@pytest.fixture
def register(bucket: KeyValue, identity: str) -> Register:
    """Write the charger's record; a key is its password unless it says otherwise."""

    async def write(**fields: Any) -> None:
        record = {"enabled": True, "password_hashes": [fast(KEY)]} | fields
        await bucket.put(token(identity), json.dumps(record).encode())

    return write


# Authorization header of charger "CP", its record, the reason it is counted under.
REFUSED: list[tuple[str, Callable[[str], str], dict[str, Any] | None, str]] = [
    ("no header", lambda who: "", {}, "no_credentials"),
    ("another scheme", lambda who: "Bearer abc", {}, "no_credentials"),
    ("no base64", lambda who: "Basic !!!", {}, "no_credentials"),
    ("no colon", lambda who: "Basic " + b64encode(who.encode()).decode(), {}, "no_credentials"),
    ("wrong password", lambda who: login(who, b"wrong" * 4), {}, "wrong_password"),
    ("empty password", lambda who: login(who, b""), {}, "wrong_password"),
    ("a longer one", lambda who: login(who, KEY + b"x"), {}, "wrong_password"),
    ("no password kept", lambda who: login(who, KEY), {"password_hashes": []}, "wrong_password"),
    ("a hash of no kind", lambda who: login(who, KEY), {"password_hashes": ["plain"]}, "wrong_password"),
    ("wrong argon2", lambda who: login(who, b"no"), {"password_hashes": [slow(KEY)]}, "wrong_password"),
    ("another user", lambda who: login("CP", KEY), {}, "wrong_user"),
    ("user in other case", lambda who: login(who.lower(), KEY), {}, "wrong_user"),
    ("unknown identity", lambda who: login(who, KEY), None, "unknown_identity"),
    ("disabled", lambda who: login(who, KEY), {"enabled": False}, "disabled"),
    ("another profile", lambda who: login(who, KEY), {"security_profile": 2}, "wrong_profile"),
    ("a record of nonsense", lambda who: login(who, KEY), {"quirks": ["no_such"]}, "unknown_identity"),
]


@pytest.mark.parametrize(
    ("authorization", "record", "reason"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
async def test_whatever_is_wrong_with_credentials_is_one_and_the_same_401(
    closed: Gateway,
    register: Register,
    identity: str,
    authorization: Callable[[str], str],
    record: dict[str, Any] | None,
    reason: str,
) -> None:
    if record is not None:
        await register(**record)
    before = closed.metric("voltgate_handshakes_total", result=reason)
    began = asyncio.get_running_loop().time()
    answer = await asked(closed.port, identity, authorization(identity))
    took = asyncio.get_running_loop().time() - began
    assert (answer.status, answer.body) == (401, b"credentials are missing or wrong\n")
    assert answer.headers["www-authenticate"] == 'Basic realm="voltgate"'
    assert set(answer.headers) == {
        "date", "connection", "content-length", "content-type", "www-authenticate",
    }  # fmt: skip
    assert took >= 0.5, "refused at a fixed time, so that nothing can be measured"
    await closed.counts(before + 1, "voltgate_handshakes_total", result=reason)


PASSWORDS = [
    (
        b"\x00\xff\x80:\xfe" + bytes(11),
        b"\x00\xff\x80:\xfe" + bytes(11),
        "bytes that are no text, a colon too",
    ),
    (bytes(range(236, 256)), bytes(range(236, 256)), "twenty raw bytes (1.6)"),
    (bytes(range(236, 256)), bytes(range(236, 256)).hex().encode(), "kept raw, sent as the digits typed"),
    (bytes(range(20)).hex().encode(), bytes(range(20)).hex().encode(), "a hash over the digits themselves"),
    (bytes(range(20)).hex().encode(), bytes(range(20)), "a hash over the digits, sent as their bytes"),
    ("Zürich-Öl-16 Zeichen".encode(), "Zürich-Öl-16 Zeichen".encode(), "UTF-8 (2.x)"),
]


@pytest.mark.parametrize("kind", [fast, slow])
@pytest.mark.parametrize(("kept", "sent", "why"), PASSWORDS)
async def test_a_password_is_bytes(
    closed: Gateway,
    register: Register,
    identity: str,
    kind: Callable[[bytes], str],
    kept: bytes,
    sent: bytes,
    why: str,
) -> None:
    await register(password_hashes=[kind(kept)])
    async with charger(closed.port, identity, sent) as connected:
        assert await beats(connected), why
    async with charger(closed.port, identity, sent) as connected:
        assert await beats(connected), "again"


async def test_either_of_two_hashes_passes_and_a_removed_one_at_once_no_longer(
    closed: Gateway, register: Register, identity: str
) -> None:
    for first, second in itertools.permutations((fast(KEY), slow(b"another password"))):
        await register(password_hashes=[first, second])
        for password in (KEY, b"another password"):
            async with charger(closed.port, identity, password) as connected:
                assert await beats(connected)
    await register(password_hashes=[slow(b"another password")])
    await until_refused(closed, identity, KEY)
    async with charger(closed.port, identity, b"another password") as connected:
        assert await beats(connected)
    await register(password_hashes=[slow(b"a third password")])
    await until_refused(closed, identity, b"another password")


async def until_refused(closed: Gateway, identity: str, password: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await asked(closed.port, identity, login(identity, password))).status != 401:
            pass


ENDS: list[tuple[dict[str, Any] | None, str, int]] = [
    ({"enabled": False}, "disabled", 1008),
    (None, "removed", 1008),
    ({"versions": ["v201"]}, "record_changed", 1012),
    ({"security_profile": 3}, "record_changed", 1012),
    ({"validation": "off"}, "record_changed", 1012),
    ({"quirks": ["no_ping"]}, "record_changed", 1012),
]


@pytest.mark.parametrize(("change", "reason", "code"), ENDS, ids=[str(end[0]) for end in ENDS])
async def test_a_change_takes_effect_at_once_on_who_is_connected(
    closed: Gateway,
    register: Register,
    bucket: KeyValue,
    client: Client,
    identity: str,
    change: dict[str, Any] | None,
    reason: str,
    code: int,
) -> None:
    heard = Facts(client, identity, "closed", "CLOSED")
    await heard.listen()
    await register()
    async with charger(closed.port, identity) as connected:
        assert await beats(connected)
        if change is None:
            await bucket.delete(token(identity))
        else:
            await register(**change)
        assert await connected.closed() == code
    assert (await heard.link("down"))["reason"] == reason


async def test_a_disabled_charger_is_let_in_again_when_it_is_enabled(
    closed: Gateway, register: Register, identity: str
) -> None:
    await register(enabled=False)
    assert (await asked(closed.port, identity, login(identity, KEY))).status == 401
    await register()
    async with asyncio.timeout(PATIENCE):
        while (await asked(closed.port, identity, login(identity, KEY))).status != 101:
            pass


async def test_the_newest_authenticated_connection_wins_at_once(
    closed: Gateway, register: Register, identity: str
) -> None:
    await register()
    async with charger(closed.port, identity) as old:
        assert await beats(old)
        async with asyncio.timeout(1.5):  # no probe: that would take two seconds
            async with charger(closed.port, identity) as new:
                assert await old.closed() == 1008
                assert await beats(new)


async def test_where_no_credentials_are_wanted_only_the_record_counts(
    closed: Gateway, register: Register, identity: str
) -> None:
    open_port = closed.ports[1]
    assert (await asked(open_port, identity)).status == 404, "no record"
    await register(enabled=False)
    assert (await asked(open_port, identity)).status == 404, "a disabled one"
    await register(security_profile=2)
    await until_status(open_port, identity, 401)
    await register()
    await until_status(open_port, identity, 101)


async def until_status(port: int, identity: str, status: int, protocols: str = "ocpp1.6") -> Upgrade:
    async with asyncio.timeout(PATIENCE):
        while (answer := await asked(port, identity, "", protocols)).status != status:
            pass
    return answer


async def test_a_disabled_charger_stays_out_where_records_are_not_required(
    house: Gateway, client: Client, identity: str
) -> None:
    bucket = await client.jetstream().key_value("ocpp_chargers")
    async with dial(house.port, identity) as connected:
        assert await beats(connected)
        await bucket.put(token(identity), b'{"enabled":false}')
        assert await connected.closed() == 1008
    assert (await asked(house.port, identity)).status == 404
    await bucket.delete(token(identity))
    await until_status(house.port, identity, 101)


async def test_a_version_its_record_does_not_name_is_not_served(
    closed: Gateway, register: Register, identity: str
) -> None:
    await register(versions=["v201"])
    credentials = login(identity, KEY)
    assert (await asked(closed.port, identity, credentials)).status == 400
    answer = await asked(closed.port, identity, credentials, "ocpp1.6, ocpp2.0.1")
    assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "ocpp2.0.1")
    answer = await asked(closed.ports[1], identity)
    assert answer.status == 101, "this door closes instead"
    assert "sec-websocket-protocol" not in answer.headers


async def test_the_alias_of_a_subprotocol_is_a_quirk(
    closed: Gateway, register: Register, identity: str
) -> None:
    await register()
    credentials = login(identity, KEY)
    assert (await asked(closed.port, identity, credentials, "ocpp1.6j")).status == 400
    assert (await asked(closed.port, identity, "", "ocpp1.6j")).status == 401, "nothing is learned from it"
    await register(quirks=["subprotocol_alias"])
    async with asyncio.timeout(PATIENCE):
        while (answer := await asked(closed.port, identity, credentials, "ocpp1.6j")).status != 101:
            pass
    assert answer.headers["sec-websocket-protocol"] == "ocpp1.6j"


async def test_compression_is_not_agreed_with_who_cannot_do_it(
    closed: Gateway, register: Register, identity: str
) -> None:
    await register()
    async with charger(closed.port, identity, compression="deflate") as connected:
        assert "Sec-WebSocket-Extensions" in connected.socket.response.headers
    await register(quirks=["no_compression", "no_ping"])
    async with asyncio.timeout(PATIENCE):
        while True:
            async with charger(closed.port, identity, compression="deflate") as connected:
                agreed = "Sec-WebSocket-Extensions" in connected.socket.response.headers
                try:
                    assert await beats(connected)
                except websockets.ConnectionClosed:
                    continue  # the change came while it was let in
            if not agreed:
                break


async def test_a_charger_that_cannot_take_a_close_frame_is_reset(
    closed: Gateway, register: Register, identity: str
) -> None:
    await register(quirks=["abort_close"])
    async with charger(closed.port, identity) as connected:
        assert await beats(connected)
        await register(enabled=False)
        assert await connected.closed() == 1006


async def test_the_level_of_a_record_beats_the_policy(
    closed: Gateway, register: Register, identity: str
) -> None:
    closed.published.off.add(token(identity))
    bad = '[2,"1","StatusNotification",{"connectorId":"one"}]'
    for level, answer in (("strict", 4), ("lenient", 3), ("off", 3)):
        await register(validation=level)
        async with asyncio.timeout(PATIENCE):
            while True:
                async with charger(closed.port, identity) as connected:
                    try:
                        told = json.loads(await connected.ask(bad))[0]
                    except websockets.ConnectionClosed:
                        continue  # let in by the record before
                if told == answer:
                    break


async def test_refusals_are_told_once_and_then_counted(
    closed: Gateway, register: Register, client: Client, identity: str
) -> None:
    await register()
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append((message.subject, dict(message.headers), json.loads(message.data)))

    await client.subscribe("closed.security.>", cb=hear)
    await client.flush()
    await asyncio.gather(*(asked(closed.port, identity, login(identity, b"x" * 16)) for _ in range(5)))
    mine = f"closed.security.wrong_password.{token(identity)}"
    await until(lambda: any(subject == mine for subject, *_ in heard))
    (headers, body), *others = [(headers, body) for subject, headers, body in heard if subject == mine]
    assert not others, "what follows within a minute is told with it"
    assert (body["reason"], body["identity"], body["count"]) == ("wrong_password", identity, 1)
    assert headers["ce-type"] == "ocpp.security.wrong_password"
    assert all(subject.endswith((f".{token(identity)}", ".-")) for subject, *_ in heard)


RECORDS: list[dict[str, Any] | None] = [
    None,
    {},
    {"password_hashes": [slow(KEY)]},
    {"password_hashes": [fast(KEY), slow(KEY)]},
    {"enabled": False, "password_hashes": [slow(KEY)]},
    {"password_hashes": []},
]


@pytest.mark.parametrize(
    "record", RECORDS, ids=["unknown", "sha256", "argon2", "both", "disabled", "no password"]
)
async def test_a_crowd_of_wrong_passwords_gets_the_same_answers_whatever_the_record_holds(
    closed: Gateway, bucket: KeyValue, identity: str, record: dict[str, Any] | None
) -> None:
    """80 at once from one address: as many are refused as may be asked at once, the others are put off.

    Ten chargers, since one that fails more often in a row has to wait for itself.
    """
    names = [f"{identity}-{number}" for number in range(10)]
    if record is not None:
        fields = {"enabled": True, "password_hashes": [fast(KEY)]} | record
        for name in names:
            await bucket.put(token(name), json.dumps(fields).encode())
    asking = [asked(closed.port, name, login(name, b"no")) for name in names * 8]
    answers = await asyncio.gather(*asking)
    assert Counter(answer.status for answer in answers) == {401: 50, 503: 30}


async def test_whoever_guesses_has_to_wait_longer_each_time(
    closed: Gateway, facts_of_logins: Facts, register: Register, identity: str
) -> None:
    """Ten are free; then the answer is 503 whatever the password is, and a security fact."""
    await register()
    before = closed.metric("voltgate_handshakes_total", result="failed_logins")
    for _ in range(10):
        assert (await asked(closed.port, identity, login(identity, b"no"))).status == 401
    put_off = await asked(closed.port, identity, login(identity, KEY))
    assert put_off.status == 503
    assert int(put_off.headers["retry-after"]) > 0
    assert closed.metric("voltgate_handshakes_total", result="failed_logins") == before + 1
    assert (await facts_of_logins.find(".security.failed_logins.")).json["identity"] == identity
    async with asyncio.timeout(PATIENCE):
        while (await asked(closed.port, identity, login(identity, KEY))).status != 101:
            pass
