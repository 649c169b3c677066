"""A message of ``voltgate tail`` as one line: columns for a terminal, or JSON."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson
import typer

from voltgate import _core
from voltgate.cli.terminal import coloured, json_value, on_terminal, visible

if TYPE_CHECKING:
    from nats.aio.msg import Msg

COLOURS = {"tx": typer.colors.GREEN, "reject": typer.colors.RED, "security": typer.colors.RED}
CUT = "…"


class Columns:
    """A message as a line of columns: time, class, version, action, charger, payload."""

    def __init__(self, dated: bool) -> None:
        self._colours = coloured()
        self._clock = "%Y-%m-%d %H:%M:%S.%f" if dated else "%H:%M:%S.%f"

    def __call__(self, message: "Msg") -> str:
        """The line, with its line end."""
        _, class_, *middle, token = message.subject.split(".")
        # tx, event, live, command: version and action; reject: version; security: reason; link: in the body.
        if class_ == "link":
            middle = _link(message.data)
        version = middle.pop(0) if middle and class_ != "security" else ""
        action = ".".join(middle)
        try:
            charger = _core.identity(token)
        except ValueError:
            charger = token
        remarks = " ".join(f"{name}={value}" for name, value in _remarks(message.headers or {}))
        facts = f"{version:<4} {action:<26} {visible(charger):<16} "
        text = f"{remarks} {visible(_text(message.data))}".strip()
        line = f"{_at(message).strftime(self._clock)[:-3]} {class_:<8} {facts}{text}".rstrip()
        if on_terminal():
            line = _cut(line, shutil.get_terminal_size().columns)
        if self._colours and class_ in COLOURS:
            line = typer.style(line, fg=COLOURS[class_])
        return line + "\n"


def _link(data: bytes) -> list[str]:
    """Version and state of a link fact."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        body = orjson.loads(data)
        return [visible(str(body["version"])), visible(str(body["state"]))]
    return []


def _remarks(headers: dict[str, str]) -> list[tuple[str, str]]:
    """The headers that say that something is special about a message."""
    names = ("ocpp-violation", "ocpp-error-code", "ocpp-error-pointer", "ocpp-error-reason", "ocpp-outcome")
    return [(name.removeprefix("ocpp-"), headers[name]) for name in names if name in headers]


def _at(message: "Msg") -> datetime:
    """Local time: when the gateway received the message, else when it was stored, else now."""
    headers = message.headers or {}
    with suppress(KeyError, ValueError):
        return datetime.fromisoformat(headers["ce-time"]).astimezone()
    at = message.metadata.timestamp if message.reply.startswith("$JS.ACK.") else datetime.now(UTC)
    return at.astimezone()


def as_json(message: "Msg") -> str:
    """A message as a line of JSON."""
    record = {
        "subject": message.subject,
        "headers": message.headers or {},
        "payload": json_value(message.data),
    }
    return orjson.dumps(record).decode() + "\n"


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(width - 1, 0)] + CUT
