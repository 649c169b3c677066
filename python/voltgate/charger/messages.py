# ruff: noqa: D102 - the names are those of OCPP's messages
"""The messages of a charger in each OCPP version. Values in, ``(action, payload)`` out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

Payload = dict[str, Any]
Message = tuple[str, Payload]

VENDOR, MODEL, FIRMWARE = "Voltgate", "Simulated charger", "1.0"


def rfc3339(at: datetime) -> str:
    """A time in UTC, with milliseconds and ``Z``."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc() -> str:
    """The current time."""
    return rfc3339(datetime.now(UTC))


class Status(StrEnum):
    """The status of a connector, by its 1.6 name; 2.x has fewer."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    FINISHING = "Finishing"
    UNAVAILABLE = "Unavailable"


@dataclass(slots=True)
class Transaction:
    """One vehicle at one connector (1.6) or EVSE (2.x)."""

    connector: int
    tag: str
    tag_type: str = "ISO14443"
    id: int | str | None = None
    """1.6: from the answer of the CSMS; 2.x: chosen by the charger."""
    remote_start_id: int | None = None
    remote: bool = False
    planned: bool = False
    """Driven by the plan of a swarm: no Authorize, no statuses, no periodic meter values."""
    readings: int | None = None
    """Remaining meter values before it ends; None: it is ended by :meth:`Connectors.end`."""
    over: Callable[[bool], None] | None = None
    """Called at the end, with whether it charged."""
    begun: bool = False
    meter: int = 0
    """Wh, the register of the connector."""
    power: int = 11_000
    seq: int = 0
    stopped: str = ""
    """The 1.6 stop reason; empty until it is stopped."""
    true_readings: list[int] = field(default_factory=list)
    """Wh: the register at the begin and in each message since; only where the charger has faults."""
    offline: bool = False
    """Whether the latest event was created without a connection; part of 2.x events (2.0.1 E04)."""


@dataclass(frozen=True, slots=True)
class V16:
    """OCPP 1.6."""

    now: Callable[[], str] = utc

    def boot(self, reason: str) -> Message:
        return "BootNotification", {
            "chargePointVendor": VENDOR,
            "chargePointModel": MODEL,
            "firmwareVersion": FIRMWARE,
        }

    def status(self, connector: int, status: Status) -> Message:
        return "StatusNotification", {
            "connectorId": connector,
            "errorCode": "NoError",
            "status": status.value,
            "timestamp": self.now(),
        }

    def authorize(self, tag: str, tag_type: str) -> Message:
        return "Authorize", {"idTag": tag}

    def started(self, tx: Transaction) -> Message:
        return "StartTransaction", {
            "connectorId": tx.connector,
            "idTag": tx.tag,
            "meterStart": tx.meter,
            "timestamp": self.now(),
        }

    def updated(self, tx: Transaction, context: str = "Sample.Periodic") -> Message:
        action, payload = self.metered(tx.connector, tx.meter, context, tx.power)
        return action, {"transactionId": tx.id, **payload}

    def ended(self, tx: Transaction) -> Message:
        return "StopTransaction", {
            "transactionId": tx.id,
            "idTag": tx.tag,
            "meterStop": tx.meter,
            "timestamp": self.now(),
            "reason": tx.stopped,
        }

    def metered(self, connector: int, meter: int, context: str, power: int = 0) -> Message:
        sampled = [
            {"value": str(value), "context": context, "measurand": measurand, "unit": unit}
            for value, measurand, unit in readings(meter, power)
        ]
        value = {"timestamp": self.now(), "sampledValue": sampled}
        return "MeterValues", {"connectorId": connector, "meterValue": [value]}


@dataclass(frozen=True, slots=True)
class V2x:
    """OCPP 2.0.1 and 2.1: a simulated charger sends the same in both."""

    now: Callable[[], str] = utc

    # 1.6's reasons -> triggerReason, stoppedReason
    STOPPED: ClassVar[Mapping[str, tuple[str, str]]] = {
        "Local": ("StopAuthorized", "Local"),
        "Remote": ("RemoteStop", "Remote"),
        "DeAuthorized": ("Deauthorized", "DeAuthorized"),
        "SoftReset": ("ResetCommand", "ImmediateReset"),
        "UnlockCommand": ("UnlockCommand", "Other"),
    }

    def boot(self, reason: str) -> Message:
        station = {"vendorName": VENDOR, "model": MODEL, "firmwareVersion": FIRMWARE}
        return "BootNotification", {"reason": reason, "chargingStation": station}

    def status(self, connector: int, status: Status) -> Message:
        free = status in {Status.AVAILABLE, Status.UNAVAILABLE}
        return "StatusNotification", {
            "timestamp": self.now(),
            "connectorStatus": status.value if free else "Occupied",
            "evseId": connector,
            "connectorId": 1,
        }

    def authorize(self, tag: str, tag_type: str) -> Message:
        return "Authorize", {"idToken": {"idToken": tag, "type": tag_type}}

    def started(self, tx: Transaction) -> Message:
        remote = {"remoteStartId": tx.remote_start_id} if tx.remote_start_id is not None else {}
        action, event = self._event(tx, "Started", "RemoteStart" if tx.remote else "Authorized", **remote)
        event["evse"] = {"id": tx.connector, "connectorId": 1}
        event["idToken"] = {"idToken": tx.tag, "type": tx.tag_type}
        event["meterValue"] = [self._value(tx.meter, "Transaction.Begin")]
        return action, event

    def updated(self, tx: Transaction, context: str = "Sample.Periodic") -> Message:
        trigger = "Trigger" if context == "Trigger" else "MeterValuePeriodic"
        action, event = self._event(tx, "Updated", trigger, chargingState="Charging")
        event["meterValue"] = [self._value(tx.meter, context, tx.power)]
        return action, event

    def ended(self, tx: Transaction) -> Message:
        trigger, stopped = self.STOPPED[tx.stopped]
        action, event = self._event(tx, "Ended", trigger, chargingState="Idle", stoppedReason=stopped)
        event["meterValue"] = [self._value(tx.meter, "Transaction.End")]
        return action, event

    def metered(self, connector: int, meter: int, context: str) -> Message:
        return "MeterValues", {"evseId": connector, "meterValue": [self._value(meter, context)]}

    def _event(self, tx: Transaction, event_type: str, trigger: str, **info: Any) -> Message:
        event = {
            "eventType": event_type,
            "timestamp": self.now(),
            "triggerReason": trigger,
            "seqNo": tx.seq,
            "transactionInfo": {"transactionId": tx.id, **info},
            **({"offline": True} if tx.offline else {}),
        }
        tx.seq += 1
        return "TransactionEvent", event

    def _value(self, meter: int, context: str, power: int = 0) -> Payload:
        sampled = [
            {"value": value, "context": context, "measurand": measurand, "unitOfMeasure": {"unit": unit}}
            for value, measurand, unit in readings(meter, power)
        ]
        return {"timestamp": self.now(), "sampledValue": sampled}


Dialect = V16 | V2x
DIALECTS: Mapping[str, Dialect] = {"v16": V16(), "v201": V2x(), "v21": V2x()}


def readings(meter: int, power: int) -> list[tuple[int, str, str]]:
    """Meter readings as (value, measurand, unit)."""
    energy = [(meter, "Energy.Active.Import.Register", "Wh")]
    return [*energy, (power, "Power.Active.Import", "W")] if power else energy


def accepted(answer: Payload) -> bool:
    """Whether the token may charge; true if the answer has no token status."""
    info = answer.get("idTagInfo") or answer.get("idTokenInfo") or {}
    return bool(info.get("status", "Accepted") == "Accepted")
