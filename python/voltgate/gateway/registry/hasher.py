"""What is slow on purpose, argon2id and bcrypt, in a process of its own beside each worker.

In a thread of the worker it would delay connected chargers: a thread of low priority that is interrupted
while it has the interpreter's lock keeps the loop waiting, and argon2 takes 19 MB at a time. The other side
is ``hashing``; both ends are lines of JSON on pipes. It ends with its standard input.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import bcrypt
import orjson
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from argon2.low_level import Type, error_to_str

from voltgate.gateway.registry.hashes import BCRYPT, forms, hash_key, is_slow, key_bytes, passes_fast

NICE = 10  # connected chargers come before passwords
_BCRYPT_READS = 72  # bytes of a password; some implementations drop the rest
_NO_MEMORY = error_to_str(-22)  # ARGON2_MEMORY_ALLOCATION_ERROR of argon2.h
_argon2 = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)


def hash_password(password: bytes) -> str:
    """The hash of a password that a person chose: argon2id, milliseconds and megabytes on purpose."""
    return _argon2.hash(key_bytes(password))


def passes_slow(hashes: Sequence[str], password: bytes) -> str | None:
    """The first of ``hashes`` that it passes; the likeliest form is tried on all of them first."""
    for form in forms(password):
        for hash_ in hashes:
            if _passes(hash_, form):
                return hash_
    return None


def _passes(hash_: str, form: bytes) -> bool:
    try:
        if BCRYPT.fullmatch(hash_):
            return len(form) <= _BCRYPT_READS and bcrypt.checkpw(form, hash_.encode())
        return _argon2.verify(hash_, form)
    except (Argon2Error, ValueError) as error:  # another password; or not a hash, for all its looks
        if str(error) == _NO_MEMORY:
            raise
        return False


def kept(password: bytes, random: bool, hashes: Sequence[str]) -> str:
    """The one of ``hashes`` that ``password`` passes, else a new one."""
    spelled = forms(password)
    fast = (hash_ for hash_ in hashes if passes_fast(hash_, spelled))
    known = next(fast, None) or passes_slow([hash_ for hash_ in hashes if is_slow(hash_)], password)
    if known is not None:
        return known
    # A random key looks like the digest of a short word: hashed fast only where its creator says it is
    # random.
    return hash_key(password) if random and len(key_bytes(password)) >= 16 else hash_password(password)


def answer(line: bytes) -> bytes:
    """The answer to one line: ``{"id", "password": hex, "hashes"}`` asks which of the hashes it passes, and
    with ``"random"`` which hash is to be kept of it. ``{"id", "hash": text or null, "seconds"}``, or
    ``{"id", "error"}`` where it cannot be known.
    """
    asked, began = orjson.loads(line), time.monotonic()
    password, hashes = bytes.fromhex(asked["password"]), asked["hashes"]
    said: dict[str, object] = {"id": asked["id"]}
    try:
        if "random" in asked:
            said["hash"] = kept(password, asked["random"], hashes)
        else:
            said["hash"] = passes_slow(hashes, password)
        said["seconds"] = time.monotonic() - began
    except Exception as error:  # whatever it is: a question without an answer keeps its place
        said["error"] = str(error) or type(error).__name__
    return orjson.dumps(said) + b"\n"


def _yield() -> None:
    """Take a low priority, where the system lets us."""
    with suppress(OSError):
        os.nice(NICE)
        # That counts among the processes of one session, where Linux groups them by sessions (sched(7)).
        Path("/proc/self/autogroup").write_text(f"{NICE}")


def main() -> None:
    """Answer what comes on standard input, as many at a time as the argument says."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # it ends with its worker, which may be draining
        signal.signal(ending, signal.SIG_IGN)
    _yield()
    pool = ThreadPoolExecutor(int(sys.argv[1]), "passwords")
    for line in sys.stdin.buffer:
        # Short lines: each is written at once and whole (pipe(7)).
        pool.submit(lambda line=line: os.write(1, answer(line)))  # type: ignore[misc]
    os._exit(0)


if __name__ == "__main__":
    main()
