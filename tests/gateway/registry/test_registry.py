"""Records, passwords and the registry that follows its bucket, the last one on a real server."""

import asyncio
import json
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import nats
import pytest
from nats.aio.client import Client
from nats.js.kv import KeyValue
from structlog.testing import capture_logs

from jetstream import NatsServer
from processes import PATIENCE
from voltgate.config import Nats
from voltgate.gateway.bus import follow
from voltgate.gateway.bus.bus import Bus
from voltgate.gateway.bus.subscriptions import Subscription, Take
from voltgate.gateway.clock import TICK, Wheel
from voltgate.gateway.interfaces import Change, NotRead
from voltgate.gateway.metrics import Metrics
from voltgate.gateway.registry.credentials import (
    REFUSED_AFTER,
    Judgement,
    Passwords,
    basic,
    hash_key,
    hash_password,
    is_hash,
    new_key,
)
from voltgate.gateway.registry.record import MAX_RECORD, QUIRKS, Known, Record, is_identity, parse
from voltgate.gateway.registry.registry import Registry
from voltgate.gateway.registry.security import Security
from world import Bus as Memory

# records


def test_a_record_says_only_what_differs_and_comes_back_as_it_was() -> None:
    record = Record(enabled=True, security_profile=1, versions=("v16",), quirks=frozenset({"no_ping"}))
    assert json.loads(record.body) == {
        "enabled": True,
        "security_profile": 1,
        "versions": ["v16"],
        "quirks": ["no_ping"],
    }
    assert parse(record.body) == record
    assert json.loads(Record(enabled=False).body) == {"enabled": False}


def test_keys_of_newer_releases_are_passed_over() -> None:
    assert parse(b'{"enabled":true,"colour":"red"}') == Record(enabled=True)
    assert parse(json.dumps({"enabled": True, "quirks": QUIRKS}).encode()).quirks == set(QUIRKS)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{}", "enabled: "),
        (b"nonsense", "record: "),
        (b"[]", "record: "),
        (b'{"enabled":true,"quirks":["secret"]}', "quirks."),
        (b'{"enabled":true,"versions":["secret"]}', "versions.0: "),
        (b'{"enabled":true,"security_profile":4}', "security_profile: "),
        (b'{"enabled":true,"password_hashes":["secret","b","c"]}', "password_hashes: "),
    ],
)
def test_what_is_no_record_is_told_without_its_values(body: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        parse(body)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("identity", "legal"),
    [
        ("CP1", True),
        ("R D.A*M>|%", True),
        ("é" * 48, True),
        ("日" * 32, True),
        ("日" * 33, False),
        ("x" * 49, False),
        ("", False),
        ("a:b", False),
        ("a\tb", False),
        ("a\x85b", False),
        ("a\udcffb", False),
    ],
)
def test_identities(identity: str, legal: bool) -> None:
    assert is_identity(identity) is legal


# credentials


@pytest.mark.parametrize(
    ("header", "given"),
    [
        ("Basic " + b64encode(b"CP:pw").decode(), (b"CP", b"pw")),
        ("basic  " + b64encode(b"CP:pw").decode() + " ", (b"CP", b"pw")),
        ("Basic " + b64encode(b"CP:\x00\xff:").decode(), (b"CP", b"\x00\xff:")),
        ("Basic " + b64encode(b":").decode(), (b"", b"")),
        ("Basic " + b64encode(b"CP").decode(), None),
        ("Basic", None),
        ("Basic \udcff", None),
        ("Bearer " + b64encode(b"CP:pw").decode(), None),
        ("", None),
    ],
)
def test_credentials_are_split_at_the_first_colon(header: str, given: tuple[bytes, bytes] | None) -> None:
    assert basic([header]) == given


def test_two_authorization_headers_are_none() -> None:
    assert basic(["Basic Q1A6cHc="] * 2) is None
    assert basic([]) is None


def test_a_generated_key_fits_every_version() -> None:
    key = new_key()
    assert len(bytes.fromhex(key)) == 20, "1.6: at most 20 bytes, at least 16"
    assert 16 <= len(key) <= 40, "2.x: characters"
    assert new_key() != key


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (hash_key(b"k" * 20), True),
        (hash_password(b"pw"), True),
        (hash_key(b"k" * 20) + "x", False),
        ("$argon2id$v=19$m=999999,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", False),
        ("$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", False),
        ("plain", False),
    ],
    ids=["key", "password", "trailing", "costly", "argon2i", "plain"],
)
def test_hashes_that_can_be_checked(text: str, known: bool) -> None:
    assert is_hash(text) is known


def known(*hashes: str) -> Known:
    return Known("CP", "CP", Record(enabled=True, password_hashes=hashes))


class Attempt(NamedTuple):
    """credentials.Attempt."""

    address: str
    at: float


async def judged(
    passwords: Passwords, charger: Known | None, password: bytes, address: str = "1.1.1.1"
) -> Judgement:
    verdict: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
    passwords.judge(charger, password, Attempt(address, time.monotonic()), verdict.set_result)
    return await verdict


HERE = Attempt("", 0.0)


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    clock = Wheel(time.monotonic, time.time)
    made = Passwords(1, 3, 2, clock)

    async def turn() -> None:
        while True:
            await asyncio.sleep(TICK)
            clock.advance()

    turning = asyncio.create_task(turn())
    yield made
    turning.cancel()
    made.stop()


async def test_a_password_that_passed_argon2_is_not_hashed_again(passwords: Passwords) -> None:
    charger = known(hash_password(b"chosen by a person"))
    assert await judged(passwords, charger, b"chosen by a person") is Judgement.PASSED
    told: list[Judgement] = []
    passwords.judge(charger, b"chosen by a person", HERE, told.append)
    assert told == [Judgement.PASSED], "at once"
    passwords.judge(charger, b"another", HERE, told.append)
    assert told == [Judgement.PASSED], "another one has to be checked"
    assert await judged(passwords, charger, b"another") is Judgement.WRONG
    assert b"chosen by a person" not in charger.proof


async def test_nobody_passes_without_the_password(passwords: Passwords) -> None:
    for charger, password, verdict in (
        (known(hash_key(b"k" * 20)), b"k" * 20, Judgement.PASSED),
        (known(hash_key(b"k" * 20)), b"j" * 20, Judgement.WRONG),
        (known(), b"", Judgement.WRONG),
        (known("plain"), b"plain", Judgement.WRONG),
        (None, b"k" * 20, Judgement.WRONG),
    ):
        assert await judged(passwords, charger, password) is verdict


@pytest.mark.parametrize("hashes", [(), (hash_key(b"k" * 20),), (hash_password(b"chosen"),), ("plain",)])
async def test_what_an_overload_does_to_a_wrong_password_says_nothing_about_the_record(
    passwords: Passwords, hashes: tuple[str, ...]
) -> None:
    """As many 401 and 503, and at the same time, for each kind of record; a right one is not affected."""
    charger, right = known(*hashes), known(hash_key(b"k" * 20))
    began = time.monotonic()
    times: list[float] = []

    async def guess(charger: Known | None, address: str) -> Judgement:
        verdict = await judged(passwords, charger, b"guess", address)
        times.append(time.monotonic() - began)
        return verdict

    from_one = [guess(one, "6.6.6.6") for one in (charger, None) * 10]
    from_all = [guess(charger, f"1.1.1.{n}") for n in range(20)]
    guesses = [asyncio.ensure_future(one) for one in from_one + from_all]
    await asyncio.sleep(0)
    assert await judged(passwords, right, b"k" * 20, "6.6.6.6") is Judgement.PASSED
    assert time.monotonic() - began < REFUSED_AFTER
    assert Counter(await asyncio.gather(*guesses)) == {Judgement.WRONG: 3, Judgement.CROWDED: 37}
    assert min(times) >= REFUSED_AFTER


async def test_more_slow_hashes_than_max_hashes_are_turned_away(passwords: Passwords) -> None:
    charger = known(hash_password(b"chosen by a person"))
    verdicts = await asyncio.gather(*(judged(passwords, charger, b"", f"1.1.1.{n}") for n in range(4)))
    assert verdicts == [*[Judgement.WRONG] * 3, Judgement.CROWDED]
    assert await judged(passwords, charger, b"chosen by a person") is Judgement.PASSED, (
        "and others when these are done"
    )


async def test_a_flood_of_wrong_passwords_from_one_address_keeps_nobody_else_out(
    passwords: Passwords,
) -> None:
    """max_hashes_per_address; the charger they guess at comes in too (docs/ocpp.md D)."""
    target, other = known(hash_password(b"chosen by a person")), known(hash_password(b"by another"))
    flood = [asyncio.ensure_future(judged(passwords, target, b"guess", "6.6.6.6")) for _ in range(20)]
    await asyncio.sleep(0)
    assert await judged(passwords, other, b"by another", "1.1.1.1") is Judgement.PASSED
    assert await judged(passwords, target, b"chosen by a person", "1.1.1.1") is Judgement.PASSED
    assert Counter(await asyncio.gather(*flood)) == {Judgement.WRONG: 2, Judgement.CROWDED: 18}
    assert await judged(passwords, target, b"chosen by a person", "6.6.6.6") is Judgement.PASSED, (
        "when these are done"
    )
    assert not passwords._asking, "an address that asks for nothing is forgotten"


async def test_a_new_password_is_hashed_by_what_is_known_of_it(passwords: Passwords) -> None:
    """Fast only on the word of whoever made it; one that is in the record already is recognised."""

    async def kept(password: bytes, random: bool, *hashes: str) -> str | None:
        made: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        passwords.hash(Change("CP", password, random), hashes, made.set_result)
        return await made

    key = new_key().encode()
    for password, random, kind in (
        (key, True, "$voltgate-sha256$"),
        (key, False, "$argon2id$"),
        (b"too short", True, "$argon2id$"),
    ):
        hash_ = await kept(password, random)
        assert hash_ is not None
        assert hash_.startswith(kind)
        assert await judged(passwords, known(hash_), password) is Judgement.PASSED
        assert await kept(password, random, hash_key(b"x" * 20), hash_) == hash_


async def test_which_of_two_passwords_let_the_charger_in_is_known(passwords: Passwords) -> None:
    hashes = hash_password(b"chosen by a person"), hash_key(b"k" * 20)
    charger = known(*hashes)
    for password, hash_ in [(b"k" * 20, hashes[1]), (b"chosen by a person", hashes[0])] * 2:
        assert await judged(passwords, charger, password) is Judgement.PASSED
        assert charger.passed == hash_


def test_what_a_cold_login_with_a_generated_key_costs() -> None:
    """docs/ocpp.md D5: salted SHA-256 costs microseconds; 10,000 of them may not delay a storm."""
    key = new_key().encode()
    clock = Wheel(time.monotonic, time.time)
    passwords, chargers = Passwords(1, 1, 1, clock), [known(hash_key(key)) for _ in range(1000)]
    told: list[Judgement] = []
    began = time.process_time()
    for charger in chargers:
        passwords.judge(charger, key, HERE, told.append)
    cost = (time.process_time() - began) / len(chargers)
    sys.stdout.write(f"\na cold login with a generated key: {cost * 1e6:.1f} us\n")
    assert told == [Judgement.PASSED] * len(chargers)
    assert cost < 200e-6


def test_the_identity_that_is_a_dash_does_not_share_the_token_of_strangers() -> None:
    now = 100.0
    bus = Memory(Wheel(lambda: now, lambda: now))
    security = Security(bus, bus.clock, "ocpp", "gw")
    security.note("wrong_password", None, "6.6.6.6:1")
    security.note("wrong_password", Known("-", "-", Record(enabled=True)), "1.1.1.1:1")
    assert [(one.subject, json.loads(one.data)["identity"]) for one in bus.live] == [
        ("ocpp.security.wrong_password.-", None),
        ("ocpp.security.wrong_password.=2D", "-"),
    ]


def test_a_record_that_is_large_is_none() -> None:
    body = json.dumps({"enabled": True, "certificate_cn": "x" * MAX_RECORD}).encode()
    with pytest.raises(ValueError, match="more than 16384 bytes"):
        parse(body)


# the registry


class House:
    """A bus, its clock turning, and a registry that notes what it is told."""

    def __init__(self, url: str) -> None:
        self.clock = Wheel(time.monotonic, time.time)
        self.bus = Bus(Nats(url=url), self.clock, Metrics())
        self.changes: list[tuple[str, Known | None]] = []
        self.registry = Registry(
            self.bus, self.clock, "OCPP", lambda identity, known: self.changes.append((identity, known))
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.bus.start()
        self._tasks = [asyncio.create_task(self._turn()), asyncio.create_task(self.registry.run())]

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.clock.advance()

    async def stop(self) -> None:
        while left := [task for task in self._tasks if not task.done()]:
            for task in left:
                task.cancel()  # nats-py may swallow it
            await asyncio.wait(left, timeout=1)
        await self.bus.stop()

    async def find(self, identity: str) -> Known | NotRead:
        found: asyncio.Future[Known | NotRead] = asyncio.get_running_loop().create_future()
        self.registry.find(identity, found.set_result)
        async with asyncio.timeout(PATIENCE):
            return await found

    def find_now(self, identity: str) -> list[Known | NotRead]:
        """What is found without asking NATS."""
        found: list[Known | NotRead] = []
        self.registry.find(identity, found.append)
        return found

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await asyncio.sleep(0.01)


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    async def quiet(error: Exception) -> None:
        del error  # the server is killed in one test

    client = await nats.connect(nats_server.url, error_cb=quiet)
    yield client
    await client.close()


@pytest.fixture
async def bucket(client: Client) -> KeyValue:
    return await client.jetstream().create_key_value(bucket="ocpp_chargers", direct=True)


@pytest.fixture
async def house(nats_server: NatsServer, bucket: KeyValue) -> AsyncIterator[House]:
    made = House(nats_server.url)
    await made.start()
    await made.until(lambda: made.registry._follow.keeps_up)
    yield made
    await made.stop()


async def test_a_record_is_read_once_and_kept_until_it_changes(house: House, bucket: KeyValue) -> None:
    assert await house.find("CP 1") is NotRead.MISSING
    await bucket.put("CP=201", b'{"enabled":true}')
    await house.until(lambda: house.changes)
    (first,) = house.find_now("CP 1")
    assert isinstance(first, Known)
    assert (first.identity, first.token, first.record) == ("CP 1", "CP=201", Record(enabled=True))
    first.proof = b"of a password"
    assert house.find_now("CP 1") == [first]
    await bucket.put("CP=201", b'{"enabled":false}')
    await house.until(lambda: len(house.changes) == 2)
    (second,) = house.find_now("CP 1")
    assert isinstance(second, Known)
    assert (second.record.enabled, second.proof) == (False, b""), "what was proved is forgotten with it"
    await bucket.delete("CP=201")
    await house.until(lambda: len(house.changes) == 3)
    assert house.changes[2] == ("CP 1", None)
    assert await house.find("CP 1") is NotRead.MISSING


async def test_what_was_written_before_the_start_is_read_on_demand(
    house: House, client: Client, nats_server: NatsServer
) -> None:
    await client.jetstream().publish("$KV.ocpp_chargers.CP2", b'{"enabled":true}')
    other = House(nats_server.url)
    await other.start()
    try:
        assert isinstance(await other.find("CP2"), Known), "also while the bucket is not followed yet"
        await other.until(lambda: other.registry._follow.keeps_up)
        assert other.changes == []
        assert isinstance(await other.find("CP2"), Known)
        assert other.find_now("CP2"), "kept"
    finally:
        await other.stop()


async def test_a_password_hash_of_an_unknown_kind_passes_nothing_and_is_logged_once(
    house: House, bucket: KeyValue, passwords: Passwords
) -> None:
    """The rest of the record, and the hash beside it, count as ever (docs/compatibility.md)."""
    record = {"enabled": True, "password_hashes": ["$scrypt$a-later-release", hash_key(b"k" * 20)]}
    with capture_logs() as logs:
        for number in range(2):
            await bucket.put("CP9", json.dumps(record | {"written": number}).encode())
            await house.until(lambda number=number: len(house.changes) == number + 1)
    assert [(log["event"], log["identity"]) for log in logs] == [("registry.hash_refused", "CP9")]
    (charger,) = house.find_now("CP9")
    assert isinstance(charger, Known)
    assert await judged(passwords, charger, b"k" * 20) is Judgement.PASSED
    assert await judged(passwords, charger, b"$scrypt$a-later-release") is Judgement.WRONG


async def test_a_record_that_says_nothing_clear_lets_nobody_in(house: House, bucket: KeyValue) -> None:
    await bucket.put("CP3", b'{"enabled":"perhaps"}')
    assert await house.find("CP3") is NotRead.MISSING


async def test_a_consumer_that_is_gone_is_replaced_and_nothing_is_missed(
    house: House, bucket: KeyValue, client: Client
) -> None:
    for consumer in await client.jsm().consumers_info("KV_ocpp_chargers"):
        await client.jsm().delete_consumer("KV_ocpp_chargers", consumer.name)
    await bucket.put("CP4", b'{"enabled":false}')
    await house.until(lambda: house.changes)
    assert house.changes[0][0] == "CP4"


async def test_a_bucket_that_was_made_anew_is_not_the_one_that_was_read(
    house: House, bucket: KeyValue, client: Client
) -> None:
    """Whoever had a record in the old one has none, however much the new one holds by the time it is seen."""
    await bucket.put("CP6", b'{"enabled":true}')
    await house.until(lambda: house.find_now("CP6"))
    await client.jetstream().delete_key_value("ocpp_chargers")
    await client.jetstream().create_key_value(bucket="ocpp_chargers", direct=True)
    for _ in range(2):
        await bucket.put("CP7", b'{"enabled":true}')
    await house.until(lambda: len(house.changes) == 2)
    assert await house.find("CP6") is NotRead.MISSING


async def test_who_follows_the_whole_stream_is_told_the_past_also_by_a_second_try(
    house: House, bucket: KeyValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NATS did not take the first one: what stood before is not passed over."""
    await bucket.put("CP6", b'{"enabled":true}')
    await bucket.put("CP7", b'{"enabled":true}')
    tries: list[Take] = []
    told: list[str] = []

    open_inbox = house.bus.open_inbox

    async def fails_once(take: Take) -> Subscription:
        tries.append(take)
        if len(tries) == 1:
            raise TimeoutError
        return await open_inbox(take)

    monkeypatch.setattr(follow, "_AGAIN", 0.0)
    monkeypatch.setattr(house.bus, "open_inbox", fails_once)
    made = follow.Follow(house.bus, house.clock, "KV_ocpp_chargers", whole=True)
    made.listen(lambda subject, _: told.append(subject[-3:]))
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(PATIENCE):
        await made.caught_up.wait()
    while not running.done():
        running.cancel()  # nats-py may swallow it
        await asyncio.wait([running], timeout=1)
    assert told == ["CP6", "CP7"]


async def test_a_registry_that_cannot_be_read_says_so(house: House, nats_server: NatsServer) -> None:
    nats_server.kill()
    await house.until(lambda: not house.bus.connected)
    assert await house.find("CP5") is NotRead.UNREADABLE
