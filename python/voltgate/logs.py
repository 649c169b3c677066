"""Log lines on stderr: text on a terminal, else JSON, one event a line (docs/contract.md 4.1).

The gateway logs through structlog, libraries through ``logging``; both are written in the same format. Events
and their keys are those of docs/reference.md ("Log lines"). Every line passes ``log_rates``, and its secrets
are masked.
"""

import atexit
import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import orjson
import structlog
from structlog.types import Processor

from voltgate.config import Log
from voltgate.log_rates import LineRates
from voltgate.visible import visible, visible_lines, without_logins

# Values under these keys are never shown, whatever they are.
_SECRET = {"password", "passphrase", "secret", "seed", "credentials", "authorization"}
# A charger's fault is counted by the metrics; it gets a line, never a traceback.
_CHARGER_FACING = ("websockets", "aiohttp")


def configure(settings: Log, lasting: bool = False) -> None:
    """Set up every logger of the process.

    ``lasting``: it serves, not one command. Loggers are cached, so that debug lines cost nothing, and with
    ``log.format = "json"`` what ends it is an event too (:func:`fatal`).
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    terminal = sys.stderr is not None and sys.stderr.isatty()
    as_json = settings.format == "json" or (settings.format == "auto" and not terminal)
    render: Processor
    if as_json:
        render = structlog.processors.JSONRenderer(serializer=_json)
    else:
        render = structlog.dev.ConsoleRenderer(
            colors=terminal and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
        )
    rates = LineRates()
    if lasting:
        atexit.register(rates.end)
    shape: list[Processor] = [
        rates,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Also for a terminal: structlog's own tracebacks print the values of variables, secrets among them.
        structlog.processors.format_exc_info,
        _visible,
    ]
    structlog.configure(
        processors=[*shape, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *args: _Stderr(),
        cache_logger_on_first_use=lasting,
    )
    global _fatal_events  # noqa: PLW0603 - as structlog's own configuration, which it belongs to
    _fatal_events = lasting and settings.format == "json"
    handler = _FromLibraries()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[_without_internals, render],
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _named, *shape],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Below this level the lines of libraries repeat those of the gateway.
    root.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


_fatal_events = False


def fatal(text: str, code: int) -> bool:
    """Log what ends the process, an event for each line of ``text``; False where it must be plain text."""
    if _fatal_events:
        for line in text.split("\n"):
            structlog.get_logger().critical("process.failed", error=line, code=code)
    return _fatal_events


class _Stderr:
    """Writes structlog's lines. A closed stderr must not end the gateway."""

    def msg(self, message: str) -> None:
        try:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            # The reader has closed it; Python's flush at exit must not fail either.
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - stays open as long as the process

    debug = info = warning = error = critical = exception = log = msg


class _FromLibraries(logging.Handler):
    """Writes the records of the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_CHARGER_FACING) and record.exc_info:
            error = record.exc_info[1]
            record.msg, record.args = f"{record.getMessage()}: {error or type(error).__name__}", ()
            record.exc_info = record.exc_text = None
        with suppress(structlog.DropEvent):
            _Stderr().msg(self.format(record))


def _named(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    del logger, method
    event["logger"] = event["_record"].name
    event["error"], event["event"] = event["event"], "library.reported"
    return event


def _without_internals(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    del logger, method
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event


def _visible(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a charger or a stranger on NATS put into a value is shown and does nothing; secrets are masked."""
    del logger, method
    for key, value in event.items():
        if key == "exception":
            event[key] = visible_lines(without_logins(str(value)))
        elif not key.startswith("_"):
            event[key] = _shown(value, key)
    return event


def _shown(value: Any, key: str = "") -> Any:
    if key.lower() in _SECRET:
        return "***"
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if isinstance(value, dict):
        return {visible(str(name)): _shown(one, str(name)) for name, one in value.items()}
    return visible(without_logins(str(value)))


def _json(event: Any, **options: Any) -> str:
    del options
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
