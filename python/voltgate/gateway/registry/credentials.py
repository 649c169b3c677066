"""Passwords of chargers: how they arrive (HTTP Basic), and how one is checked.

No result says which hash failed, or whether there was one.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Protocol

from voltgate.gateway.interfaces import Change, Clock
from voltgate.gateway.registry.hashes import forms, hash_key, is_slow, passes_fast
from voltgate.gateway.registry.hashing import Hashed, Hasher
from voltgate.gateway.registry.record import Known


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
_GUESS = 0.05  # seconds an argon2 check takes, until one has been measured


class Passwords:
    """Checks passwords: random keys on the loop, others by ``hasher``.

    A password that passed is remembered as a keyed MAC beside its record, in memory, and forgotten with it:
    a storm of reconnecting chargers costs no second argon2 (docs/ocpp.md D).

    A password that did not pass at once takes one of a bounded number of slots until it is answered, whether
    argon2 has to check it or nothing has: what an overload does to a login says nothing about the record.
    """

    def __init__(self, hasher: Hasher, most: int, most_of_one: int, clock: Clock) -> None:
        """``most``: slots; ``most_of_one``: of one address."""
        self._hasher, self._clock = hasher, clock
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
        spelled = forms(password)
        fast = [passes_fast(hash_, spelled) for hash_ in hashes or (self._no_hash,)]
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
        due = attempt.at + max(REFUSED_AFTER, self._busy * self._check_takes / self._hasher.threads)

        def end(judgement: Judgement) -> None:
            self._busy -= 1
            self._asking -= Counter([address])  # drops those that ask for none
            judged(judgement)

        slow = [hash_ for hash_ in hashes if is_slow(hash_)]
        if known is None or not slow:
            self._at(due, end, Judgement.WRONG)
            return

        def checked(found: Hashed | None) -> None:
            if found is None:
                self._at(due, end, Judgement.CROWDED)
                return
            self._check_takes = max(found.seconds, 0.9 * self._check_takes)
            if found.hash is None:
                self._at(due, end, Judgement.WRONG)
            else:
                known.proof, known.passed = proof, found.hash
                end(Judgement.PASSED)

        self._hasher.check(slow, password, checked)

    def _at(self, due: float, fire: Judged, judgement: Judgement) -> None:
        self._clock.after(max(due - self._clock.now, 0.0), fire, judgement)

    def hash(self, change: Change, hashes: tuple[str, ...], hashed: Callable[[str | None], None]) -> None:
        """See rotation.Hash."""
        if self._hashing >= self._most:
            hashed(None)
            return

        def made(found: Hashed | None) -> None:
            self._hashing -= 1
            hashed(found.hash if found is not None else None)

        self._hashing += 1
        self._hasher.keep(change.password, change.random, hashes, made)

    async def stop(self) -> None:
        """Passwords that are being checked are not judged."""
        await self._hasher.stop()
