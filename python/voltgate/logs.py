"""Log lines on stderr: text on a terminal, else JSON (docs/contract.md 4.1).

Our own lines come from structlog, those of libraries from ``logging``; both are written in one form.
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

# A charger's fault is shown by the metrics and is not ours: a line, never a traceback.
_CHARGER_FACING = ("websockets", "aiohttp")


def configure(settings: Log, lasting: bool = False) -> None:
    """Set up every logger of the process. ``lasting``: for the life of the process; debug lines
    then cost nothing.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    terminal = sys.stderr is not None and sys.stderr.isatty()
    as_json = settings.format == "json" or (settings.format == "auto" and not terminal)
    render: Processor
    if as_json:
        render = structlog.processors.JSONRenderer(serializer=_json)
    else:
        render = structlog.dev.ConsoleRenderer(colors=terminal and not os.environ.get("NO_COLOR"))
    shape: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        shape.append(structlog.processors.format_exc_info)
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
    # Below this level the lines of libraries repeat our own.
    root.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


class _Stderr:
    """Writes structlog's lines. A closed stderr must not end the gateway."""

    def msg(self, message: str) -> None:
        try:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            # Its reader has closed it; what Python flushes at exit must not fail either.
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


def _json(event: Any, **options: Any) -> str:
    del options
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
