"""Output: data on stdout, messages on stderr, colour only on a terminal."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from voltgate.cli.faults import ReaderLeft

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="TOML file; VOLTGATE_... environment variables override it."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def out(text: str) -> None:
    """Print a line of data and flush. Raises ReaderLeft."""
    raw(text.encode(errors="backslashreplace") + b"\n")


def out_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    raw(orjson.dumps(value) + b"\n")


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
    try:
        sys.stdout.buffer.write(lines)
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python would report what is still in the buffer at exit: discard it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderLeft from None


def say(text: str) -> None:
    """Print a message on stderr; a closed stderr is ignored."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        return


def visible(text: str) -> str:
    """The text on one line, with control characters escaped: a charger must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else " " if c.isspace() else c.encode("unicode_escape").decode() for c in text
    )


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def coloured() -> bool:
    """Whether stdout may have colour."""
    return on_terminal() and not os.environ.get("NO_COLOR")
