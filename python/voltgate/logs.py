"""Log lines on stderr: text on a terminal, else JSON (docs/contract.md 4.1).

The gateway logs through structlog, libraries through ``logging``; both are written in the same format.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog
from structlog.types import Processor

from voltgate.config import Log
from voltgate.visible import visible, visible_lines

# A charger's fault is counted by the metrics; it gets a line, never a traceback.
_CHARGER_FACING = ("websockets", "aiohttp")


def configure(settings: Log, lasting: bool = False) -> None:
    """Set up every logger of the process. ``lasting``: loggers are cached for the life of the
    process, so that debug lines cost nothing.
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
    shape: list[Processor] = [
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
        _Stderr().msg(self.format(record))


def _named(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    del logger, method
    event["logger"] = event["_record"].name
    return event


def _without_internals(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    del logger, method
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event


def _visible(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whatever a charger or a stranger on NATS put into a value, it is shown and does nothing."""
    del logger, method
    for key, value in event.items():
        if key == "exception":
            event[key] = visible_lines(str(value))
        elif not key.startswith("_"):
            event[key] = _shown(value)
    return event


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if isinstance(value, dict):
        return {visible(str(key)): _shown(one) for key, one in value.items()}
    return visible(str(value))


def _json(event: Any, **options: Any) -> str:
    del options
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
