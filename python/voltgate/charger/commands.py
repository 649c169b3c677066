"""What a charger answers to the CSMS, and what it then does. Requests come validated.

What is not in ``ANSWERS`` or ``FIXED`` gets ``{"status": "Accepted"}``: every other command has that.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from voltgate.charger.behaviour import Behaviour
from voltgate.charger.messages import MODEL, VENDOR, Message, Payload, State, Transaction, utc

if TYPE_CHECKING:
    from voltgate.charger.charger import Charger

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}

# 1.6 key or 2.x component.variable of the login. It is written, never read back.
PASSWORDS = frozenset({"AuthorizationKey", "SecurityCtrlr.BasicAuthPassword"})
HEARTBEAT = frozenset({"HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval"})
READ_ONLY = frozenset({"NumberOfConnectors", "ChargingStation.Model", "ChargingStation.VendorName"})


def configuration(version: str, behaviour: Behaviour) -> dict[str, str]:
    """The keys (1.6) or component.variable (2.x) a new charger has."""
    attempts, interval = str(behaviour.attempts), f"{behaviour.retry_interval:.0f}"
    sampled = f"{behaviour.meter_interval:.0f}"
    if version == "v16":
        return {
            "HeartbeatInterval": "0",
            "MeterValueSampleInterval": sampled,
            "NumberOfConnectors": str(behaviour.connectors),
            "TransactionMessageAttempts": attempts,
            "TransactionMessageRetryInterval": interval,
        }
    return {
        "ChargingStation.Model": MODEL,
        "ChargingStation.VendorName": VENDOR,
        "OCPPCommCtrlr.HeartbeatInterval": "0",
        "OCPPCommCtrlr.MessageAttempts": attempts,
        "OCPPCommCtrlr.MessageAttemptInterval": interval,
        "SampledDataCtrlr.TxUpdatedInterval": sampled,
    }


def answer(charger: "Charger", action: str, request: Payload) -> Payload:
    """The response payload. What follows from it is under way when this returns, but not yet sent."""
    if action in ANSWERS:
        return ANSWERS[action](charger, request)
    fixed = FIXED.get((charger.version, action), FIXED.get(action, ACCEPTED))
    if action in FOLLOWED:
        charger.later(charger.say(*FOLLOWED[action](request.get("requestId"))))
    return fixed


# Charging


def remote_start(charger: "Charger", request: Payload) -> Payload:
    """At the connector that is wanted, or at the first that is free."""
    states = charger.connectors.states
    free = [number for number, state in states.items() if state is State.AVAILABLE]
    connector: int = request.get("connectorId") or request.get("evseId") or next(iter(free), 0)
    if connector not in free or charger.registration != "Accepted":
        return REJECTED
    tx = Transaction(connector, tag=request.get("idTag", ""), remote=True)
    if "idToken" in request:
        tx.tag, tx.tag_type = request["idToken"]["idToken"], request["idToken"]["type"]
        tx.remote_start_id = request["remoteStartId"]
    charger.later(charger.connectors.start(tx))
    return ACCEPTED


def remote_stop(charger: "Charger", request: Payload) -> Payload:
    """The transaction of that id."""
    connector = running(charger, request["transactionId"])
    return ACCEPTED if connector and charger.connectors.end(connector, "Remote") else REJECTED


def unlock(charger: "Charger", request: Payload) -> Payload:
    """1.6 ends a transaction first; 2.x leaves one alone that is authorized."""
    connector = request["connectorId"] if charger.version == "v16" else request["evseId"]
    if connector not in charger.connectors.states:
        return {"status": "NotSupported" if charger.version == "v16" else "UnknownConnector"}
    if charger.version != "v16" and connector in charger.connectors.transactions:
        return {"status": "OngoingAuthorizedTransaction"}
    charger.connectors.end(connector, "UnlockCommand")
    return {"status": "Unlocked"}


def availability(charger: "Charger", request: Payload) -> Payload:
    """One connector, or all (1.6: 0, 2.x: no evse)."""
    wanted = request.get("connectorId") or request.get("evse", {}).get("id")
    connectors = charger.connectors
    if wanted and wanted not in connectors.states:
        return REJECTED
    operative = "Operative" in {request.get("type"), request.get("operationalStatus")}
    at_once = [
        connectors.in_service(number, operative) for number in ([wanted] if wanted else connectors.states)
    ]
    return ACCEPTED if all(at_once) else {"status": "Scheduled"}


def transaction_status(charger: "Charger", request: Payload) -> Payload:
    """2.x: whether it lasts, and whether the outbox still holds any of it."""
    if "transactionId" not in request:
        return {"messagesInQueue": len(charger.outbox) > 0}
    wanted = request["transactionId"]
    return {
        "ongoingIndicator": bool(running(charger, wanted)),
        "messagesInQueue": charger.outbox.holds(wanted),
    }


def running(charger: "Charger", transaction: int | str) -> int | None:
    """The connector where that transaction runs."""
    found = (c for c, tx in charger.connectors.transactions.items() if tx.id == transaction)
    return next(found, None)


def schedule(charger: "Charger", request: Payload) -> Payload:
    """16 A from now on."""
    connector = request.get("connectorId", request.get("evseId"))
    if connector and connector not in charger.connectors.states:
        return REJECTED
    limit: Payload = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}]}
    if charger.version == "v16":
        return ACCEPTED | {"connectorId": connector, "scheduleStart": utc(), "chargingSchedule": limit}
    span = {"evseId": connector, "duration": request["duration"], "scheduleStart": utc()}
    return ACCEPTED | {"schedule": span | limit}


# Configuration


def get_configuration(charger: "Charger", request: Payload) -> Payload:
    """1.6: the keys asked for, or all."""
    known = charger.configuration
    wanted = request.get("key") or list(known)
    return {
        "configurationKey": [
            {"key": key, "readonly": key in READ_ONLY, "value": known[key]} for key in wanted if key in known
        ],
        "unknownKey": [key for key in wanted if key not in known],
    }


def change_configuration(charger: "Charger", request: Payload) -> Payload:
    """1.6."""
    return {"status": change(charger, request["key"], request["value"], "NotSupported")}


def get_variables(charger: "Charger", request: Payload) -> Payload:
    """2.x: each for itself; a password is never told."""
    results = []
    for data in request["getVariableData"]:
        name = variable(data)
        result = {"component": data["component"], "variable": data["variable"]}
        if name in charger.configuration:
            result |= {"attributeStatus": "Accepted", "attributeValue": charger.configuration[name]}
        else:
            result["attributeStatus"] = "Rejected" if name in PASSWORDS else "UnknownVariable"
        results.append(result)
    return {"getVariableResult": results}


def set_variables(charger: "Charger", request: Payload) -> Payload:
    """2.x: each for itself."""
    results = []
    for data in request["setVariableData"]:
        status = change(charger, variable(data), data["attributeValue"], "UnknownVariable")
        results.append(
            {"attributeStatus": status, "component": data["component"], "variable": data["variable"]}
        )
    return {"setVariableResult": results}


def change(charger: "Charger", name: str, value: str, unknown: str) -> str:
    """The status of one change. A new password is used at once: the charger dials again with it."""
    if name in PASSWORDS:
        try:
            # OCPP.md A23: 1.6 sends hex digits of raw bytes, 2.x the text itself
            charger.password = bytes.fromhex(value) if charger.version == "v16" else value.encode()
        except ValueError:
            return "Rejected"
        charger.later(charger.reconnect())
        return "Accepted"
    if name not in charger.configuration:
        return unknown
    if name in READ_ONLY or (name in HEARTBEAT and not value.isdecimal()):
        return "Rejected"
    charger.configuration[name] = value
    if name in HEARTBEAT:
        charger.beat_every(int(value) * charger.behaviour.second)
    return "Accepted"


def variable(data: Payload) -> str:
    """Its name in ``Charger.configuration``."""
    return f"{data['component']['name']}.{data['variable']['name']}"


def local_list(charger: "Charger", request: Payload) -> Payload:
    """Only its version is remembered."""
    charger.local_list = request.get("listVersion") or request.get("versionNumber") or 0
    return ACCEPTED


def local_list_version(charger: "Charger", request: Payload) -> Payload:
    """0 is no list."""
    return {"listVersion" if charger.version == "v16" else "versionNumber": charger.local_list}


# Everything else


def data_transfer(charger: "Charger", request: Payload) -> Payload:
    """We know one vendor, ourselves."""
    return ACCEPTED if request["vendorId"] == VENDOR else {"status": "UnknownVendorId"}


def reset(charger: "Charger", request: Payload) -> Payload:
    """At once, whatever kind is wanted."""
    charger.later(charger.reset())
    return ACCEPTED


def trigger(charger: "Charger", request: Payload) -> Payload:
    """Sends what is asked for, and only then."""
    wanted = request["requestedMessage"]
    connector = request.get("connectorId") or request.get("evse", {}).get("id")
    states = charger.connectors.states
    if connector and connector not in states:
        return REJECTED
    dialect = charger.dialect
    numbers = [connector] if connector else list(states)
    messages: list[Message]
    match wanted:
        case "BootNotification":
            charger.boot_now("Triggered")
            return ACCEPTED
        case "TransactionEvent":
            return ACCEPTED if charger.connectors.tell(numbers) else REJECTED
        case "Heartbeat":
            messages = [("Heartbeat", {})]
        case "StatusNotification":
            messages = [dialect.status(number, states[number]) for number in numbers]
        case "MeterValues":
            meters = charger.connectors.meters
            messages = [dialect.metered(number, meters[number], "Trigger") for number in numbers]
        case "LogStatusNotification" | "FirmwareStatusNotification" | "DiagnosticsStatusNotification":
            messages = [(wanted, {"status": "Idle"})]
        case _:
            return {"status": "NotImplemented"}
    charger.later(charger.say(*messages))
    return ACCEPTED


def report(charger: "Charger", request: Payload) -> Payload:
    """2.x: the whole configuration in one NotifyReport."""
    data: list[dict[str, Any]] = []
    for name, value in charger.configuration.items():
        component, _, about = name.partition(".")
        attribute = {"value": value, "mutability": "ReadOnly" if name in READ_ONLY else "ReadWrite"}
        data.append(
            {"component": {"name": component}, "variable": {"name": about}, "variableAttribute": [attribute]}
        )
    head = {"requestId": request["requestId"], "generatedAt": utc(), "seqNo": 0}
    charger.later(charger.say(("NotifyReport", head | {"reportData": data})))
    return ACCEPTED


def set_monitoring(charger: "Charger", request: Payload) -> Payload:
    """2.x: it monitors nothing."""
    kept = ("type", "severity", "component", "variable")
    results = [
        {key: data[key] for key in kept} | {"status": "UnsupportedMonitorType"}
        for data in request["setMonitoringData"]
    ]
    return {"setMonitoringResult": results}


def clear_monitoring(charger: "Charger", request: Payload) -> Payload:
    """2.x: so there is nothing to clear."""
    return {"clearMonitoringResult": [{"status": "NotFound", "id": number} for number in request["id"]]}


def clear_tariffs(charger: "Charger", request: Payload) -> Payload:
    """2.1: nor tariffs."""
    named = [{"tariffId": name, "status": "NoTariff"} for name in request.get("tariffIds", [])]
    return {"clearTariffsResult": named or [{"status": "NoTariff"}]}


ANSWERS: Mapping[str, Callable[["Charger", Payload], Payload]] = {
    "ChangeAvailability": availability,
    "ChangeConfiguration": change_configuration,
    "ClearTariffs": clear_tariffs,
    "ClearVariableMonitoring": clear_monitoring,
    "DataTransfer": data_transfer,
    "ExtendedTriggerMessage": trigger,
    "GetBaseReport": report,
    "GetCompositeSchedule": schedule,
    "GetConfiguration": get_configuration,
    "GetLocalListVersion": local_list_version,
    "GetReport": report,
    "GetTransactionStatus": transaction_status,
    "GetVariables": get_variables,
    "RemoteStartTransaction": remote_start,
    "RemoteStopTransaction": remote_stop,
    "RequestStartTransaction": remote_start,
    "RequestStopTransaction": remote_stop,
    "Reset": reset,
    "SendLocalList": local_list,
    "SetVariableMonitoring": set_monitoring,
    "SetVariables": set_variables,
    "TriggerMessage": trigger,
    "UnlockConnector": unlock,
}

# By action, or by version and action where the versions differ.
FIXED: Mapping[str | tuple[str, str], Payload] = {
    "AdjustPeriodicEventStream": REJECTED,
    "CancelReservation": REJECTED,
    "ChangeTransactionTariff": {"status": "TxNotFound"},
    "ClearChargingProfile": {"status": "Unknown"},
    "ClearDERControl": {"status": "NotFound"},
    "ClearDisplayMessage": {"status": "Unknown"},
    "CostUpdated": {},
    "DeleteCertificate": {"status": "NotFound"},
    "GetChargingProfiles": {"status": "NoProfiles"},
    "GetDERControl": {"status": "NotFound"},
    "GetDiagnostics": {"fileName": "diagnostics.log"},
    "GetDisplayMessages": {"status": "Unknown"},
    "GetInstalledCertificateIds": {"status": "NotFound"},
    "GetMonitoringReport": {"status": "EmptyResultSet"},
    "GetPeriodicEventStream": {},
    "GetTariffs": {"status": "NoTariff"},
    "NotifyWebPaymentStarted": {},
    "SetDERControl": {"status": "NotSupported"},
    "UnpublishFirmware": {"status": "NoFirmware"},
    "UpdateDynamicSchedule": REJECTED,
    "UsePriorityCharging": {"status": "NoProfile"},
    ("v16", "UpdateFirmware"): {},
}


def progress(action: str, *statuses: str) -> Callable[[int | None], list[Message]]:
    """Notifications of a job; they carry its ``requestId`` where it has one."""

    def messages(request: int | None) -> list[Message]:
        about = {} if request is None else {"requestId": request}
        return [(action, {"status": status, **about}) for status in statuses]

    return messages


INSTALL = ("Downloading", "Downloaded", "Installing", "Installed")
FOLLOWED: Mapping[str, Callable[[int | None], list[Message]]] = {
    "GetDiagnostics": progress("DiagnosticsStatusNotification", "Uploading", "Uploaded"),
    "GetLog": progress("LogStatusNotification", "Uploading", "Uploaded"),
    "SignedUpdateFirmware": progress("SignedFirmwareStatusNotification", *INSTALL),
    "UpdateFirmware": progress("FirmwareStatusNotification", *INSTALL),
}
