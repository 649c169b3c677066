"""How to log that the configuration cannot be used: its ``[log]`` alone (docs/contract.md 4.2)."""

import os
import tomllib
from contextlib import suppress
from pathlib import Path

from voltgate.config import Log
from voltgate.config_sources import ENV_PREFIX, ConfigError, content


def settings(file: Path | None) -> Log:
    """What file and environment say about the log, as far as it can be read; the default where it cannot."""
    said: dict[str, object] = {}
    # Whatever is wrong with the file, the environment may say it.
    with suppress(ConfigError, ValueError, TypeError, RecursionError):
        said |= tomllib.loads(content(file).decode()).get("log", {}) if file is not None else {}
    for key in Log.model_fields:
        if (value := os.environ.get(f"{ENV_PREFIX}LOG__{key.upper()}")) is not None:
            said[key] = value
    try:
        return Log.model_validate(said)
    except ValueError:
        return Log()
