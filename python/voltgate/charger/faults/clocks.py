# ruff: noqa: D103 - the catalogue has a line of help for each
"""Faults of clocks: they change every ``timestamp`` of a message."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from voltgate.charger.faults.scene import Scene
from voltgate.charger.messages import Message, rfc3339

ZONE = timedelta(hours=2)
DRIFT = 0.02  # seconds per second


def no_clock(message: Message, scene: Scene) -> list[Message]:
    return _shifted(message, lambda at: datetime(1970, 1, 1, tzinfo=UTC) + (at - scene.booted))


def clock_zone(message: Message, scene: Scene) -> list[Message]:
    del scene
    return _shifted(message, lambda at: at + ZONE)


def clock_drifts(message: Message, scene: Scene) -> list[Message]:
    return _shifted(message, lambda at: at + (at - scene.booted) * DRIFT)


def _shifted(message: Message, change: Callable[[datetime], datetime]) -> list[Message]:
    def walk(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            for name, item in value.items():
                if name == "timestamp":
                    value[name] = rfc3339(change(datetime.fromisoformat(item)))
                else:
                    walk(item)

    walk(message[1])
    return [message]
