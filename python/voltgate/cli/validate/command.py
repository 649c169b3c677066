"""``voltgate validate``: validates frames, one per line, like the gateway (docs/contract.md 2.2).

With ``--log`` the lines are those of a charger's log, and a summary is printed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import orjson
import typer

from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.terminal import AsJson, ConfigFile, out_json, print_table, raw, say
from voltgate.cli.validate.lines import MAX_LINE, bounded, frame_in, is_cut
from voltgate.cli.validate.summary import Kind, Sender, Summary
from voltgate.cli.versions import VersionOption, version_token
from voltgate.schemas import SUBPROTOCOLS, Codec

app = typer.Typer()

COLUMNS = ("action", "fault", "pointer", "frames", "first_line")


@app.command(epilog=f"Exits with 1 if any frame fails. {EXIT_CODES}")
def validate(  # noqa: PLR0913, PLR0917 - the options of a command
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Frames, one per line. Default, and '-': stdin.")
    ] = None,
    version: Annotated[str, VersionOption] = "1.6",
    sender: Annotated[
        Sender | None,
        typer.Option(help="Sender of the CALLs. Default: charger; with --log: both.", show_default=False),
    ] = None,
    log: Annotated[
        bool,
        typer.Option(
            "--log", help="FILE is a log: find frames behind prefixes and in JSON, and print a summary."
        ),
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Validate frames and print one JSON verdict per line, or with --log a summary by action and fault.

    A CALLRESULT does not contain its action, so only its form is checked ("checked":"form"), except in a log
    that has its CALL too.
    """
    del config  # every command has this option; the schemas are not configurable
    codec = Codec(SUBPROTOCOLS[version_token(version)])
    with _opened(file) as (lines, live):
        if log:
            failed = _summarize(Summary(codec, sender or "both"), lines, as_json)
        elif sender == "both":
            raise Failure("--sender both: needs --log", USAGE)
        else:
            failed = _judge(codec, sender or "charger", lines, live)
    if failed:
        raise typer.Exit(FAILED)


@contextmanager
def _opened(file: Path | None) -> Iterator[tuple[IO[bytes], bool]]:
    """The input, and whether it is live. Raises Failure (usage)."""
    if file is None or str(file) == "-":
        if sys.stdin is None:
            raise Failure("stdin is closed: name a file", USAGE)
        if sys.stdin.isatty():
            say("reading frames from the terminal, one per line; Ctrl-D ends the input")
        yield sys.stdin.buffer, True
        return
    try:
        frames = file.open("rb")
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}", USAGE) from None
    with frames:
        yield frames, False


def _judge(codec: Codec, sender: str, lines: IO[bytes], live: bool) -> int:
    """Print a verdict for each line, immediately if ``live``; the number of failed frames."""
    failed = 0
    for number, line in enumerate(bounded(lines), 1):
        frame = line.strip(b" \t\r\n")
        if frame:
            verdict = _too_long(number) if is_cut(line) else _verdict(codec, sender, number, frame)
            failed += not verdict["ok"]
            raw(orjson.dumps(verdict) + b"\n", flush=live)
    raw(b"")
    return failed


def _too_long(number: int) -> dict[str, Any]:
    return {"line": number, "ok": False, "type": None, "id": None, "reason": f"longer than {MAX_LINE} bytes"}


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
    if frame.type == Kind.RESULT:
        verdict["checked"] = "form"
    if frame.violation is not None:
        violation = frame.violation
        verdict |= {"code": violation.code, "pointer": violation.pointer, "reason": violation.reason}
    return verdict


def _summarize(summary: Summary, lines: IO[bytes], as_json: bool) -> int:
    """Print what a log holds; the number of failed frames."""
    number = empty = cut = 0
    for number, line in enumerate(bounded(lines), 1):
        if is_cut(line):
            cut += 1
        elif (frame := frame_in(line.rstrip(b"\r\n"))) is None:
            empty += 1
        else:
            summary.add(number, frame)
    if as_json:
        out_json([dict(zip(COLUMNS, row, strict=True)) for row in summary.rows])
    else:
        print_table(COLUMNS, [tuple(map(str, row)) for row in summary.rows])
    say(
        f"voltgate: {summary.frames} frames in {number} lines, {summary.failed} with a fault; "
        f"{empty} lines without a frame, {cut} longer than {MAX_LINE} bytes"
    )
    if summary.strange:
        say(f"voltgate: {summary.strange} are CALLs of the other side: --sender both accepts them")
    return summary.failed
