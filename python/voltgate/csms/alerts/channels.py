"""Channels: where notices go. Entries ``ops.person.channel.<token of the id>`` of ``OPS_PEOPLE``, because
they name people and hold secrets; without a history, and removed by an empty body.

``{"kind": "webhook", "url", "secret", "format": "json"|"text"}`` or ``{"kind": "mail", "to": [addresses]}``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Webhook:
    """``format`` text: the body is the text alone, as ntfy shows it."""

    url: str
    secret: str = field(repr=False)
    format: Literal["json", "text"] = "json"


@dataclass(frozen=True, slots=True)
class Mail:
    """Addresses."""

    to: tuple[str, ...]


Channel = Webhook | Mail


def parsed(body: Mapping[str, Any]) -> Channel:
    """The channel of an entry. Raises ValueError, with a text for the person who writes it."""
    match body.get("kind"):
        case "webhook":
            return _webhook(body)
        case "mail":
            to = body.get("to")
            if not isinstance(to, list) or not to or not all(map(_is_address, to)):
                raise ValueError("to: must be a list of mail addresses")
            return Mail(tuple(to))
        case _:
            raise ValueError("kind: must be webhook or mail")


def _webhook(body: Mapping[str, Any]) -> Webhook:
    url, secret, shape = body.get("url"), body.get("secret", ""), body.get("format", "json")
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url: must be an http or https URL")
    if not isinstance(secret, str):
        raise ValueError("secret: must be a text")
    if shape not in ("json", "text"):
        raise ValueError("format: must be json or text")
    return Webhook(str(url), secret, shape)


def _is_address(value: object) -> bool:
    """Enough to keep a header from being cut in two; whether it exists, the server says."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return False
    local, _, domain = value.rpartition("@")
    return bool(local and domain) and not set(value) & set(",;<>")
