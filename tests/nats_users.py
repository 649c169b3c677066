"""Users of NATS that prove who they are by a signature: nkey seeds, and creds files of an operator."""

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys


class Key:
    """A new key pair: its public key, and its seed."""

    def __init__(self, kind: int) -> None:
        self.seed = bytes(nkeys.encode_seed(os.urandom(32), kind)).decode()
        self.public = nkeys.from_seed(bytearray(self.seed.encode())).public_key.decode()

    def sign(self, subject: str, name: str, nats: dict[str, Any]) -> str:
        """A JWT of version 2 about ``subject``."""
        claims = {"iat": int(time.time()), "iss": self.public, "name": name, "sub": subject, "nats": nats}
        digest = hashlib.sha256(json.dumps(claims).encode()).digest()
        claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        return f"{text}.{_encoded(nkeys.from_seed(bytearray(self.seed.encode())).sign(text.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def user() -> Key:
    """For ``users: [{ nkey: ... }]``."""
    return Key(nkeys.PREFIX_BYTE_USER)


_UNLIMITED = (
    "subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams",
    "consumer",
)  # fmt: skip
_EVERYTHING: dict[str, Any] = dict.fromkeys(_UNLIMITED, -1) | {"wildcards": True}

_NO_STREAMS = _EVERYTHING | dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), 0)


def operated(folder: Path) -> tuple[str, Path]:
    """An operator with one account: lines of a server's configuration, and the creds file of a user."""
    operator, account, one = Key(nkeys.PREFIX_BYTE_OPERATOR), Key(nkeys.PREFIX_BYTE_ACCOUNT), user()
    system = Key(nkeys.PREFIX_BYTE_ACCOUNT)
    version = {"version": 2}
    operator_jwt = operator.sign(operator.public, "operator", {"type": "operator"} | version)
    rights = {"type": "account"} | version
    accounts = {
        account.public: operator.sign(account.public, "account", rights | {"limits": _EVERYTHING}),
        system.public: operator.sign(system.public, "system", rights | {"limits": _NO_STREAMS}),
    }
    of_user = {"type": "user", "subs": -1, "data": -1, "payload": -1} | version
    user_jwt = account.sign(one.public, "user", of_user)
    file = folder / "user.creds"
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{one.seed}\n------END USER NKEY SEED------\n"
    )
    preload = "\n".join(f"{key}: {jwt}" for key, jwt in accounts.items())
    return (
        f"operator: {operator_jwt}\nsystem_account: {system.public}\n"
        f"resolver: MEMORY\nresolver_preload: {{\n{preload}\n}}\n",
        file,
    )
