"""Keys, login links and sessions: random secrets of at least 160 bits, of which only hashes are stored.

There is nothing to guess, so the hashes are fast. Keys are stored in the form of the gateway's
(docs/contract.md 3.8).
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_KEY = re.compile(r"vg_([0-9a-f]{12})_([0-9a-f]{40})", re.ASCII)
_HASH = re.compile(r"\$voltgate-sha256\$([0-9a-f]{32})\$([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key of the API: ``text`` is shown once, ``id`` and ``hash`` are stored."""

    text: str
    id: str
    hash: str


def new_key() -> NewKey:
    """A random one."""
    id_, secret, salt = secrets.token_hex(6), secrets.token_hex(20), secrets.token_bytes(16)
    return NewKey(f"vg_{id_}_{secret}", id_, f"$voltgate-sha256${salt.hex()}${_digest(salt, secret)}")


def key_id(text: str) -> str:
    """The id in a key; "" if it is none."""
    found = _KEY.fullmatch(text)
    return found[1] if found else ""


def fits(text: str, hash_: str) -> bool:
    """Whether the hash is one of this key."""
    key, stored = _KEY.fullmatch(text), _HASH.fullmatch(hash_)
    return (
        key is not None
        and stored is not None
        and hmac.compare_digest(_digest(bytes.fromhex(stored[1]), key[2]), stored[2])
    )


def new_secret() -> str:
    """Of a login link or a session."""
    return secrets.token_urlsafe(32)


def id_of(secret: str) -> str:
    """Under which a link or a session is stored: nobody who reads the stream can use it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _digest(salt: bytes, secret: str) -> str:
    return hashlib.sha256(salt + secret.encode()).hexdigest()
