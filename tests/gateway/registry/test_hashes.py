"""Hashes of passwords: which can be checked, and generated keys."""

import pytest

from voltgate.gateway.registry.hasher import hash_password
from voltgate.gateway.registry.hashes import hash_key, is_hash, new_key


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
        ("$2a$10$" + "a" * 53, True),
        ("$2a$10$" + "a" * 52, False),
        ("$2a$13$" + "a" * 53, False),
        ("$2a$03$" + "a" * 53, False),
        ("plain", False),
    ],
    ids=[
        "key",
        "password",
        "trailing",
        "costly",
        "argon2i",
        "2a",
        "2a short",
        "2a costly",
        "2a cheap",
        "plain",
    ],
)
def test_hashes_that_can_be_checked(text: str, known: bool) -> None:
    assert is_hash(text) is known
