"""What messages of a command get from its configuration: sources of keys, and `--config` in hints.

Modules below the command line know keys, and not where a value came from.
"""

import re
import shlex
from pathlib import Path

from voltgate.config import Config
from voltgate.config_sources import shown

# Those whose answer depends on the configuration; in backquotes, as everywhere in messages.
_COMMAND = re.compile(r"`(voltgate (?:streams|policy|chargers|check|violations|permissions)\b[^`]*)`")
_KEY = re.compile(r"^(nats)\.([a-z_]+)(?=[:,])", re.MULTILINE)
_SERVER = re.compile(r"^(?=NATS at )", re.MULTILINE)


class _InUse:
    file: Path | None = None
    config: Config | None = None


def use(file: Path | None, config: Config | None = None) -> None:
    """The configuration of this process; first the file alone, which may be invalid."""
    _InUse.file, _InUse.config = file, config


def hinted(text: str) -> str:
    """``text`` with the sources of its keys, and ``--config FILE`` in the commands that it suggests."""
    if _InUse.config is not None:
        where = _InUse.config.where
        text = _KEY.sub(lambda found: where(found[1], found[2]), text)
        server = where("nats", "url")
        text = _SERVER.sub("" if server == "nats.url" else f"{server}: ", text)
    if _InUse.file is None:
        return text
    option = f"--config {shlex.quote(shown(_InUse.file))}"
    return _COMMAND.sub(lambda found: f"`{found[1]} {option}`", text)
