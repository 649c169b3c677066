"""Charging profiles of a simulated charger: the limits that its vehicles obey, and the composite schedule.

A profile counts with the limit of its first period; of a place (0: the whole charger) the last one counts. A
limit of the whole charger is shared by its transactions.
"""

from datetime import datetime
from typing import Any

from voltgate.charger.messages import Payload, utc
from voltgate.charger.power import RATED_W, Limit, allowed
from voltgate.charger.station import Station

WATTS = {"W": 1.0, "A": 3 * 230.0}  # of three phases


def set_profile(charger: Station, request: Payload) -> Payload:
    """Profiles of a transaction are accepted, and nothing obeys them."""
    place: int = request["connectorId"] if "connectorId" in request else request["evseId"]
    profile = request.get("csChargingProfiles") or request["chargingProfile"]
    if place and place not in charger.connectors:
        return {"status": "Rejected"}
    schedules: Any = profile["chargingSchedule"]
    schedule = schedules if isinstance(schedules, dict) else schedules[0]
    periods = schedule["chargingSchedulePeriod"]
    limit = periods[0].get("limit") if periods else None
    if limit is not None and profile["chargingProfilePurpose"] != "TxProfile":
        until = profile.get("validTo")
        charger.connectors.limits[place] = Limit(
            profile.get("chargingProfileId", profile.get("id")),
            limit * WATTS[schedule["chargingRateUnit"]],
            None if until is None else datetime.fromisoformat(until),
        )
    return {"status": "Accepted"}


def clear_profile(charger: Station, request: Payload) -> Payload:
    """By the id of the profile, or all."""
    wanted = request.get("id", request.get("chargingProfileId"))
    found = [place for place, one in charger.connectors.limits.items() if wanted in (None, one.profile)]
    for place in found:
        del charger.connectors.limits[place]
    return {"status": "Accepted" if found else "Unknown"}


def schedule(charger: Station, request: Payload) -> Payload:
    """One period, with the lowest limit of the place and of the charger."""
    place: int = request["connectorId"] if "connectorId" in request else request["evseId"]
    if place and place not in charger.connectors:
        return {"status": "Rejected"}
    unit = request.get("chargingRateUnit", "W")
    watts = min(RATED_W, *(allowed(charger.connectors.limits, one) for one in (0, place)))
    limit: Payload = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": round(watts / WATTS[unit], 1)}],
    }
    if charger.settings.version == "v16":
        limit["duration"] = request["duration"]
        return {
            "status": "Accepted", "connectorId": place, "scheduleStart": utc(), "chargingSchedule": limit
        }  # fmt: skip
    span = {"evseId": place, "duration": request["duration"], "scheduleStart": utc()}
    return {"status": "Accepted", "schedule": span | limit}
