"""What a message of the streams says, as far as several handlers need it (docs/contract.md 3.2 and 3.3)."""

from datetime import UTC, datetime
from typing import Any

import orjson

from voltgate import _core
from voltgate.config import Nats
from voltgate.csms.ledger.facts import Message
from voltgate.csms.ledger.streams import Input


def body_of(message: Message) -> dict[str, Any]:
    """The payload of a fact; empty where it is not an object."""
    try:
        return mapping(orjson.loads(message.data))
    except orjson.JSONDecodeError:
        return {}


def action_of(message: Message) -> str:
    """The action of a fact, with ``Response`` behind it for answers and outcomes."""
    return message.subject.split(".")[-2]


def is_answer(message: Message) -> bool:
    """Whether a fact is an answer or an outcome."""
    return action_of(message).endswith("Response")


def at_of(message: Message) -> datetime:
    """When it was stored."""
    return datetime.fromtimestamp(message.stored_at, UTC)


# Lenient validation lets any value pass: one of another kind counts as empty.


def text(value: object) -> str:
    """A string."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> dict[str, Any]:
    """An object."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def commands(nats: Nats, charger: str, *actions: str) -> Input:
    """The facts of some commands to a charger."""
    token = _core.token(charger)
    return Input(
        f"{nats.stream_prefix}_COMMANDS", tuple(f"{nats.prefix}.command.*.{one}.{token}" for one in actions)
    )


def events(nats: Nats, charger: str, *actions: str) -> Input:
    """The facts of class event of a charger, of some actions."""
    token = _core.token(charger)
    return Input(
        f"{nats.stream_prefix}_EVENTS", tuple(f"{nats.prefix}.event.*.{one}.{token}" for one in actions)
    )
