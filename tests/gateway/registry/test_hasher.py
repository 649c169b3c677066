"""What the process of slow hashes answers to a line."""

import orjson
import pytest

from voltgate.gateway.registry.hasher import answer, hash_password
from voltgate.gateway.registry.hashes import hash_key, new_key


def answered(**question: object) -> str | None:
    found = orjson.loads(answer(orjson.dumps({"id": 7, **question})))
    assert (found["id"], found["seconds"] > 0) == (7, True)
    hash_: str | None = found["hash"]
    return hash_


def test_the_hash_that_a_password_passes() -> None:
    hashes = [hash_password(b"another"), hash_password(b"\xff\x00 chosen")]
    assert answered(hashes=hashes, password=b"\xff\x00 chosen".hex()) == hashes[1]
    assert answered(hashes=hashes, password=b"guess".hex()) is None


@pytest.mark.parametrize("broken", ["$2a$10$" + "a" * 53, "$argon2id$v=19$m=64,t=2,p=1$c2Fsd$aGFz", "plain"])
def test_what_only_looks_like_a_hash_is_passed_by_nothing(broken: str) -> None:
    assert answered(hashes=[broken], password=b"plain".hex()) is None


def test_the_hash_that_is_kept() -> None:
    key = new_key().encode()
    known = hash_key(key)
    assert answered(hashes=[known], password=key.hex(), random=True) == known
    assert (answered(hashes=[], password=key.hex(), random=True) or "").startswith("$voltgate-sha256$")
    assert (answered(hashes=[], password=key.hex(), random=False) or "").startswith("$argon2id$")
