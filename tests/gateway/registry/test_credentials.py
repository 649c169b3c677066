"""Passwords: the header they come in, their hashes, and how many are checked at once."""

import asyncio
import sys
import time
from base64 import b64encode
from collections import Counter

import pytest

from judging import judged
from voltgate.gateway.interfaces import Change
from voltgate.gateway.registry.credentials import (
    Judgement,
    Passwords,
    basic,
    hash_key,
    hash_password,
    is_hash,
    new_key,
)
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


async def test_a_password_that_passed_argon2_is_not_hashed_again(passwords: Passwords) -> None:
    charger = known(hash_password(b"chosen by a person"))
    assert await judged(passwords, charger, b"chosen by a person") is Judgement.PASSED
    told: list[Judgement] = []
    passwords.judge(charger, b"chosen by a person", "", told.append)
    assert told == [Judgement.PASSED], "at once"
    passwords.judge(charger, b"another", "", told.append)
    assert told == [Judgement.PASSED], "another one has to be checked"
    assert await judged(passwords, charger, b"another") is Judgement.WRONG
    assert b"chosen by a person" not in charger.proof


async def test_random_keys_are_judged_at_once_and_nobody_never_passes(passwords: Passwords) -> None:
    told: list[Judgement] = []
    for charger, password in (
        (known(hash_key(b"k" * 20)), b"k" * 20),
        (known(hash_key(b"k" * 20)), b"j" * 20),
        (known(), b""),
        (known("plain"), b"plain"),
        (None, b"k" * 20),
    ):
        passwords.judge(charger, password, "", told.append)
    assert told == [Judgement.PASSED, *[Judgement.WRONG] * 4]


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
    passwords, chargers = Passwords(1, 1, 1), [known(hash_key(key)) for _ in range(1000)]
    told: list[Judgement] = []
    began = time.process_time()
    for charger in chargers:
        passwords.judge(charger, key, "", told.append)
    cost = (time.process_time() - began) / len(chargers)
    sys.stdout.write(f"\na cold login with a generated key: {cost * 1e6:.1f} us\n")
    assert told == [Judgement.PASSED] * len(chargers)
    assert cost < 200e-6
