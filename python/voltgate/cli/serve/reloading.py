"""SIGHUP: read the configuration again and hand on what takes effect at once (docs/contract.md 4.2)."""

from pathlib import Path
from typing import Protocol

import structlog

from voltgate import config as configuration
from voltgate.cli.serve.systemd import Notify
from voltgate.config import Config, ConfigError
from voltgate.gateway import reload
from voltgate.gateway.reload import ReloadError

log = structlog.get_logger()


class Target(Protocol):
    """The gateway's process, or the supervisor of several."""

    def reload(self, config: Config) -> None:
        """Apply limits and drain settings. Raises ReloadError, and keeps those before."""

    def reload_failed(self) -> None:
        """The new configuration was refused before it came here."""


class Reloading:
    """Called at each SIGHUP. ``running`` is the configuration in force."""

    def __init__(self, file: Path | None, running: Config, target: Target, notify: Notify) -> None:
        self._file, self._running, self._target, self._notify = file, running, target, notify

    def __call__(self) -> None:
        """Log what changed and what needs a restart; a configuration that is refused changes nothing."""
        self._notify.reloading()
        try:
            fresh = configuration.load(self._file)
        except ConfigError as error:
            self._target.reload_failed()
            self._refused(error)
        else:
            self._apply(fresh)
        self._notify.ready()

    def _apply(self, fresh: Config) -> None:
        changes = reload.changes(self._running, fresh)
        try:
            self._target.reload(fresh)
        except ReloadError as error:
            self._refused(error)
        else:
            self._running = reload.taken(self._running, reload.settings(fresh))
            log.info("config.reloaded", changed=changes.taken, needs_restart=changes.needs_restart)

    def _refused(self, error: Exception) -> None:
        log.error("reload.failed", error=str(error), kept="the configuration in force")
