"""Answers to the CSMS's commands, and their effects. Requests have been validated.

``ANSWERS`` has a row for each action that is not just answered ``{"status": "Accepted"}``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from voltgate.charger import profiles, transfers
from voltgate.charger.messages import VENDOR, Message, Payload, Status, Transaction, utc
from voltgate.charger.station import Station

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}

# 1.6 key or 2.x component.variable of the password; it can be written, not read.
PASSWORDS = frozenset({"AuthorizationKey", "SecurityCtrlr.BasicAuthPassword"})
HEARTBEAT = frozenset({"HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval"})
READ_ONLY = frozenset({"NumberOfConnectors", "ChargingStation.Model", "ChargingStation.VendorName"})


def answer(charger: Station, action: str, request: Payload) -> Payload:
    """The response payload. CALLs that the command causes are sent after the response."""
    answered = ANSWERS.get(action, ACCEPTED)
    return answered(charger, request) if callable(answered) else answered


# Charging


def remote_start(charger: Station, request: Payload) -> Payload:
    """At the requested connector, or at the first available one."""
    connectors = charger.connectors
    free = [number for number in connectors.numbers if connectors[number].status is Status.AVAILABLE]
    connector: int = request.get("connectorId") or request.get("evseId") or next(iter(free), 0)
    if connector not in free or charger.registration != "Accepted":
        return REJECTED
    tx = Transaction(connector, tag=request.get("idTag", ""), remote=True)
    if "idToken" in request:
        tx.tag, tx.tag_type = request["idToken"]["idToken"], request["idToken"]["type"]
        tx.remote_start_id = request["remoteStartId"]
    connectors.start(tx)
    return ACCEPTED


def remote_stop(charger: Station, request: Payload) -> Payload:
    """Rejected unless the transaction is running."""
    tx = running(charger, request["transactionId"])
    return ACCEPTED if tx and charger.connectors.end(tx, "Remote") else REJECTED


def unlock(charger: Station, request: Payload) -> Payload:
    """1.6 ends a transaction first; 2.x refuses while one is authorized."""
    old = charger.settings.version == "v16"
    connector = request["connectorId"] if old else request["evseId"]
    if connector not in charger.connectors:
        return {"status": "NotSupported" if old else "UnknownConnector"}
    tx = charger.connectors[connector].transaction
    if tx and not old:
        return {"status": "OngoingAuthorizedTransaction"}
    if tx:
        charger.connectors.end(tx, "UnlockCommand")
    return {"status": "Unlocked"}


def availability(charger: Station, request: Payload) -> Payload:
    """One connector, or all (1.6: 0, 2.x: no evse)."""
    wanted = request.get("connectorId") or request.get("evse", {}).get("id")
    connectors = charger.connectors
    if wanted and wanted not in connectors:
        return REJECTED
    operative = "Operative" in {request.get("type"), request.get("operationalStatus")}
    numbers = [wanted] if wanted else connectors.numbers
    at_once = [connectors.change_service(number, operative) for number in numbers]
    return ACCEPTED if all(at_once) else {"status": "Scheduled"}


def transaction_status(charger: Station, request: Payload) -> Payload:
    """2.x: whether the transaction runs, and whether messages of it are queued."""
    if "transactionId" not in request:
        return {"messagesInQueue": bool(charger.outbox)}
    wanted = request["transactionId"]
    return {
        "ongoingIndicator": running(charger, wanted) is not None,
        "messagesInQueue": any(m.transaction and m.transaction.id == wanted for m in charger.outbox),
    }


def running(charger: Station, transaction: int | str) -> Transaction | None:
    """The running transaction with this id."""
    return next((tx for tx in charger.connectors.transactions if tx.id == transaction), None)


# Configuration


def get_configuration(charger: Station, request: Payload) -> Payload:
    """1.6: the requested keys, or all."""
    known = charger.configuration
    wanted = request.get("key") or list(known)
    return {
        "configurationKey": [
            {"key": key, "readonly": key in READ_ONLY, "value": known[key]} for key in wanted if key in known
        ],
        "unknownKey": [key for key in wanted if key not in known],
    }


def get_variables(charger: Station, request: Payload) -> Payload:
    """2.x: a result per variable; a password cannot be read."""

    def read(name: str) -> Payload:
        if name in charger.configuration:
            return {"attributeStatus": "Accepted", "attributeValue": charger.configuration[name]}
        return {"attributeStatus": "Rejected" if name in PASSWORDS else "UnknownVariable"}

    return {"getVariableResult": [about(data) | read(variable(data)) for data in request["getVariableData"]]}


def set_variables(charger: Station, request: Payload) -> Payload:
    """2.x: a result per variable."""
    results = []
    for data in request["setVariableData"]:
        status = change(charger, variable(data), data["attributeValue"], "UnknownVariable")
        results.append(about(data) | {"attributeStatus": status})
    return {"setVariableResult": results}


def about(data: Payload) -> Payload:
    """The members that identify a variable in a result."""
    return {"component": data["component"], "variable": data["variable"]}


def change(charger: Station, name: str, value: str, unknown: str) -> str:
    """The status of one change. After a new password the charger reconnects."""
    if name in PASSWORDS:
        try:
            # docs/ocpp.md A23: 1.6 sends hex digits of raw bytes, 2.x the text itself
            charger.password = bytes.fromhex(value) if charger.settings.version == "v16" else value.encode()
        except ValueError:
            return "Rejected"
        charger.reconnect_soon()
        return "Accepted"
    if name not in charger.configuration:
        return unknown
    if name in READ_ONLY or (name in HEARTBEAT and not value.isdecimal()):
        return "Rejected"
    charger.configuration = {**charger.configuration, name: value}
    if name in HEARTBEAT:
        charger.beat_every(int(value) * charger.settings.behaviour.second)
    return "Accepted"


def variable(data: Payload) -> str:
    """Its name in ``Station.configuration``."""
    return f"{data['component']['name']}.{data['variable']['name']}"


def local_list(charger: Station, request: Payload) -> Payload:
    """Only the version of the list is kept."""
    charger.local_list = request.get("listVersion") or request.get("versionNumber") or 0
    return ACCEPTED


# Everything else


def reset(charger: Station, request: Payload) -> Payload:
    """Immediate, for every type of reset."""
    del request
    charger.reset()
    return ACCEPTED


def trigger(charger: Station, request: Payload) -> Payload:
    """Send the requested message."""
    wanted = request["requestedMessage"]
    connector = request.get("connectorId") or request.get("evse", {}).get("id")
    connectors, dialect = charger.connectors, charger.dialect
    if connector and connector not in connectors:
        return REJECTED
    numbers = [connector] if connector else connectors.numbers
    messages: list[Message]
    match wanted:
        case "BootNotification":
            charger.boot_now("Triggered")
            return ACCEPTED
        case "TransactionEvent":
            return ACCEPTED if connectors.triggered(numbers) else REJECTED
        case "Heartbeat":
            messages = [("Heartbeat", {})]
        case "StatusNotification":
            messages = [dialect.status(number, connectors[number].status) for number in numbers]
        case "MeterValues":
            messages = [dialect.metered(number, connectors[number].meter, "Trigger") for number in numbers]
        case "SignChargePointCertificate" | "SignChargingStationCertificate":
            messages = [certificate_request(charger)]
        case "LogStatusNotification" | "FirmwareStatusNotification" | "DiagnosticsStatusNotification":
            messages = [(wanted, {"status": "Idle"})]
        case _:
            return {"status": "NotImplemented"}
    for message in messages:
        charger.send(message)
    return ACCEPTED


def certificate_request(charger: Station) -> Message:
    """SignCertificate with a new key; CertificateSigned follows."""
    from voltgate.charger.certificates import Request  # noqa: PLC0415 - see there

    charger.signing = Request(charger.settings.identity)
    return "SignCertificate", {"csr": charger.signing.csr}


def certificate_signed(charger: Station, request: Payload) -> Payload:
    """Reconnect with the certificate, if it is for the key of the last request (2.0.1 A02)."""
    signing, chain = charger.signing, request["certificateChain"]
    if signing is None or not signing.fits(chain):
        old = charger.settings.version == "v16"
        kind = "InvalidChargePointCertificate" if old else "InvalidChargingStationCertificate"
        charger.send(("SecurityEventNotification", {"type": kind, "timestamp": utc()}))
        return REJECTED
    before = charger.context or next((one.ssl for one in charger.settings.endpoints if one.ssl), None)
    charger.context, charger.signing = signing.context(chain, before), None
    charger.reconnect_soon()
    return ACCEPTED


def report(charger: Station, request: Payload) -> Payload:
    """2.x: the whole configuration in one NotifyReport."""
    data: list[dict[str, Any]] = []
    for name, value in charger.configuration.items():
        component, _, about = name.partition(".")
        attribute = {"value": value, "mutability": "ReadOnly" if name in READ_ONLY else "ReadWrite"}
        kind = {"dataType": "integer", "minLimit": 0} if value.isdecimal() else {"dataType": "string"}
        unit = {"unit": "s"} if about.endswith("Interval") else {}
        data.append(
            {
                "component": {"name": component},
                "variable": {"name": about},
                "variableAttribute": [attribute],
                "variableCharacteristics": {"supportsMonitoring": False, **kind, **unit},
            }
        )
    head = {"requestId": request["requestId"], "generatedAt": utc(), "seqNo": 0}
    charger.send(("NotifyReport", head | {"reportData": data}))
    return ACCEPTED


def set_monitoring(charger: Station, request: Payload) -> Payload:
    """2.x: no monitor is supported."""
    kept = ("type", "severity", "component", "variable")
    results = [
        {key: data[key] for key in kept} | {"status": "UnsupportedMonitorType"}
        for data in request["setMonitoringData"]
    ]
    return {"setMonitoringResult": results}


def clear_tariffs(charger: Station, request: Payload) -> Payload:
    """2.1: there are no tariffs."""
    named = [{"tariffId": name, "status": "NoTariff"} for name in request.get("tariffIds", [])]
    return {"clearTariffsResult": named or [{"status": "NoTariff"}]}


ANSWERS: Mapping[str, Payload | Callable[[Station, Payload], Payload]] = {
    "AdjustPeriodicEventStream": REJECTED,
    "CancelReservation": REJECTED,
    "CertificateSigned": certificate_signed,
    "ChangeAvailability": availability,
    "ChangeConfiguration": lambda charger, request: {
        "status": change(charger, request["key"], request["value"], "NotSupported")
    },
    "ChangeTransactionTariff": {"status": "TxNotFound"},
    "ClearChargingProfile": profiles.clear_profile,
    "ClearDERControl": {"status": "NotFound"},
    "ClearDisplayMessage": {"status": "Unknown"},
    "ClearTariffs": clear_tariffs,
    "ClearVariableMonitoring": lambda _, request: {
        "clearMonitoringResult": [{"status": "NotFound", "id": number} for number in request["id"]]
    },
    "CostUpdated": {},
    "DataTransfer": lambda _, request: (
        ACCEPTED if request["vendorId"] == VENDOR else {"status": "UnknownVendorId"}
    ),
    "DeleteCertificate": {"status": "NotFound"},
    "ExtendedTriggerMessage": trigger,
    "GetBaseReport": report,
    "GetChargingProfiles": {"status": "NoProfiles"},
    "GetCompositeSchedule": profiles.schedule,
    "GetConfiguration": get_configuration,
    "GetDERControl": {"status": "NotFound"},
    "GetDiagnostics": transfers.get_diagnostics,
    "GetDisplayMessages": {"status": "Unknown"},
    "GetInstalledCertificateIds": {"status": "NotFound"},
    "GetLocalListVersion": lambda charger, _: {
        "listVersion" if charger.settings.version == "v16" else "versionNumber": charger.local_list
    },
    "GetLog": transfers.get_log,
    "GetMonitoringReport": {"status": "EmptyResultSet"},
    "GetPeriodicEventStream": {},
    "GetReport": report,
    "GetTariffs": {"status": "NoTariff"},
    "GetTransactionStatus": transaction_status,
    "GetVariables": get_variables,
    "NotifyWebPaymentStarted": {},
    "RemoteStartTransaction": remote_start,
    "RemoteStopTransaction": remote_stop,
    "RequestStartTransaction": remote_start,
    "RequestStopTransaction": remote_stop,
    "Reset": reset,
    "SendLocalList": local_list,
    "SetChargingProfile": profiles.set_profile,
    "SetDERControl": {"status": "NotSupported"},
    "SetVariableMonitoring": set_monitoring,
    "SetVariables": set_variables,
    "SignedUpdateFirmware": transfers.signed_update_firmware,
    "TriggerMessage": trigger,
    "UnlockConnector": unlock,
    "UnpublishFirmware": {"status": "NoFirmware"},
    "UpdateDynamicSchedule": REJECTED,
    "UpdateFirmware": transfers.update_firmware,
    "UsePriorityCharging": {"status": "NoProfile"},
}
