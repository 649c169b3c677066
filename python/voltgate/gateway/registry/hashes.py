"""Hashes of chargers' passwords: which there are, and those of random keys, which are fast.

Passwords are bytes here: those of OCPP 1.6 need not be text (docs/ocpp.md A23). What is slow on purpose is in
``hasher``.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

_FAST = re.compile(r"\$voltgate-sha256\$([0-9a-f]{32})\$([0-9a-f]{64})", re.ASCII)
_SLOW = re.compile(r"\$argon2id\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d{1,2})\$[\w+/]+\$[\w+/]+", re.ASCII)
_MAX_MEMORY = 1 << 18  # KiB: a record must not exhaust the gateway's memory
# Never made here: what chargers bring along that come from another system (docs/migrate.md).
BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_MAX_COST = 12  # 0.24 s of CPU; 10, the usual one, takes 0.06 s
_KEY_TEXT = re.compile(rb"(?:[0-9a-fA-F]{2}){16,20}")


def new_key() -> str:
    """A random key of 160 bits: 20 bytes for 1.6, 40 characters for 2.x (docs/ocpp.md A23)."""
    return secrets.token_hex(20)


def hash_key(key: bytes) -> str:
    """The hash of a random key of at least 128 bits: there is nothing to guess, so it may be fast."""
    salt = secrets.token_bytes(16)
    return f"$voltgate-sha256${salt.hex()}${hashlib.sha256(salt + key_bytes(key)).hexdigest()}"


def is_hash(text: str) -> bool:
    """Whether ``text`` is a hash that can be checked here."""
    return bool(_FAST.fullmatch(text)) or is_slow(text)


def is_slow(text: str) -> bool:
    """Whether it is one that ``hasher`` checks."""
    if slow := _SLOW.fullmatch(text):
        return int(slow[1]) <= _MAX_MEMORY and int(slow[2]) <= 16
    brought = BCRYPT.fullmatch(text)
    return brought is not None and 4 <= int(brought[1]) <= _MAX_COST


def key_bytes(password: bytes) -> bytes:
    """A key of 16 to 20 bytes may be sent as it is or as the hex digits it was typed in (docs/ocpp.md B)."""
    return bytes.fromhex(password.decode()) if _KEY_TEXT.fullmatch(password) else password


def forms(password: bytes) -> tuple[bytes, ...]:
    """The spellings that count as ``password``: a key may be hashed, and sent, as its bytes or as hex digits.

    How many there are depends on what was sent, never on the record.
    """
    key = key_bytes(password)
    digits = (key.hex().encode(), key.hex().upper().encode()) if 16 <= len(key) <= 20 else ()
    return tuple(dict.fromkeys((key, password, *digits)))


def passes_fast(hash_: str, spelled: Sequence[bytes]) -> bool:
    """Whether one of these spellings passes the hash of a random key."""
    parts = _FAST.fullmatch(hash_)
    if parts is None:
        return False
    salt, digest = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    # All of them, so that the time does not say which one passed.
    passed = [hmac.compare_digest(hashlib.sha256(salt + form).digest(), digest) for form in spelled]
    return any(passed)
