"""What a person wants of a charger, as the command of the charger's OCPP version (docs/csms/console.md).

Values in, values out: the session's transaction and the charger's version come from the caller. The same
intent under the same id is the same command, byte by byte: the gateway refuses an id with another body
(docs/contract.md 3.5).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, assert_never

import orjson

from voltgate.schemas import SUBPROTOCOLS

OPERATOR_TOKEN = "OPERATOR"  # noqa: S105 - of a start for which nobody named a token
# The UIDs of cards (ISO 14443) have 4, 7 or 10 bytes; other tokens are made by systems.
_UID = re.compile(r"(?:[0-9A-Fa-f]{2}){4}(?:(?:[0-9A-Fa-f]{2}){3}){0,2}")


class Do(StrEnum):
    """The intents."""

    START = "start"
    STOP = "stop"
    RESET = "reset"
    UNLOCK = "unlock"
    OPERATIVE = "operative"
    INOPERATIVE = "inoperative"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Intent:
    """One intent. In 1.6 ``evse`` is the connectorId; without one the whole charger is meant."""

    do: Do
    evse: int | None = None
    connector: int | None = None
    token: str | None = None
    transaction: str | None = None
    """Of the session that ``stop`` ends."""
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """An OCPP action and its request payload."""

    action: str
    payload: bytes


class ImpossibleError(Exception):
    """The intent lacks something, or the version has nothing for it. The text says what."""


def command(intent: Intent, version: str, command_id: str) -> Command:
    """For a charger that speaks ``version`` (a token, as links have it). Raises ImpossibleError."""
    return encoded(*(_of_16 if known(version) == "v16" else _of_2)(intent, command_id))


def known(version: str) -> str:
    """The version token, where it is one. Raises ImpossibleError."""
    if version not in SUBPROTOCOLS:
        raise ImpossibleError("the charger has not been connected yet: its OCPP version is unknown")
    return version


def encoded(action: str, payload: Mapping[str, Any]) -> Command:
    """The command of a payload; members that are None are left out."""
    return Command(action, orjson.dumps({key: one for key, one in payload.items() if one is not None}))


def _of_16(intent: Intent, command_id: str) -> tuple[str, dict[str, Any]]:
    del command_id
    match intent.do:
        case Do.START:
            token = intent.token or OPERATOR_TOKEN
            return "RemoteStartTransaction", {"connectorId": intent.evse or None, "idTag": token}
        case Do.STOP:
            return "RemoteStopTransaction", {"transactionId": _number(_transaction(intent))}
        case Do.RESET:
            return "Reset", {"type": "Hard" if intent.hard else "Soft"}
        case Do.UNLOCK:
            return "UnlockConnector", {"connectorId": _evse(intent)}
        case Do.OPERATIVE | Do.INOPERATIVE:
            kind = "Operative" if intent.do is Do.OPERATIVE else "Inoperative"
            return "ChangeAvailability", {"connectorId": intent.evse or 0, "type": kind}
        case Do.REFRESH:
            return "TriggerMessage", {
                "requestedMessage": "StatusNotification",
                "connectorId": intent.evse or None,  # 0 is the charger, and not legal here
            }
        case never:
            assert_never(never)


def _of_2(intent: Intent, command_id: str) -> tuple[str, dict[str, Any]]:
    match intent.do:
        case Do.START:
            token = intent.token or OPERATOR_TOKEN
            kind = "ISO14443" if _UID.fullmatch(token) else "Central"
            return "RequestStartTransaction", {
                "evseId": intent.evse or None,
                "remoteStartId": start_id(command_id),
                "idToken": {"idToken": token, "type": kind},
            }
        case Do.STOP:
            return "RequestStopTransaction", {"transactionId": _transaction(intent)}
        case Do.RESET:
            return "Reset", {"type": "Immediate" if intent.hard else "OnIdle", "evseId": intent.evse or None}
        case Do.UNLOCK:
            return "UnlockConnector", {"evseId": _evse(intent), "connectorId": intent.connector or 1}
        case Do.OPERATIVE | Do.INOPERATIVE:
            status = "Operative" if intent.do is Do.OPERATIVE else "Inoperative"
            return "ChangeAvailability", {"operationalStatus": status, "evse": _place(intent)}
        case Do.REFRESH:
            return "TriggerMessage", {"requestedMessage": "StatusNotification", "evse": _place(intent, 1)}
        case never:
            assert_never(never)


def today(now: datetime) -> datetime:
    """Midnight, in place of a present moment: a repeat on the same day is the same command."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def start_id(command_id: str) -> int:
    """The remoteStartId of a start, or a requestId: the same for each repeat, and within 31 bits."""
    return int.from_bytes(hashlib.sha256(command_id.encode()).digest()[:4]) & 0x7FFF_FFFF


def _place(intent: Intent, connector: int | None = None) -> Mapping[str, int] | None:
    """``evse`` of a 2.x request. ``connector``: where none is named (a StatusNotification is of one)."""
    if not intent.evse:
        return None
    number = intent.connector or connector
    return {"id": intent.evse} | ({"connectorId": number} if number else {})


def _evse(intent: Intent) -> int:
    if not intent.evse:
        raise ImpossibleError(f"{intent.do}: evse is needed")
    return intent.evse


def _transaction(intent: Intent) -> str:
    if not intent.transaction:
        raise ImpossibleError(
            "the session has no transaction id yet: the charger or its answer has not named one"
        )
    return intent.transaction


def _number(transaction: str) -> int:
    try:
        return int(transaction)
    except ValueError:
        raise ImpossibleError("the session's transaction id is not a number, as OCPP 1.6 wants it") from None
