"""Commands that a message suggests: they repeat the configuration file in use, so that they can be copied."""

import re
import shlex
from pathlib import Path

from voltgate.config_sources import shown

# Those whose answer depends on the configuration; in backquotes, as everywhere in messages.
_COMMAND = re.compile(r"`(voltgate (?:streams|policy|chargers|check|violations|permissions)\b[^`]*)`")


class _InUse:
    file: Path | None = None


def use(file: Path | None) -> None:
    """The configuration file of this process."""
    _InUse.file = file


def hinted(text: str) -> str:
    """``text`` with ``--config FILE`` added to the commands that it suggests."""
    if _InUse.file is None:
        return text
    option = f"--config {shlex.quote(shown(_InUse.file))}"
    return _COMMAND.sub(lambda found: f"`{found[1]} {option}`", text)
