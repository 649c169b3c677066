"""``voltgate tail``: live messages, one line each. Never anything under the prefix of questions and commands:
whoever subscribes there counts as a responder (CONTRACT 3.2).
"""

import asyncio
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from voltgate import _core
from voltgate.cli.faults import EXIT_CODES, USAGE, Failure, ReaderLeft
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, coloured, on_terminal, raw, say
from voltgate.config import Config, Nats

if TYPE_CHECKING:
    from nats.aio.msg import Msg

app = typer.Typer()

# Class -> the tokens between it and the charger's (CONTRACT 3.2).
CLASSES = {
    "tx": "*.*",
    "event": "*.*",
    "live": "*.*",
    "command": "*.*",
    "reject": "*",
    "security": "*",
    "link": "",
}
COLOURS = {"tx": typer.colors.GREEN, "reject": typer.colors.RED, "security": typer.colors.RED}
CUT = "…"


@app.command(
    epilog=f"Examples: voltgate tail tx; voltgate tail 'event.*.StatusNotification.>' reject; "
    f"voltgate tail --charger 'RDAM 1' --json. Ctrl-C ends it with 0. {EXIT_CODES}"
)
def tail(
    filters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILTER]...",
            help=f"A class ({', '.join(CLASSES)}) or a subject pattern, with or without the prefix "
            "('tx.v16.>', 'ocpp.*.*.*.CP001'). Default: everything.",
        ),
    ] = None,
    charger: Annotated[str, typer.Option(metavar="ID", help="One charger, by its plain identity.")] = "",
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Live messages from NATS, one line each.

    Payloads are cut to the width of a terminal and whole in a pipe.
    """
    settings = loaded(config)
    wanted = subjects(settings.nats, filters or [], charger)
    with suppress(KeyboardInterrupt, ReaderLeft):
        run(follow(settings, wanted, charger, as_json))


async def follow(config: Config, subjects: list[str], charger: str = "", as_json: bool = False) -> None:
    """Print what arrives until cancelled. Raises ReaderLeft."""
    from nats.errors import SlowConsumerError  # noqa: PLC0415

    from voltgate.gateway import bus  # noqa: PLC0415

    leaving = False

    async def away() -> None:
        if not leaving:
            say("voltgate: NATS is away; waiting for it")

    async def back() -> None:
        say("voltgate: NATS is back; what came meanwhile is in the streams")

    async def odd(error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            say("voltgate: more messages than can be printed, some are left out: use a narrower filter")

    client = await bus.connect(
        config.nats, name="voltgate-tail", disconnected_cb=away, reconnected_cb=back, error_cb=odd
    )
    arrived: asyncio.Queue[Msg] = asyncio.Queue(maxsize=65_536)
    token = _core.token(charger) if charger else ""
    form = _json if as_json else _Columns()
    try:
        for subject in subjects:
            await client.subscribe(subject, cb=arrived.put)
        while True:
            messages = [await arrived.get()]
            while not arrived.empty():
                messages.append(arrived.get_nowait())
            lines = [form(m) for m in messages if not token or m.subject.rpartition(".")[2] == token]
            # In a thread: a terminal that is stopped must not stop the gateway of `voltgate dev`.
            await asyncio.to_thread(raw, "".join(lines).encode())
    finally:
        leaving = True
        await client.close()


def subjects(nats: Nats, filters: list[str], charger: str) -> list[str]:
    """The subjects to subscribe to, none covered by another. Raises Failure (usage)."""
    if charger and not filters:
        filters = list(CLASSES)
    patterns = [_pattern(nats, text, charger) for text in dict.fromkeys(filters)] or [f"{nats.prefix}.>"]
    return [one for one in patterns if not any(_covers(other, one) for other in patterns if other != one)]


def _pattern(nats: Nats, text: str, charger: str) -> str:
    if charger and text in CLASSES:
        return ".".join(filter(None, (nats.prefix, text, CLASSES[text], _core.token(charger))))
    if text in CLASSES:
        return f"{nats.prefix}.{text}.>"
    tokens = text.split(".")
    if tokens[0] == nats.rpc_prefix:
        raise Failure(
            f"FILTER {text}: questions and commands are not for listening, a subscriber would count as a "
            f"responder; commands and their results are facts: voltgate tail command",
            USAGE,
        )
    if tokens[0] == nats.prefix and len(tokens) > 1:
        tokens = tokens[1:]
    legal = all(t and not any(c in t for c in " \t\r\n") for t in tokens) and ">" not in tokens[:-1]
    if not legal or tokens[0] not in (*CLASSES, "*", ">"):
        raise Failure(
            f"FILTER {text}: a class ({', '.join(CLASSES)}) or a subject pattern that begins with one, "
            "for example 'event.*.StatusNotification.>'",
            USAGE,
        )
    return ".".join((nats.prefix, *tokens))


def _covers(wide: str, narrow: str) -> bool:
    """Whether every subject of ``narrow`` is one of ``wide``."""
    a, b = wide.split("."), narrow.split(".")
    for position, token in enumerate(a):
        if token == ">":  # noqa: S105
            return len(b) > position
        if position >= len(b) or b[position] == ">" or (token != "*" and token != b[position]):  # noqa: S105
            return False
    return len(a) == len(b)


class _Columns:
    """A message as a line for people: time, class, version, action, charger, payload."""

    def __init__(self) -> None:
        self._colours = coloured()

    def __call__(self, message: "Msg") -> str:
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
        told = " ".join(f"{name}={value}" for name, value in _remarks(message.headers or {}))
        facts = f"{version:<4} {action:<26} {_visible(charger):<16} "
        text = f"{told} {_visible(_text(message.data))}".strip()
        line = f"{_clock(message)} {class_:<8} {facts}{text}".rstrip()
        if on_terminal():
            line = _cut(line, shutil.get_terminal_size().columns)
        if self._colours and class_ in COLOURS:
            line = typer.style(line, fg=COLOURS[class_])
        return line + "\n"


def _link(data: bytes) -> list[str]:
    """Version and state of a link fact."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        body = orjson.loads(data)
        return [_visible(str(body["version"])), _visible(str(body["state"]))]
    return []


def _remarks(headers: dict[str, str]) -> list[tuple[str, str]]:
    """The headers that change how a message is to be read."""
    names = ("ocpp-violation", "ocpp-error-code", "ocpp-error-pointer", "ocpp-error-reason", "ocpp-outcome")
    return [(name.removeprefix("ocpp-"), headers[name]) for name in names if name in headers]


def _clock(message: "Msg") -> str:
    """Local time of day: when the gateway received it, else now."""
    at = datetime.now(UTC)
    with suppress(KeyError, ValueError):
        at = datetime.fromisoformat((message.headers or {})["ce-time"])
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3]


def _json(message: "Msg") -> str:
    record = {"subject": message.subject, "headers": message.headers or {}, "payload": _value(message.data)}
    return orjson.dumps(record).decode() + "\n"


def _value(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _text(data)
    # The sender's own bytes where they fit on a line: numbers keep their digits.
    return value if b"\n" in data or b"\r" in data else orjson.Fragment(data)


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def _visible(text: str) -> str:
    """On one line, and nothing a charger sent can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else " " if c.isspace() else c.encode("unicode_escape").decode() for c in text
    )


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(width - 1, 0)] + CUT
