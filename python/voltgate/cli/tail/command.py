"""``voltgate tail``: messages, one line each, live or from the streams on (``replay``). Never anything under
the prefix of questions and commands: whoever subscribes there counts as a responder (CONTRACT 3.2).
"""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from voltgate import _core
from voltgate.cli.check.subjects import uncovered
from voltgate.cli.faults import EXIT_CODES, USAGE, Failure, ReaderLeft
from voltgate.cli.service import loaded, run
from voltgate.cli.tail import replay
from voltgate.cli.terminal import AsJson, ConfigFile, coloured, on_terminal, raw, say, visible
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
BATCH = 256  # stored messages printed at once


@dataclass(frozen=True, slots=True)
class Past:
    """What to show before the live messages, and whether these are wanted too."""

    since: datetime
    follow: bool


@app.command(
    epilog=f"Examples: voltgate tail tx; voltgate tail 'event.*.StatusNotification.>' reject; "
    f"voltgate tail --charger 'RDAM 1' --since 2h --json. Ctrl-C ends it with 0. {EXIT_CODES}"
)
def tail(  # noqa: PLR0913, PLR0917 - the options of a command
    filters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILTER]...",
            help=f"A class ({', '.join(CLASSES)}) or a subject pattern, with or without the prefix "
            "('tx.v16.>', 'ocpp.*.*.*.CP001'). Default: everything.",
        ),
    ] = None,
    charger: Annotated[str, typer.Option(metavar="ID", help="One charger, by its plain identity.")] = "",
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Begin with what the streams keep: from so long ago (90s, 10m, 2h, 7d) or from an RFC 3339 "
            "time on. Class live is not stored.",
        ),
    ] = "",
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="With --since: end when the past is told.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Live messages from NATS, one line each.

    Payloads are cut to the width of a terminal and whole in a pipe.
    """
    if no_follow and not since:
        raise Failure("--no-follow: only with --since, which says where to begin", USAGE)
    past = Past(replay.moment(since), not no_follow) if since else None
    settings = loaded(config)
    wanted = subjects(settings.nats, filters or [], charger)
    with suppress(KeyboardInterrupt, ReaderLeft):
        run(follow(settings, wanted, charger, as_json, past))


async def follow(
    config: Config, subjects: list[str], charger: str = "", as_json: bool = False, past: Past | None = None
) -> None:
    """Print what is stored and what arrives, until cancelled. Raises ReaderLeft, Failure."""
    from nats.errors import SlowConsumerError  # noqa: PLC0415

    from voltgate.gateway.bus import connect  # noqa: PLC0415

    leaving = False
    readers: list[replay.Reader] = []

    async def away() -> None:
        if not leaving:
            say("voltgate: NATS is away; waiting for it")

    async def back() -> None:
        say(f"voltgate: NATS is back; what came meanwhile {'follows' if readers else 'is in the streams'}")
        for reader in readers:
            reader.reopen()

    async def odd(error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            say("voltgate: more messages than can be printed, some are left out: use a narrower filter")

    client = await connect.connect(
        config.nats, name="voltgate-tail", disconnected_cb=away, reconnected_cb=back, error_cb=odd
    )
    arrived: asyncio.Queue[Msg] = asyncio.Queue(maxsize=65_536)
    printed = _Printed(charger, _json if as_json else _Columns(dated=past is not None))
    try:
        async with AsyncExitStack() as rooms:
            if past:
                for source in replay.sources(config.nats, subjects):
                    reader = replay.Reader(client, source, past.since)
                    await reader.open()
                    rooms.push_async_callback(reader.close)
                    readers.append(reader)
                subjects = replay.narrowed(subjects, "live")
                if not readers:
                    say("voltgate: class live is not stored: there is nothing from before now")
            if past is None or past.follow:
                for subject in subjects:
                    await client.subscribe(subject, cb=arrived.put)
            if past:
                await _replay(readers, printed)
            if past is None or past.follow:
                await asyncio.gather(_live(arrived, printed), *(_go_on(one, arrived) for one in readers))
    finally:
        leaving = True
        await client.close()


async def _replay(readers: list[replay.Reader], printed: "_Printed") -> None:
    batch = []
    async for message in replay.merged(readers):
        batch.append(message)
        if len(batch) == BATCH:
            await printed(batch)
            batch.clear()
    await printed(batch)


async def _go_on(reader: replay.Reader, arrived: "asyncio.Queue[Msg]") -> None:
    while True:
        await arrived.put(await reader.present())


async def _live(arrived: "asyncio.Queue[Msg]", printed: "_Printed") -> None:
    while True:
        messages = [await arrived.get()]
        while not arrived.empty():
            messages.append(arrived.get_nowait())
        await printed(messages)


class _Printed:
    """Messages of one charger, or of all, as lines on stdout."""

    def __init__(self, charger: str, form: "Callable[[Msg], str]") -> None:
        self._token = _core.token(charger) if charger else ""
        self._form = form

    async def __call__(self, messages: "list[Msg]") -> None:
        token = self._token
        lines = [self._form(m) for m in messages if not token or m.subject.rpartition(".")[2] == token]
        # In a thread: a terminal that is stopped must not stop the gateway of `voltgate dev`.
        await asyncio.to_thread(raw, "".join(lines).encode())


def subjects(nats: Nats, filters: list[str], charger: str) -> list[str]:
    """The subjects to subscribe to, none covered by another. Raises Failure (usage)."""
    if charger and not filters:
        filters = list(CLASSES)
    patterns = [_pattern(nats, text, charger) for text in dict.fromkeys(filters)] or [f"{nats.prefix}.>"]
    return uncovered(patterns)


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


class _Columns:
    """A message as a line for people: time, class, version, action, charger, payload."""

    def __init__(self, dated: bool) -> None:
        self._colours = coloured()
        self._clock = "%Y-%m-%d %H:%M:%S.%f" if dated else "%H:%M:%S.%f"

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
        facts = f"{version:<4} {action:<26} {visible(charger):<16} "
        text = f"{told} {visible(_text(message.data))}".strip()
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
    """The headers that change how a message is to be read."""
    names = ("ocpp-violation", "ocpp-error-code", "ocpp-error-pointer", "ocpp-error-reason", "ocpp-outcome")
    return [(name.removeprefix("ocpp-"), headers[name]) for name in names if name in headers]


def _at(message: "Msg") -> datetime:
    """Local time: when the gateway received it, else when it was stored, else now."""
    headers = message.headers or {}
    with suppress(KeyError, ValueError):
        return datetime.fromisoformat(headers["ce-time"]).astimezone()
    at = message.metadata.timestamp if message.reply.startswith("$JS.ACK.") else datetime.now(UTC)
    return at.astimezone()


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


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(width - 1, 0)] + CUT
