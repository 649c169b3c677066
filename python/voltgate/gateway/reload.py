"""What SIGHUP changes in a running gateway: which keys differ, and which of them take effect at once.

Not here: reading the file (``config``), and applying a limit to live connections (``worker``, ``roster``).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from voltgate.config import Config, Drain, Limits
from voltgate.gateway.telemetry.metrics import Metrics

# The sections that take effect at once; a change of any other key needs a restart (docs/contract.md 4.2).
_LIVE = {"limits": Limits, "drain": Drain}


class ReloadError(Exception):
    """The new values cannot be used; the old ones stay. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from the running configuration. ``taken``: keys with both values; others: keys alone.

    A value may be a secret, or name a file that holds one; limits are neither.
    """

    taken: list[str]
    needs_restart: list[str]


def changes(running: Config, fresh: Config) -> Changes:
    """Compare key by key."""
    before, after = dict(_keys(running)), dict(_keys(fresh))
    differing = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    live = [key for key in differing if key.split(".")[0] in _LIVE]
    return Changes(
        [f"{key}: {before[key]} -> {after[key]}" for key in live],
        [key for key in differing if key not in live],
    )


def _keys(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its dotted key; a list of sections is numbered. A dump would mask what differs."""
    parts: list[tuple[Any, Any]]
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        parts = [(field.alias or key, getattr(value, key)) for key, field in fields.items()]
    elif isinstance(value, dict) and value:
        parts = list(value.items())
    elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
        parts = list(enumerate(value))
    else:
        yield name, value
        return
    for key, part in parts:
        yield from _keys(part, f"{name}.{key}" if name else str(key))


def settings(config: Config) -> dict[str, Any]:
    """What takes effect at once, in a form that JSON can carry."""
    return {name: getattr(config, name).model_dump() for name in _LIVE}


def taken(running: Config, fresh: dict[str, Any]) -> Config:
    """``running`` with the ``settings`` of another configuration."""
    return running.model_copy(update={name: section(**fresh[name]) for name, section in _LIVE.items()})


class Reloads:
    """How the last reload ended, as metrics; the start counts as the first one."""

    def __init__(self, metrics: Metrics) -> None:
        self._successful, self._at = True, time.time()
        metrics.reload_successful.read = lambda: [((), float(self._successful))]
        metrics.reload_at.read = lambda: [((), self._at)]

    def succeeded(self) -> None:
        """The configuration is in force."""
        self._successful, self._at = True, time.time()

    def failed(self) -> None:
        """The one before it stays."""
        self._successful = False
