"""Writes YAML: the part of it that a document of strings, numbers, lists and maps needs."""

import json
import re
from collections.abc import Iterator
from typing import Any

# What is a string without quotes to every reader; whatever else it may be, it is quoted.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_SHORT = 100  # characters of a map on one line
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def dumped(value: dict[str, Any]) -> str:
    """The document; keys keep their order."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _entry(f"{_scalar(key)}:", inner)
    elif isinstance(value, list) and value:
        for inner in value:
            first, *rest = _lines(inner)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(key: str, inner: Any) -> Iterator[str]:
    flow = _flow(inner) if isinstance(inner, dict) else ""
    if flow:
        yield f"{key} {flow}"
    elif isinstance(inner, dict | list) and inner:
        yield key
        yield from (f"  {line}" for line in _lines(inner))
    else:
        yield f"{key} {_scalar(inner)}"


def _flow(value: dict[str, Any]) -> str:
    """A short map of scalars on one line; "" for another."""
    if any(isinstance(inner, dict | list) for inner in value.values()):
        return ""
    members = ", ".join(f"{_scalar(key)}: {_scalar(inner)}" for key, inner in value.items())
    return f"{{{members}}}" if len(members) <= _SHORT else ""


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
