"""Passwords of chargers: how they arrive (HTTP Basic), how they are stored (hashes), how one is checked.

Passwords are bytes here: those of OCPP 1.6 need not be text (docs/ocpp.md A23). No result says which hash
failed, or whether there was one.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import Protocol

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type

from voltgate.gateway.interfaces import Change, Clock
from voltgate.gateway.registry.record import Known

_FAST = re.compile(r"\$voltgate-sha256\$([0-9a-f]{32})\$([0-9a-f]{64})", re.ASCII)
_SLOW = re.compile(r"\$argon2id\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d{1,2})\$[\w+/]+\$[\w+/]+", re.ASCII)
_MAX_MEMORY = 1 << 18  # KiB: a record must not exhaust the gateway's memory
# Never made here: what chargers bring along that come from another system (docs/migrate.md).
_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_MAX_COST = 12  # 0.24 s of CPU; 10, the usual one, takes 0.06 s
_BCRYPT_READS = 72  # bytes of a password; some implementations drop the rest
_KEY_TEXT = re.compile(rb"(?:[0-9a-fA-F]{2}){16,20}")
_argon2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


def basic(headers: Iterable[str]) -> tuple[bytes, bytes] | None:
    """User name and password of the ``Authorization`` header; None where there is not exactly one valid."""
    values = list(headers)
    if len(values) != 1:
        return None
    scheme, _, code = values[0].strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(code.strip().encode("ascii"), validate=True).partition(b":")
    except (UnicodeEncodeError, binascii.Error):
        return None
    return (user, password) if colon else None


def new_key() -> str:
    """A random key of 160 bits: 20 bytes for 1.6, 40 characters for 2.x (docs/ocpp.md A23)."""
    return secrets.token_hex(20)


def hash_key(key: bytes) -> str:
    """The hash of a random key of at least 128 bits: there is nothing to guess, so it may be fast."""
    salt = secrets.token_bytes(16)
    return f"$voltgate-sha256${salt.hex()}${hashlib.sha256(salt + _key_bytes(key)).hexdigest()}"


def hash_password(password: bytes) -> str:
    """The hash of a password that a person chose: argon2id, milliseconds and megabytes on purpose."""
    return _argon2.hash(_key_bytes(password))


def is_hash(text: str) -> bool:
    """Whether ``text`` is a hash that can be checked here."""
    return bool(_FAST.fullmatch(text)) or _is_slow(text)


def _is_slow(text: str) -> bool:
    if slow := _SLOW.fullmatch(text):
        return int(slow[1]) <= _MAX_MEMORY and int(slow[2]) <= 16
    brought = _BCRYPT.fullmatch(text)
    return brought is not None and 4 <= int(brought[1]) <= _MAX_COST


def _key_bytes(password: bytes) -> bytes:
    """A key of 16 to 20 bytes may be sent as it is or as the hex digits it was typed in (docs/ocpp.md B)."""
    return bytes.fromhex(password.decode()) if _KEY_TEXT.fullmatch(password) else password


def _forms(password: bytes) -> tuple[bytes, ...]:
    """The spellings that count as ``password``: a key may be hashed, and sent, as its bytes or as hex digits.

    How many there are depends on what was sent, never on the record.
    """
    key = _key_bytes(password)
    digits = (key.hex().encode(), key.hex().upper().encode()) if 16 <= len(key) <= 20 else ()
    return tuple(dict.fromkeys((key, password, *digits)))


def _passes_fast(hash_: str, forms: Sequence[bytes]) -> bool:
    parts = _FAST.fullmatch(hash_)
    if parts is None:
        return False
    salt, digest = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    # All of them, so that the time does not say which one passed.
    passed = [hmac.compare_digest(hashlib.sha256(salt + form).digest(), digest) for form in forms]
    return any(passed)


def _passes_slow(hashes: Sequence[str], password: bytes) -> str | None:
    """The first of ``hashes`` that it passes; the likeliest form is tried on all of them first."""
    for form in _forms(password):
        for hash_ in hashes:
            if _passes(hash_, form):
                return hash_
    return None


def _passes(hash_: str, form: bytes) -> bool:
    if _BCRYPT.fullmatch(hash_):
        return len(form) <= _BCRYPT_READS and bcrypt.checkpw(form, hash_.encode())
    try:
        return _argon2.verify(hash_, form)
    except (Argon2Error, InvalidHashError):
        return False


def _kept(password: bytes, random: bool, hashes: tuple[str, ...]) -> str:
    """The one of ``hashes`` that ``password`` passes, else a new one."""
    forms = _forms(password)
    fast = (hash_ for hash_ in hashes if _passes_fast(hash_, forms))
    known = next(fast, None) or _passes_slow([hash_ for hash_ in hashes if _is_slow(hash_)], password)
    if known is not None:
        return known
    # A random key looks like the digest of a short word: hashed fast only where its creator says it is
    # random.
    return hash_key(password) if random and len(_key_bytes(password)) >= 16 else hash_password(password)


def _timed(hashes: Sequence[str], password: bytes) -> tuple[str | None, float]:
    """The first of ``hashes`` that it passes, and the seconds the check took."""
    began = time.monotonic()
    return _passes_slow(hashes, password), time.monotonic() - began


def _yield_to_the_loop() -> None:
    """Where a thread has a priority of its own: connected chargers come before passwords."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class Attempt(Protocol):
    """A login."""

    @property
    def address(self) -> str:
        """Where from."""

    @property
    def at(self) -> float:
        """When it was asked for, by the clock."""


class Judgement(Enum):
    """What became of a password."""

    PASSED = auto()
    WRONG = auto()
    CROWDED = auto()  # too many passwords are being checked already: it was not


Judged = Callable[[Judgement], None]

# Seconds after the request at which a refusal is told, whatever is wrong: the time says nothing about the
# reason, and guessing is slow.
REFUSED_AFTER = 0.5
_NICE = 10
_GUESS = 0.05  # seconds an argon2 check takes, until one has been measured


class Passwords:
    """Checks passwords: random keys on the loop, others in a few threads beside it.

    A password that passed is remembered as a keyed MAC beside its record, in memory, and forgotten with it:
    a storm of reconnecting chargers costs no second argon2 (docs/ocpp.md D).

    A password that did not pass at once takes one of a bounded number of slots until it is answered, whether
    argon2 has to check it or nothing has: what an overload does to a login says nothing about the record.
    """

    def __init__(self, threads: int, most: int, most_of_one: int, clock: Clock) -> None:
        """``most``: slots; ``most_of_one``: of one address."""
        self._pool = ThreadPoolExecutor(threads, "passwords", _yield_to_the_loop)
        self._threads, self._clock = threads, clock
        self._most, self._most_of_one, self._busy, self._hashing = most, most_of_one, 0, 0
        self._asking: Counter[str] = Counter()  # by address: the slots it has
        self._check_takes = _GUESS
        self._secret = secrets.token_bytes(32)
        self._no_hash = hash_key(secrets.token_bytes(20))

    def judge(self, known: Known | None, password: bytes, attempt: Attempt, judged: Judged) -> None:
        """Whether ``password`` is that of ``known``; WRONG for None, at the same cost and the same time.

        Guesses are bounded per address, never per identity: else any client could lock a charger out
        (docs/ocpp.md D).
        """
        hashes = known.record.password_hashes if known is not None else ()
        proof = hashlib.blake2b(password, key=self._secret, digest_size=32).digest()
        if known is not None and hmac.compare_digest(known.proof, proof):
            judged(Judgement.PASSED)
            return
        forms = _forms(password)
        fast = [_passes_fast(hash_, forms) for hash_ in hashes or (self._no_hash,)]
        if known is not None and any(fast):
            known.proof, known.passed = proof, hashes[fast.index(True)]
            judged(Judgement.PASSED)
            return
        address = attempt.address
        if self._busy >= self._most or self._asking[address] >= self._most_of_one:
            self._at(attempt.at + REFUSED_AFTER, judged, Judgement.CROWDED)
            return
        self._busy += 1
        self._asking[address] += 1
        # Also later than all checks that wait before it, were they argon2.
        due = attempt.at + max(REFUSED_AFTER, self._busy * self._check_takes / self._threads)

        def end(judgement: Judgement) -> None:
            self._busy -= 1
            self._asking -= Counter([address])  # drops those that ask for none
            judged(judgement)

        slow = [hash_ for hash_ in hashes if _is_slow(hash_)]
        if known is None or not slow:
            self._at(due, end, Judgement.WRONG)
            return

        def checked(done: "asyncio.Future[tuple[str | None, float]]") -> None:
            if done.cancelled():
                return
            passed, took = done.result()
            self._check_takes = max(took, 0.9 * self._check_takes)
            if passed is None:
                self._at(due, end, Judgement.WRONG)
            else:
                known.proof, known.passed = proof, passed
                end(Judgement.PASSED)

        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._pool, _timed, slow, password).add_done_callback(checked)

    def _at(self, due: float, fire: Judged, judgement: Judgement) -> None:
        self._clock.after(max(due - self._clock.now, 0.0), fire, judgement)

    def hash(self, change: Change, hashes: tuple[str, ...], hashed: Callable[[str | None], None]) -> None:
        """See rotation.Hash."""
        if self._hashing >= self._most:
            hashed(None)
            return

        def made(done: "asyncio.Future[str]") -> None:
            self._hashing -= 1
            if not done.cancelled():
                hashed(done.result())

        self._hashing += 1
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._pool, _kept, change.password, change.random, hashes).add_done_callback(
            made
        )

    def stop(self) -> None:
        """End the threads; passwords that wait for one are not judged."""
        self._pool.shutdown(wait=False, cancel_futures=True)
