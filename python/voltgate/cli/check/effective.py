"""The effective configuration as TOML that could be its file (``voltgate check --print-config``)."""

import json
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(values: dict[str, Any], path: str = "") -> str:
    """Sections after plain keys, as TOML wants it; keys without a value are left out."""
    plain = {key: value for key, value in values.items() if value is not None and not _is_section(value)}
    text = "".join(f"{_key(key)} = {_value(value)}\n" for key, value in plain.items())
    for key, value in values.items():
        where = f"{path}.{_key(key)}".lstrip(".")
        if isinstance(value, dict):
            text += f"{_header(value, where)}{as_toml(value, where)}"
        elif _is_section(value):
            text += "".join(f"\n[[{where}]]\n{as_toml(one, where)}" for one in value)
    return text


def _header(section: dict[str, Any], where: str) -> str:
    """Its heading, unless its own sections make it (``policy.v16``)."""
    implied = section and all(_is_section(value) for value in section.values())
    return "" if implied else f"\n[{where}]\n"


def _is_section(value: Any) -> bool:
    tables = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    return isinstance(value, dict) or bool(tables)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    # JSON's strings, numbers, booleans and arrays of them are TOML's.
    return json.dumps(value, ensure_ascii=False)
