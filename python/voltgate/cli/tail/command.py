"""``voltgate tail``: prints messages, one line each, live or from the streams on (``replay``).

It never subscribes under the prefix of questions and commands, where a subscriber counts as a responder
(docs/contract.md 3.2). The form of a line: ``lines``.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from voltgate import _core
from voltgate.cli.check.subjects import uncovered
from voltgate.cli.faults import EXIT_CODES, USAGE, Failure, ReaderLeft
from voltgate.cli.service import loaded, run
from voltgate.cli.tail import lines, replay
from voltgate.cli.terminal import AsJson, ConfigFile, raw, say
from voltgate.config import Config, Nats

if TYPE_CHECKING:
    from nats.aio.msg import Msg

app = typer.Typer()

# Class -> the tokens between it and the charger's (docs/contract.md 3.2).
CLASSES = {
    "tx": "*.*",
    "event": "*.*",
    "live": "*.*",
    "command": "*.*",
    "reject": "*",
    "security": "*",
    "violation": "",
    "link": "",
}
BATCH = 256  # stored messages printed at once


@dataclass(frozen=True, slots=True)
class Past:
    """Since when stored messages are replayed, and whether live ones follow."""

    since: datetime
    follow: bool


@app.command(
    epilog=f"Examples: voltgate tail tx; voltgate tail 'event.*.StatusNotification.>' reject; "
    f"voltgate tail --charger 'RDAM 1' --since 2h --json. Ctrl-C exits with 0. {EXIT_CODES}"
)
def tail(  # noqa: PLR0913, PLR0917 - the options of a command
    filters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILTER",
            help=f"A class ({', '.join(CLASSES)}) or a subject pattern, with or without the prefix "
            "('tx.v16.>', 'ocpp.*.*.*.CP001'). Default: everything.",
        ),
    ] = None,
    charger: Annotated[str, typer.Option(metavar="ID", help="Only this charger, by its identity.")] = "",
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="First replay stored messages, from this long ago (90s, 10m, 2h, 7d) or since this RFC 3339 "
            "time. Class live is not stored.",
        ),
    ] = "",
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="With --since: exit after the replay.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print live messages from NATS, one line each.

    Payloads are cut to the width of a terminal, and complete in a pipe.
    """
    if no_follow and not since:
        raise Failure("--no-follow: requires --since", USAGE)
    past = Past(replay.moment(since), not no_follow) if since else None
    settings = loaded(config)
    wanted = subjects(settings.nats, filters or [], charger)
    with suppress(KeyboardInterrupt, ReaderLeft):
        run(follow(settings, wanted, charger, as_json, past))


async def follow(
    config: Config, subjects: list[str], charger: str = "", as_json: bool = False, past: Past | None = None
) -> None:
    """Print stored messages, then those that arrive, until cancelled. Raises ReaderLeft, Failure."""
    from nats.errors import SlowConsumerError  # noqa: PLC0415

    from voltgate.gateway.bus import connect  # noqa: PLC0415

    leaving = False
    readers: list[replay.Reader] = []

    async def away() -> None:
        if not leaving:
            say("voltgate: the connection to NATS is lost; reconnecting")

    async def back() -> None:
        say(f"voltgate: reconnected to NATS; missed messages {'follow' if readers else 'are in the streams'}")
        for reader in readers:
            reader.reopen()

    async def failed(error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            say("voltgate: too many messages, some are not printed: use a narrower filter")

    client = await connect.connect(
        config.nats, name="voltgate-tail", disconnected_cb=away, reconnected_cb=back, error_cb=failed
    )
    arrived: asyncio.Queue[Msg] = asyncio.Queue(maxsize=65_536)
    printed = _Printed(charger, lines.as_json if as_json else lines.Columns(dated=past is not None))
    try:
        async with AsyncExitStack() as cleanup:
            if past:
                for source in replay.sources(config.nats, subjects):
                    reader = replay.Reader(client, source, past.since)
                    await reader.open()
                    cleanup.push_async_callback(reader.close)
                    readers.append(reader)
                subjects = replay.narrowed(subjects, "live")
                if not readers:
                    say("voltgate: class live is not stored: there is nothing to replay")
            if past is None or past.follow:
                for subject in subjects:
                    await client.subscribe(subject, cb=arrived.put)
            if past:
                await _replay(readers, printed)
            if past is None or past.follow:
                await asyncio.gather(_live(arrived, printed), *(_go_on(one, arrived) for one in readers))
    finally:
        leaving = True
        await connect.close(client)


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
    """Prints the messages of one charger, or of all, as lines on stdout."""

    def __init__(self, charger: str, form: "Callable[[Msg], str]") -> None:
        self._token = _core.token(charger) if charger else ""
        self._form = form

    async def __call__(self, messages: "list[Msg]") -> None:
        token = self._token
        text = "".join(self._form(m) for m in messages if not token or m.subject.endswith(f".{token}"))
        # In a thread: a terminal that is stopped must not stop the gateway of `voltgate dev`.
        await asyncio.to_thread(raw, text.encode())


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
            f"FILTER {text}: must not be below {nats.rpc_prefix}, where a subscriber counts as a responder; "
            "commands and their results are also facts: voltgate tail command",
            USAGE,
        )
    if tokens[0] == nats.prefix and len(tokens) > 1:
        tokens = tokens[1:]
    legal = all(t and not any(c in t for c in " \t\r\n") for t in tokens) and ">" not in tokens[:-1]
    if not legal or tokens[0] not in (*CLASSES, "*", ">"):
        raise Failure(
            f"FILTER {text}: must be a class ({', '.join(CLASSES)}) or a subject pattern that begins with "
            "one, for example 'event.*.StatusNotification.>'",
            USAGE,
        )
    return ".".join((nats.prefix, *tokens))
