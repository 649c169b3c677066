"""Trials: what a fact says about a driver who tries to charge. Accepted ones become attempts (``attempts``).

    Authorize, RemoteStartTransaction or RequestStartTransaction -> Trial
    its Response, by the same ``ocpp-key``                       -> Verdict

Requests and responses of one kind are of one stream, so they are joined as they come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from voltgate.csms.ledger.facts import Fact


class How(StrEnum):
    """A driver showed a token, as far as is known of which kind; or somebody started the session remotely."""

    TOKEN = "token"  # noqa: S105 - a kind
    CARD = "card"
    CONTRACT = "contract"
    REMOTE = "remote"


# IdTokenEnumType of 2.0.1; free text in 2.1.
_CARDS = frozenset({"ISO14443", "ISO15693"})
_CONTRACTS = frozenset({"eMAID", "EVCCID", "VIN"})


@dataclass(frozen=True, slots=True)
class Trial:
    """``evse`` 0: not known. ``token`` is a pseudonym."""

    evse: int
    token: str
    how: How


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a trial."""

    accepted: bool


def trial(fact: Fact) -> Trial | Verdict | None:
    """What a fact says; None: nothing."""
    body = fact.body
    match fact.action:
        case "Authorize":
            token, how = presented(body)
            return Trial(0, token, how)
        case "RemoteStartTransaction":
            return Trial(_number(body.get("connectorId")), str(body.get("idTag") or ""), How.REMOTE)
        case "RequestStartTransaction":
            return Trial(_number(body.get("evseId")), presented(body)[0], How.REMOTE)
        case "AuthorizeResponse":
            info = body.get("idTagInfo") or body.get("idTokenInfo") or {}
            return Verdict(isinstance(info, dict) and info.get("status") == "Accepted")
        case "RemoteStartTransactionResponse" | "RequestStartTransactionResponse":
            return Verdict(body.get("status") == "Accepted")
        case _:
            return None


def presented(body: Mapping[str, Any]) -> tuple[str, How]:
    """The token of a payload, and how it was shown."""
    token = body.get("idToken", body.get("idTag"))
    if not isinstance(token, dict):
        return str(token or ""), How.TOKEN
    kind = str(token.get("type", ""))
    how = How.CARD if kind in _CARDS else How.CONTRACT if kind in _CONTRACTS else How.TOKEN
    return str(token.get("idToken") or ""), how


def _number(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0
