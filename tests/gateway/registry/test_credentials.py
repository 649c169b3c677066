"""Passwords: the header they come in, their hashes, and how many are checked at once."""

import asyncio
import hashlib
import hmac
import itertools
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable

import bcrypt
import pytest
from argon2 import PasswordHasher

from judging import Attempt, Threads, judged
from voltgate.gateway.clock import Wheel
from voltgate.gateway.interfaces import Change
from voltgate.gateway.registry.credentials import (
    REFUSED_AFTER,
    Judgement,
    Passwords,
    basic,
)
from voltgate.gateway.registry.hasher import hash_password
from voltgate.gateway.registry.hashes import hash_key, new_key
from voltgate.gateway.registry.record import Known, Record


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


HERE = Attempt("", 0.0)


def known(*hashes: str) -> Known:
    return Known("CP", "CP", Record(enabled=True, password_hashes=hashes))


def fast(hashed: bytes) -> str:
    """Of these very bytes, as another tool may have made it."""
    return f"$voltgate-sha256${'5a' * 16}${hashlib.sha256(b'Z' * 16 + hashed).hexdigest()}"


def slow(hashed: bytes) -> str:
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(hashed)


def brought(hashed: bytes) -> str:
    """As a charger brings it along from another system."""
    return bcrypt.hashpw(hashed, bcrypt.gensalt(4)).decode()


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "bytes": bytes,
    "digits": lambda key: key.hex().encode(),
    "DIGITS": lambda key: key.hex().upper().encode(),
}


@pytest.mark.parametrize("kind", [fast, slow])
@pytest.mark.parametrize("key", [bytes(range(0xF0, 0x100)), bytes(range(0xEC, 0x100))], ids=["16", "20"])
async def test_a_key_passes_as_its_bytes_and_as_the_digits_it_is_typed_in(
    passwords: Passwords, key: bytes, kind: Callable[[bytes], str]
) -> None:
    for hashed, sent in itertools.product(SPELLINGS, repeat=2):
        charger = known(kind(SPELLINGS[hashed](key)))
        assert await judged(passwords, charger, SPELLINGS[sent](key)) is Judgement.PASSED, (hashed, sent)
    assert await judged(passwords, charger, key[::-1].hex().encode()) is Judgement.WRONG


@pytest.mark.parametrize("key", [b"k" * 15, b"k" * 21], ids=["15", "21"])
async def test_what_is_no_key_of_1_6_has_one_spelling(passwords: Passwords, key: bytes) -> None:
    digits = key.hex().encode()
    mixed = [judged(passwords, known(fast(one)), other) for one, other in ((key, digits), (digits, key))]
    assert await asyncio.gather(*mixed) == [Judgement.WRONG] * 2


async def test_the_work_of_a_check_does_not_depend_on_the_record(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/ocpp.md D: as many comparisons whichever spelling was hashed, and where there is no record."""
    key = bytes(range(20))
    compared: list[int] = []
    records = [known(fast(spelling(key))) for spelling in SPELLINGS.values()]
    compare = hmac.compare_digest

    def counted(left: bytes, right: bytes) -> bool:
        compared[-1] += 1
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for charger in (*records, known(fast(b"another")), None):
        compared.append(charger is None)  # nothing was proven by a charger without a record
        await judged(passwords, charger, key)
    assert len(set(compared)) == 1, compared


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


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
async def test_a_bcrypt_hash_of_another_system_is_passed_by_its_password(
    passwords: Passwords, prefix: str
) -> None:
    charger = known(prefix + brought(b"of another system").removeprefix("$2b$"))
    assert await judged(passwords, charger, b"of another systen") is Judgement.WRONG
    assert await judged(passwords, charger, b"of another system") is Judgement.PASSED
    told: list[Judgement] = []
    passwords.judge(charger, b"of another system", HERE, told.append)
    assert told == [Judgement.PASSED], "at once: it is not hashed again"


async def test_a_key_in_digits_passes_a_bcrypt_hash_as_its_bytes_too(passwords: Passwords) -> None:
    key = bytes(range(16))
    assert await judged(passwords, known(brought(key.hex().encode())), key) is Judgement.PASSED


async def test_bcrypt_never_passes_by_a_part_of_the_password(passwords: Passwords) -> None:
    """It reads 72 bytes: of a longer password the rest would not count."""
    assert await judged(passwords, known(brought(b"p" * 72)), b"p" * 72) is Judgement.PASSED
    assert await judged(passwords, known(brought(b"p" * 72)), b"p" * 73) is Judgement.WRONG


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
    passwords, chargers = Passwords(Threads(), 1, 1, clock), [known(hash_key(key)) for _ in range(1000)]
    told: list[Judgement] = []
    began = time.process_time()
    for charger in chargers:
        passwords.judge(charger, key, HERE, told.append)
    cost = (time.process_time() - began) / len(chargers)
    sys.stdout.write(f"\na cold login with a generated key: {cost * 1e6:.1f} us\n")
    assert told == [Judgement.PASSED] * len(chargers)
    assert cost < 200e-6
