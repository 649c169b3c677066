# ruff: noqa: D103 - the catalogue has a line of help for each
"""Faults of meters: units, phases, domains of registers, resets, missing and impossible values."""

from voltgate.charger.faults.meters import ENDS, batches, each_register, registers, unit, written
from voltgate.charger.faults.scene import Moment, Scene
from voltgate.charger.messages import Message, Payload

JUMP = 30  # Wh
SPIKE = 10_000_000  # Wh
INLET_SHARE = 1.08  # what the grid delivers for what the vehicle gets


def kwh(message: Message, scene: Scene) -> list[Message]:
    return _in_thousands(message, scene, unit(scene, "kWh"))


def kwh_named_wh(message: Message, scene: Scene) -> list[Message]:
    return _in_thousands(message, scene, unit(scene, "Wh"))


def multiplier(message: Message, scene: Scene) -> list[Message]:
    return _in_thousands(message, scene, unit(scene, "Wh", 3))


def _in_thousands(message: Message, scene: Scene, named: Payload) -> list[Message]:
    """Registers that still have the unit Wh; another fault may have given them another."""
    plain = unit(scene, "Wh")

    def thousandth(sample: Payload) -> list[Payload]:
        if sample != sample | plain:
            return [sample]
        return [sample | named | {"value": written(scene, float(sample["value"]) / 1000)}]

    return each_register(message, thousandth)


def _phases(sample: Payload, scene: Scene) -> list[Payload]:
    if "phase" in sample:
        return [sample]
    whole = float(sample["value"])
    third = whole // 3
    parts = {"L1": third, "L2": third, "L3": whole - 2 * third}
    return [sample | {"phase": phase, "value": written(scene, value)} for phase, value in parts.items()]


def phases_only(message: Message, scene: Scene) -> list[Message]:
    return each_register(message, lambda sample: _phases(sample, scene))


def phases_beside(message: Message, scene: Scene) -> list[Message]:
    return each_register(message, lambda sample: [*_phases(sample, scene), sample])


def inlet_beside(message: Message, scene: Scene) -> list[Message]:
    def inlet(sample: Payload) -> Payload:
        value = round(float(sample["value"]) * INLET_SHARE)
        return sample | {"location": "Inlet", "value": written(scene, value)}

    return each_register(message, lambda sample: [inlet(sample), sample | {"location": "Outlet"}])


def begin_zero(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.BEGIN:
        return [message]
    return registers(message, scene, lambda _: 0)


def samples_from_zero(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.SAMPLE:
        return [message]
    return registers(message, scene, lambda value: value - scene.readings[0])


def two_registers(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.SAMPLE:
        return [message]
    begin = {"context": "Transaction.Begin", "value": written(scene, scene.readings[0])}
    return each_register(message, lambda sample: [sample | begin, sample])


def register_reset(message: Message, scene: Scene) -> list[Message]:
    """From the second meter value on."""
    if scene.place < 2:
        return [message]
    return registers(message, scene, lambda value: value - scene.readings[2])


def register_jumps_back(message: Message, scene: Scene) -> list[Message]:
    """In the second meter value only."""
    if scene.place != 2 or scene.moment is not Moment.SAMPLE:
        return [message]
    return registers(message, scene, lambda _: max(0, scene.readings[1] - JUMP))


def spike(message: Message, scene: Scene) -> list[Message]:
    """In the second meter value only."""
    if scene.place != 2 or scene.moment is not Moment.SAMPLE:
        return [message]
    return registers(message, scene, lambda value: value + SPIKE)


def stop_zero(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.END:
        return [message]
    return registers(message, scene, lambda _: 0)


def no_energy(message: Message, scene: Scene) -> list[Message]:
    return each_register(message, lambda _: []) if scene.moment is Moment.SAMPLE else [message]


def no_meter_values(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.SAMPLE:
        return [message]
    if scene.version == "v16":
        return []
    message[1].pop("meterValue", None)
    return [message]


def clock_aligned(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.SAMPLE:
        return [message]
    if scene.version == "v16":
        message[1].pop("transactionId", None)
    for batch in batches(message):
        for sample in batch["sampledValue"]:
            sample["context"] = "Sample.Clock"
    return [message]


def intervals(message: Message, scene: Scene) -> list[Message]:
    for name in ENDS:
        if name in message[1]:
            message[1][name] = 0
    if scene.moment is Moment.OTHER:
        return [message]
    if scene.moment is Moment.BEGIN:
        message[1].pop("meterValue", None)
        return [message]
    delivered = scene.readings[-1] - scene.readings[-2]
    interval = {"measurand": "Energy.Active.Import.Interval", "value": written(scene, delivered)}
    return each_register(message, lambda sample: [sample | interval])


def zeros_between(message: Message, scene: Scene) -> list[Message]:
    return registers(message, scene, lambda _: 0) if scene.moment is Moment.OTHER else [message]


def odd_numbers(message: Message, scene: Scene) -> list[Message]:
    del scene
    return each_register(
        message,
        lambda sample: [
            sample | {"value": f" {sample['value']}.0 "},
            sample | {"value": "NaN"},
            sample | {"value": ""},
        ],
    )


def signed_beside(message: Message, scene: Scene) -> list[Message]:
    del scene
    blob = {"value": "OCMF|{}|{}", "format": "SignedData"}
    return each_register(message, lambda sample: [blob, sample])


def bare_values(message: Message, scene: Scene) -> list[Message]:
    if scene.moment is not Moment.SAMPLE:
        return [message]
    return each_register(message, lambda sample: [{"value": sample["value"]}])
