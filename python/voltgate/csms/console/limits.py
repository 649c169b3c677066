"""Power limits as charging profiles of each OCPP version, and how a site's limit is shared.

A charger's limit is a profile for all of it (1.6 ChargePointMaxProfile, 2.x ChargingStationMaxProfile),
that of an EVSE is the default of its transactions (TxDefaultProfile). Each place has one profile id, so a new
limit replaces the one before. Values in, values out.
"""

from collections.abc import Mapping
from datetime import datetime
from math import floor
from typing import Any

from voltgate.csms.console.facts import mapping, mappings
from voltgate.csms.console.intents import Command, encoded, today
from voltgate.csms.console.operations import LimitBody, ScheduleBody
from voltgate.csms.ledger import times

PROFILE_ID = 90_000  # and the EVSE added: other profiles of a charger have other ids
STACK_LEVEL = 0


def setting(version: str, wanted: LimitBody, now: datetime) -> Command:
    """The command that sets a limit, which is valid since midnight."""
    evse = wanted.evse or 0
    old = version == "v16"
    purpose = "TxDefaultProfile" if evse else "ChargePointMaxProfile" if old else "ChargingStationMaxProfile"
    schedule: dict[str, Any] = {
        "startSchedule": times.text(today(now)),
        "chargingRateUnit": wanted.unit,
        # 1.6 has steps of 0.1
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": floor(wanted.limit * 10) / 10}],
    }
    profile: dict[str, Any] = {
        "chargingProfileId" if old else "id": PROFILE_ID + evse,
        "stackLevel": STACK_LEVEL,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule if old else [{"id": PROFILE_ID + evse, **schedule}],
    }
    if wanted.until is not None:
        profile["validTo"] = times.text(wanted.until)
    if old:
        return encoded("SetChargingProfile", {"connectorId": evse, "csChargingProfiles": profile})
    return encoded("SetChargingProfile", {"evseId": evse, "chargingProfile": profile})


def clearing(version: str, evse: int | None) -> Command:
    """The command that takes the limit of a place back."""
    name = "id" if version == "v16" else "chargingProfileId"
    return encoded("ClearChargingProfile", {name: PROFILE_ID + (evse or 0)})


def asking(version: str, wanted: ScheduleBody) -> Command:
    """The command that asks for the composite schedule."""
    place = "connectorId" if version == "v16" else "evseId"
    request = {place: wanted.evse, "duration": wanted.duration_s, "chargingRateUnit": wanted.unit}
    return encoded("GetCompositeSchedule", request)


def schedule(version: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What the charger says of its schedule."""
    found = mapping(said.get("chargingSchedule" if version == "v16" else "schedule"))
    starts = said.get("scheduleStart") if version == "v16" else found.get("scheduleStart")
    return {
        "starts": starts or found.get("startSchedule"),
        "duration_s": found.get("duration"),
        "unit": found.get("chargingRateUnit"),
        "periods": [
            {"start_s": one.get("startPeriod"), "limit": one.get("limit"), "phases": one.get("numberPhases")}
            for one in mappings(found.get("chargingSchedulePeriod"))
        ],
    }


def shares(limit_w: int, chargers: Mapping[str, int | None]) -> dict[str, int]:
    """Whole watts of each charger; the values of ``chargers``: the most that it can take, None: not known.

    All get the same. A charger that can take less gets that, and the rest is shared by the others.
    """
    found: dict[str, int] = {}
    left = limit_w
    by_need = sorted(chargers, key=lambda id_: (chargers[id_] is None, chargers[id_] or 0, id_))
    for number, id_ in enumerate(by_need):
        share, most = left // (len(by_need) - number), chargers[id_]
        found[id_] = share if most is None else min(share, most)
        left -= found[id_]
    return found
