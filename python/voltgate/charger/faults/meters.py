"""Reads and changes the meter values in a message, whatever its version."""

from collections.abc import Callable
from typing import Any

from voltgate.charger.faults.scene import Scene
from voltgate.charger.messages import Message, Payload

REGISTER = "Energy.Active.Import.Register"
# 1.6 has the register at both ends beside the meter values.
ENDS = ("meterStart", "meterStop")


def batches(message: Message) -> list[Payload]:
    """The items of ``meterValue``; each has a timestamp and sampled values."""
    values: list[Payload] = message[1].get("meterValue", [])
    return values


def is_register(sample: Payload) -> bool:
    """Whether a sampled value is of the energy register, which is also the default."""
    return bool(sample.get("measurand", REGISTER) == REGISTER)


def written(scene: Scene, value: float) -> str | float:
    """A value as its version writes it: 1.6 has text. Two faults may each have divided it by a thousand."""
    whole = int(value) if float(value).is_integer() else round(value, 6)
    return str(whole) if scene.version == "v16" else whole


def unit(scene: Scene, name: str, multiplier: int = 0) -> Payload:
    """The members that give a sampled value its unit."""
    if scene.version == "v16":
        return {"unit": name}
    return {"unitOfMeasure": {"unit": name, **({"multiplier": multiplier} if multiplier else {})}}


def each_register(message: Message, change: Callable[[Payload], list[Payload]]) -> list[Message]:
    """Replace each sampled value of the register by those that ``change`` makes of it."""
    for batch in batches(message):
        batch["sampledValue"] = [
            new
            for sample in batch["sampledValue"]
            for new in (change(sample) if is_register(sample) else [sample])
        ]
    return [message]


def registers(
    message: Message, scene: Scene, change: Callable[[float], float], ends: bool = True
) -> list[Message]:
    """Change the value of each register; ``ends``: also 1.6's meterStart and meterStop."""

    def changed(sample: Payload) -> list[Payload]:
        return [sample | {"value": written(scene, change(float(sample["value"])))}]

    payload: dict[str, Any] = message[1]
    for name in ENDS:
        if ends and name in payload:
            payload[name] = int(change(payload[name]))
    return each_register(message, changed)
