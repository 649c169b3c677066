"""Reading what chargers send: a question or a fact may violate its schema in any way."""

from math import isfinite
from typing import Any

import orjson

Payload = dict[str, Any]


def payload(body: bytes) -> Payload:
    """Of a message; one that is not an object counts as empty."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def at(value: Any, *path: str) -> Any:
    """What is at ``path``; None where there is nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: Any, *path: str) -> str:
    """The text at ``path``; "" where there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def figure(value: Any, *path: str) -> float | None:
    """The number at ``path``; None where there is none."""
    found = at(value, *path)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return found if is_number and isfinite(found) and abs(found) < 1e15 else None
