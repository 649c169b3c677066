"""Scopes of decisions: ``default``, ``site:ID``, ``charger:ID``, ``connector:ID/EVSE/N``, ``group:ID``."""

from enum import StrEnum

from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.console.roles import Principal
from voltgate.csms.console.rows import Rows

WORDS = "default, site:ID, charger:ID, connector:ID/EVSE/CONNECTOR or group:ID"


class Scope(StrEnum):
    """What is before the colon."""

    DEFAULT = "default"
    SITE = "site"
    CHARGER = "charger"
    CONNECTOR = "connector"
    GROUP = "group"


def parsed(text: str, pointer: str) -> tuple[Scope, str]:
    """Kind and id. Raises Problem for what is none."""
    kind, _, id_ = text.partition(":")
    if kind in set(Scope) and bool(id_) == (kind != Scope.DEFAULT):
        return Scope(kind), id_
    raise Problem(Kind.INVALID, faults=[Fault(pointer, f"must be {WORDS}")])


async def sees(rows: Rows, principal: Principal, text: str, pointer: str = "id") -> bool:
    """Whether a scope is of the principal's sites. Raises Problem for what is no scope."""
    kind, id_ = parsed(text, pointer)
    if principal.everywhere:
        return True
    match kind:
        case Scope.SITE:
            return principal.sees(id_)
        case Scope.CHARGER:
            return principal.sees(await rows.site_of_charger(id_))
        case Scope.CONNECTOR:
            return principal.sees(await rows.site_of_charger(id_.rsplit("/", 2)[0]))
        case _:
            return False
