"""What a person or a pipe sees: data on stdout, words on stderr, colour only where it is wanted."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from voltgate.cli.faults import ReaderLeft

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file; VOLTGATE_… variables come on top of it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def out(text: str) -> None:
    """A line of data, at once. Raises ReaderLeft."""
    raw(text.encode(errors="backslashreplace") + b"\n")


def out_json(value: Any) -> None:
    """A value as one line of JSON."""
    raw(orjson.dumps(value) + b"\n")


def raw(lines: bytes, flush: bool = True) -> None:
    """Ready-made lines of data. Raises ReaderLeft."""
    if sys.stdout is None:  # started with stdout closed
        return
    try:
        sys.stdout.buffer.write(lines)
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        # What is still in the buffer would be reported at exit: let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderLeft from None


def say(text: str) -> None:
    """Words for the person who typed the command; a stderr that is gone is no reason to stop."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        return


def visible(text: str) -> str:
    """On one line, and nothing a charger sent can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else " " if c.isspace() else c.encode("unicode_escape").decode() for c in text
    )


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def coloured() -> bool:
    """Whether stdout may have colour."""
    return on_terminal() and not os.environ.get("NO_COLOR")
