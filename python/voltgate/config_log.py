"""How to log that the configuration cannot be used: its ``[log]`` alone (docs/contract.md 4.2)."""

import os
import tomllib
from contextlib import suppress
from pathlib import Path

from voltgate.config import ENV_PREFIX, Log


def settings(file: Path | None) -> Log:
    """What file and environment say about the log, as far as it can be read; the default where it cannot."""
    said: dict[str, object] = {}
    # Whatever is wrong with the file, the environment may say it.
    with suppress(OSError, ValueError, TypeError, RecursionError):
        said |= tomllib.loads(file.read_text()).get("log", {}) if file is not None else {}
    for key in Log.model_fields:
        if (value := os.environ.get(f"{ENV_PREFIX}LOG__{key.upper()}")) is not None:
            said[key] = value
    try:
        return Log.model_validate(said)
    except ValueError:
        return Log()
