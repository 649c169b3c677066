"""Passwords, records of them, and chargers that log in."""

import secrets
from base64 import b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from argon2 import PasswordHasher

from e2e.strangers import Charger, Upgrade, dial, knock, request

KEY = b"0123456789abcdefghij"


def fast(key: bytes) -> str:
    """docs/reference.md, "The registry"."""
    salt = secrets.token_bytes(16)
    return f"$voltgate-sha256${salt.hex()}${sha256(salt + key).hexdigest()}"


def slow(password: bytes) -> str:
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(password)


def login(user: str, password: bytes) -> str:
    return "Basic " + b64encode(user.encode() + b":" + password).decode()


def charger(port: int, identity: str, password: bytes = KEY, **options: Any) -> Any:
    """Dial with credentials."""
    return dial(port, identity, additional_headers={"Authorization": login(identity, password)}, **options)


async def asked(port: int, identity: str, authorization: str = "", protocols: str = "ocpp1.6") -> Upgrade:
    head = request(f"/ocpp/{quote(identity, safe='')}", protocols, Authorization=authorization)
    async with knock(port, head) as answer:
        return answer


async def beats(charger: Charger) -> bool:
    return "currentTime" in await charger.ask('[2,"1","Heartbeat",{}]')
