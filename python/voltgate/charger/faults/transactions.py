# ruff: noqa: D103 - the catalogue has a line of help for each
"""Faults of transactions: messages that are lost, repeated or out of place, and ids that identify nothing."""

from copy import deepcopy

from voltgate.charger.faults.meters import batches, is_register, registers, written
from voltgate.charger.faults.scene import Moment, Scene
from voltgate.charger.messages import DIALECTS, Message, Status

UNKNOWN = -1  # transactionId of a charger that never got one
STRAY = 987_654_321
MORE = 1000  # Wh


def start_lost(message: Message, scene: Scene) -> list[Message]:
    return [] if scene.moment is Moment.BEGIN else [message]


def stop_lost(message: Message, scene: Scene) -> list[Message]:
    return [] if scene.moment is Moment.END else [message]


def sent_twice(message: Message, scene: Scene) -> list[Message]:
    return [message] if scene.moment is Moment.OTHER else [message, deepcopy(message)]


def start_rewritten(message: Message, scene: Scene) -> list[Message]:
    """The second has the same time in other words, as after a restart of the charger."""
    if scene.moment is not Moment.BEGIN:
        return [message]
    again = deepcopy(message)
    again[1]["timestamp"] = again[1]["timestamp"].replace("Z", "+00:00")
    return [message, again]


def key_conflict(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.SAMPLE:
        return [message]
    return [message, *registers(deepcopy(message), scene, lambda value: value + MORE)]


def stop_twice(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.END:
        return [message]
    (again,) = registers(deepcopy(message), scene, lambda value: value + MORE)
    if "seqNo" in again[1]:
        again[1]["seqNo"] += 1
    else:
        again[1]["reason"] = "Other"
    return [message, again]


def stop_stray(message: Message, scene: Scene) -> list[Message]:
    """Behind the begin of each transaction: the end of one that nobody has heard of."""
    if scene.moment is not Moment.BEGIN:
        return [message]
    payload = message[1]
    if scene.version == "v16":
        stop = {"transactionId": STRAY, "meterStop": scene.readings[0], "timestamp": payload["timestamp"]}
        return [message, ("StopTransaction", stop)]
    stray = deepcopy(payload) | {"eventType": "Ended", "triggerReason": "StopAuthorized", "seqNo": 7}
    stray["transactionInfo"] = {"transactionId": f"{payload['transactionInfo']['transactionId'][:30]}-old"}
    for name in ("idToken", "meterValue"):
        stray.pop(name, None)
    return [message, ("TransactionEvent", stray)]


def tx_id_unknown(message: Message, scene: Scene) -> list[Message]:
    del scene
    if "transactionId" in message[1]:
        message[1]["transactionId"] = UNKNOWN
    return [message]


def evse_bare(message: Message, scene: Scene) -> list[Message]:
    del scene
    message[1].get("evse", {}).pop("connectorId", None)
    return [message]


def seq_gap(message: Message, scene: Scene) -> list[Message]:
    """The second meter value is lost."""
    return [] if scene.place == 2 and scene.moment is Moment.SAMPLE else [message]


def seq_restarts(message: Message, scene: Scene) -> list[Message]:
    """From the second meter value on."""
    if scene.place >= 2 and "seqNo" in message[1]:
        message[1]["seqNo"] -= 2
    return [message]


def token_late(message: Message, scene: Scene) -> list[Message]:
    """Plugged in first: the event of the begin has no token, and an Updated event behind it has."""
    if scene.moment is not Moment.BEGIN:
        if "seqNo" in message[1]:
            message[1]["seqNo"] += 1
        return [message]
    later = deepcopy(message)
    message[1]["triggerReason"] = "CablePluggedIn"
    del message[1]["idToken"]
    later[1].update(eventType="Updated", triggerReason="Authorized", seqNo=later[1]["seqNo"] + 1)
    later[1].pop("meterValue", None)
    return [message, later]


def stop_without_tag(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is Moment.END:
        message[1].pop("idTag", None)
    return [message]


def values_after_stop(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.END:
        return [message]
    payload = deepcopy(message[1])
    if scene.version == "v16":
        sampled = {"value": written(scene, scene.readings[-1]), "context": "Sample.Periodic", "unit": "Wh"}
        value = {"timestamp": payload["timestamp"], "sampledValue": [sampled]}
        values = {"connectorId": 1, "transactionId": payload["transactionId"], "meterValue": [value]}
        return [message, ("MeterValues", values)]
    payload.update(eventType="Updated", triggerReason="MeterValuePeriodic", seqNo=payload["seqNo"] + 1)
    payload["transactionInfo"].pop("stoppedReason", None)
    for batch in batches(("TransactionEvent", payload)):
        for sample in batch["sampledValue"]:
            sample["context"] = "Sample.Periodic"
            if not is_register(sample):
                sample["value"] = 0  # nothing since the end
    return [message, ("TransactionEvent", payload)]


def reboot(message: Message, scene: Scene) -> list[Message]:
    """Before the second meter value."""
    boot = DIALECTS[scene.version].boot("PowerUp")
    return [boot, message] if scene.place == 2 and scene.moment is Moment.SAMPLE else [message]


def power_loss(message: Message, scene: Scene) -> list[Message]:
    """The register of the moment of the loss is not known: the last meter value is all there is."""
    if scene.moment is not Moment.END:
        return [message]
    boot = DIALECTS[scene.version].boot("PowerUp")
    if scene.version == "v16":
        message[1]["reason"] = "PowerLoss"
        message[1]["meterStop"] = scene.readings[-2]
        return [boot, message]
    message[1]["triggerReason"] = "AbnormalCondition"
    message[1]["transactionInfo"]["stoppedReason"] = "PowerLoss"
    return [boot, *registers(message, scene, lambda _: scene.readings[-2])]


def status_available(message: Message, scene: Scene) -> list[Message]:
    """Behind the first meter value."""
    if scene.place != 1 or scene.moment is not Moment.SAMPLE:
        return [message]
    payload = message[1]
    status = DIALECTS[scene.version].status(payload.get("connectorId", 1), Status.AVAILABLE)
    status[1]["timestamp"] = payload.get("timestamp") or payload["meterValue"][0]["timestamp"]
    return [message, status]
