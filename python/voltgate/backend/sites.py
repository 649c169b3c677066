"""Charging schedules by the limit of a site: a text file, see docs/csms/backend.md.

``depot 100 CP001/1 CP001/2 CP002/1``: the EVSEs of a site share its 100 A per phase equally, so that nothing
changes when a vehicle arrives or leaves. ``* 32``: each EVSE that is not named has 32 A.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from voltgate.backend.bounded import Bounded
from voltgate.backend.lines import OTHERS, Lines, charger, number
from voltgate.backend.payloads import figure, text

VOLTS, PHASES = 230, 3  # for limits in W
# What a vehicle can take: W, A.
DIRECT = ("chargingNeeds", "dcChargingParameters", "evMaxPower")
ALTERNATING = ("chargingNeeds", "acChargingParameters", "evMaxCurrent")


class Sites:
    """The file, and the transaction that runs at each EVSE. Errors: see Lines."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path, shares)
        self._running: Bounded[str, str] = Bounded()  # EVSE -> transaction
        self._places: Bounded[tuple[str, str], str] = Bounded()  # charger, transaction -> EVSE

    def saw(self, charger: str, event: dict[str, Any]) -> None:
        """A TransactionEvent: its transaction runs at its EVSE until it has ended."""
        transaction, evse = text(event, "transactionInfo", "transactionId"), figure(event, "evse", "id")
        if evse is not None:
            self._places[charger, transaction] = place(charger, evse)
        if text(event, "eventType") != "Ended":
            if evse is not None and transaction:
                self._running[place(charger, evse)] = transaction
        else:
            ended = self._places.pop((charger, transaction), "")
            if self._running.get(ended) == transaction:
                del self._running[ended]

    def profile(self, charger: str, needs: dict[str, Any]) -> dict[str, Any] | None:
        """The request SetChargingProfile for a NotifyEVChargingNeeds or NotifyEVChargingSchedule.

        None if the EVSE has no limit, or no transaction that is known.
        """
        evse = figure(needs, "evseId")
        if evse is None:
            return None
        share, transaction = self._share(charger, evse), self._running.get(place(charger, evse))
        if share is None or transaction is None:
            return None
        unit, limit = wanted(needs, share)
        schedule = {
            "id": 1,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        profile = {
            "id": int(evse),
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "transactionId": transaction,
            "chargingSchedule": [schedule],
        }
        return {"evseId": int(evse), "chargingProfile": profile}

    def allows(self, charger: str, schedule: dict[str, Any]) -> bool:
        """Whether no period of a NotifyEVChargingSchedule is above the limit of its EVSE."""
        share = self._share(charger, figure(schedule, "evseId") or 0)
        plan = schedule.get("chargingSchedule")
        if share is None or not isinstance(plan, dict):
            return True
        most = tenths(share * VOLTS * PHASES if text(plan, "chargingRateUnit") == "W" else share)
        periods = plan.get("chargingSchedulePeriod")
        return all(
            (figure(one, "limit") or 0) <= most for one in (periods if isinstance(periods, list) else ())
        )

    def _share(self, charger: str, evse: float) -> float | None:
        """In A per phase."""
        rules = self._lines.rules()
        return rules.get(place(charger, evse), rules.get(OTHERS))


def shares(words: list[str]) -> Iterable[tuple[str, float]]:
    """Of a line: SITE AMPERES IDENTITY/EVSE..., or ``*`` AMPERES. Raises ValueError."""
    site, *rest = words
    if not rest or (len(rest) == 1) != (site == OTHERS):
        raise ValueError("a line is a site, amperes per phase and its EVSEs (CP001/1), or * and amperes")
    amperes, evses = number(rest[0]), rest[1:]
    if site == OTHERS:
        yield OTHERS, amperes
    for word in evses:
        identity, _, evse = word.rpartition("/")
        if not identity or not evse.isdecimal():
            raise ValueError(f"{word}: an EVSE is the identity of its charger, / and its number")
        yield place(charger(identity), int(evse)), amperes / len(evses)


def wanted(needs: dict[str, Any], share: float) -> tuple[str, float]:
    """Unit and limit: not more than the vehicle can take."""
    direct = text(needs, "chargingNeeds", "requestedEnergyTransfer").startswith("DC")
    if direct or text(needs, "chargingSchedule", "chargingRateUnit") == "W":
        unit, share, most = "W", share * VOLTS * PHASES, figure(needs, *DIRECT)
    else:
        unit, most = "A", figure(needs, *ALTERNATING)
    return unit, tenths(share if most is None else min(share, max(most, 0)))


def tenths(value: float) -> float:
    """Rounded down to a multiple of 0.1, as schedules have it."""
    return int(value * 10 + 1e-6) / 10


def place(charger: str, evse: float) -> str:
    """An EVSE; a token of a charger has no ``/``."""
    return f"{charger}/{int(evse)}"
