"""``voltgate validate``: validates frames, one per line, as the gateway does (docs/contract.md 2.2)."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.terminal import ConfigFile, raw, say
from voltgate.cli.versions import VersionOption, version_token
from voltgate.schemas import SUBPROTOCOLS, Codec

app = typer.Typer()

CALL_RESULT = 3


@app.command(epilog=f"Exits with 1 if any frame fails. {EXIT_CODES}")
def validate(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Frames, one per line. Default, and '-': stdin.")
    ] = None,
    version: Annotated[str, VersionOption] = "1.6",
    sender: Annotated[Literal["charger", "csms"], typer.Option(help="Sender of the frames.")] = "charger",
    config: ConfigFile = None,
) -> None:
    """Validate frames and print one JSON verdict per line.

    A CALLRESULT does not name its action, so only its form can be checked ("checked":"form").
    """
    del config  # every command takes it; the schemas are not configurable
    codec = Codec(SUBPROTOCOLS[version_token(version)])
    if file is None or str(file) == "-":
        if sys.stdin is None:
            raise Failure("stdin is closed: name a file", USAGE)
        if sys.stdin.isatty():
            say("reading frames from the terminal, one per line; Ctrl-D ends the input")
        failed = _judge(codec, sender, sys.stdin.buffer, live=True)
    else:
        try:
            frames = file.open("rb")
        except OSError as error:
            raise Failure(f"{file}: {error.strerror}", USAGE) from None
        with frames:
            failed = _judge(codec, sender, frames, live=False)
    if failed:
        raise typer.Exit(FAILED)


def _judge(codec: Codec, sender: str, lines: Iterable[bytes], live: bool) -> int:
    """Print a verdict for each line, immediately if ``live``; returns how many failed."""
    failed = 0
    for number, line in enumerate(lines, 1):
        frame = line.strip(b" \t\r\n")
        if frame:
            verdict = _verdict(codec, sender, number, frame)
            failed += not verdict["ok"]
            raw(orjson.dumps(verdict) + b"\n", flush=live)
    raw(b"")
    return failed


def _verdict(codec: Codec, sender: str, number: int, text: bytes) -> dict[str, Any]:
    frame = codec.decode(text, sender)
    verdict: dict[str, Any] = {
        "line": number,
        "ok": frame.violation is None,
        "type": frame.type,
        "id": frame.message_id,
    }
    if frame.action is not None:
        verdict["action"] = frame.action
    if frame.type == CALL_RESULT:
        verdict["checked"] = "form"
    if frame.violation is not None:
        violation = frame.violation
        verdict |= {"code": violation.code, "pointer": violation.pointer, "reason": violation.reason}
    return verdict
