"""Output: data on stdout, messages on stderr, colour only on a terminal."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from voltgate.cli.faults import ReaderLeft
from voltgate.visible import visible, visible_json

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="TOML file; VOLTGATE_... environment variables override it."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def out(text: str) -> None:
    """Print lines of data and flush; columns may be separated by tabs. Raises ReaderLeft."""
    lines = (visible(line, keep="\t") for line in text.split("\n"))
    raw("\n".join(lines).encode() + b"\n")


def exact(line: str) -> None:
    """Print a line that a program reads back: as it is, except on a terminal. Raises ReaderLeft."""
    if on_terminal():
        out(line)
    else:
        raw(line.encode(errors="backslashreplace") + b"\n")


def out_json(value: Any) -> None:
    """Print a value as one line of JSON. Raises ReaderLeft."""
    raw(visible_json(orjson.dumps(value).decode()).encode() + b"\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], as_json: bool = False) -> None:
    """Print rows: aligned on a terminal, else separated by tabs, or as JSON objects. Raises ReaderLeft."""
    if as_json:
        out_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    if not on_terminal():
        out("\n".join("\t".join(row) for row in (columns, *rows)))
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold" if coloured() else "")
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(no_color=not coloured()).print(table)


def json_value(data: bytes) -> Any:
    """A body as part of a line of JSON; numbers keep the digits that the sender wrote."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode(errors="backslashreplace")
    return value if b"\n" in data or b"\r" in data else orjson.Fragment(data)


def raw(lines: bytes, flush: bool = True) -> None:
    """Write ready-made lines of data. Raises ReaderLeft."""
    if sys.stdout is None:  # started with stdout closed
        return
    left = memoryview(lines)
    try:
        while left:  # with PYTHONUNBUFFERED, a signal ends the write to a full pipe early
            left = left[sys.stdout.buffer.write(left) :]
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python would report what is still in the buffer at exit: discard it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderLeft from None


def say(text: str) -> None:
    """Print a message on stderr, on one line; a closed stderr is ignored."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()
    except OSError:
        return


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def coloured() -> bool:
    """Whether stdout may have colour."""
    return on_terminal() and not os.environ.get("NO_COLOR")
