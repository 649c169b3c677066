"""What every charger says and is told, version by version, and what the streams must hold afterwards."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Payload = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    """A message and what the other side's answer must hold."""

    action: str
    payload: Payload
    answer: Payload = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    """``before`` and ``commands``, a restart of the gateway, ``again`` and ``reset``, then ``after``."""

    token: str  # of subjects
    before: list[Exchange]
    commands: list[Exchange]
    again: list[int]  # which of ``before`` are sent a second time, as after a lost answer
    reset: Exchange
    after: list[Exchange]
    stored: Counter[str]  # OCPP_TX: how often each action, answers included


def at(minute: int) -> str:
    """A time of this transaction. Later than 2020, or the session would be part of the key."""
    return f"2026-03-01T10:{minute:02}:00Z"


ACCEPTED: Payload = {"status": "Accepted"}
ID_TAG_OK: Payload = {"idTagInfo": ACCEPTED}
ID_TOKEN_OK: Payload = {"idTokenInfo": ACCEPTED}
ID_TOKEN: Payload = {"idToken": "04A2B3", "type": "ISO14443"}
VARIABLE: Payload = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}


def samples(minute: int, value: Any) -> list[Payload]:
    measured = {"value": value, "measurand": "Energy.Active.Import.Register"}
    return [{"timestamp": at(minute), "sampledValue": [measured]}]


def conversation_16() -> Conversation:
    def metered(minute: int, value: str) -> Exchange:
        return Exchange("MeterValues", {"connectorId": 1, "meterValue": samples(minute, value)})

    started = {"connectorId": 1, "idTag": "04A2B3", "meterStart": 0, "timestamp": at(0)}
    # The driver is given the transaction's id once the backend has answered with it.
    stopped = {"transactionId": None, "idTag": "04A2B3", "meterStop": 20, "timestamp": at(9)}
    setting = {"key": "MeterValueSampleInterval", "value": "30"}
    return Conversation(
        token="v16",
        before=[
            Exchange("BootNotification", {"chargePointVendor": "Müller", "chargePointModel": "M"}, ACCEPTED),
            Exchange("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
            Exchange("Authorize", {"idTag": "04A2B3"}, ID_TAG_OK),
            Exchange("StartTransaction", started, ID_TAG_OK),
            metered(1, "10"),
        ],
        commands=[
            Exchange("ChangeConfiguration", setting, ACCEPTED),
            Exchange("RemoteStartTransaction", {"idTag": "04A2B3", "connectorId": 1}, ACCEPTED),
        ],
        again=[3, 4],
        reset=Exchange("Reset", {"type": "Soft"}, ACCEPTED),
        after=[metered(2, "20"), Exchange("StopTransaction", stopped)],
        stored=Counter(StartTransaction=1, StartTransactionResponse=1, MeterValues=2, StopTransaction=1),
    )


def conversation_2(token: str) -> Conversation:
    def event(kind: str, number: int, reason: str, answer: Payload | None = None, **more: Any) -> Exchange:
        payload = {
            "eventType": kind,
            "timestamp": at(number),
            "triggerReason": reason,
            "seqNo": number,
            "transactionInfo": {"transactionId": "tx 1/ö"},
        }
        return Exchange("TransactionEvent", payload | more, answer or {})

    boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "Müller", "model": "M"}}
    status = {"timestamp": at(0), "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    setting = VARIABLE | {"attributeValue": "30"}
    return Conversation(
        token=token,
        before=[
            Exchange("BootNotification", boot, ACCEPTED),
            Exchange("StatusNotification", status),
            Exchange("Authorize", {"idToken": ID_TOKEN}, ID_TOKEN_OK),
            event("Started", 0, "Authorized", ID_TOKEN_OK, idToken=ID_TOKEN, evse={"id": 1}),
            event("Updated", 1, "MeterValuePeriodic", meterValue=samples(1, 10)),
        ],
        commands=[
            Exchange(
                "SetVariables",
                {"setVariableData": [setting]},
                {"setVariableResult": [VARIABLE | {"attributeStatus": "Accepted"}]},
            ),
            Exchange("RequestStartTransaction", {"idToken": ID_TOKEN, "remoteStartId": 1}, ACCEPTED),
        ],
        again=[3, 4],
        reset=Exchange("Reset", {"type": "OnIdle"}, ACCEPTED),
        after=[
            event("Updated", 2, "MeterValuePeriodic", meterValue=samples(2, 20)),
            event("Ended", 3, "StopAuthorized", meterValue=samples(3, 20)),
        ],
        stored=Counter(TransactionEvent=4, TransactionEventResponse=1),
    )


CONVERSATIONS = {
    "1.6": conversation_16(),
    "2.0.1": conversation_2("v201"),
    "2.1": conversation_2("v21"),
}


def missing(wanted: Any, said: Any, where: str = "") -> Iterator[str]:
    """Pointers to what ``wanted`` holds and ``said`` does not. A client may add fields and respell times."""
    if isinstance(wanted, dict) and isinstance(said, dict):
        for name, value in wanted.items():
            if value is not None:
                yield from missing(value, said.get(name), f"{where}/{name}")
    elif isinstance(wanted, list) and isinstance(said, list) and len(wanted) == len(said):
        for number, (one, other) in enumerate(zip(wanted, said, strict=True)):
            yield from missing(one, other, f"{where}/{number}")
    elif where.endswith("/timestamp"):
        if not isinstance(said, str) or datetime.fromisoformat(said) != datetime.fromisoformat(wanted):
            yield where
    elif wanted != said:
        yield where
