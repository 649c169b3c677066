"""``voltgate streams plan|apply``: compares JetStream's streams with the configuration.

See docs/contract.md 3.7.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from voltgate.cli.faults import EXIT_CODES, FAILED
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json
from voltgate.config import Config

if TYPE_CHECKING:
    from nats.aio.client import Client

    from voltgate.gateway.bus.streams import Change

app = typer.Typer(help="Plan and apply the JetStream streams.")

BYTES_PER_ID = 250  # memory of nats-server for an id in a duplicate window (measured: 210 to 295)

DONE_WORDS = {"create": "created", "update": "updated", "ok": "ok"}


@app.command(epilog=f"Exits with 0 even if changes are due, unless --check is given. {EXIT_CODES}")
def plan(
    config: ConfigFile = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if changes are due.")] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Transaction messages per second; adds the memory of the duplicate window.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what `streams apply` would do, one line per stream."""
    from voltgate.gateway.bus import streams  # noqa: PLC0415

    settings = loaded(config)
    changes = run(_with_client(settings, streams.plan))
    window = settings.streams.duplicate_window
    cost = None if rate is None else round(rate * window * BYTES_PER_ID)
    if as_json:
        record: dict[str, object] = {"streams": _records(changes)}
        if cost is not None:
            record["duplicate_window"] = {"rate": rate, "seconds": window, "bytes": cost}
        out_json(record)
    else:
        for change in changes:
            out(_line(change, change.action))
        if cost is not None:
            out(
                f"duplicate window: {rate:g} per second x {window} s x {BYTES_PER_ID} B "
                f"= {_human(cost)} of the NATS server's memory"
            )
    if check and any(change.action != "ok" for change in changes):
        raise typer.Exit(FAILED)


@app.command(epilog=EXIT_CODES)
def apply(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Create missing streams, update those that differ, and print what was done."""
    from voltgate.gateway.bus import streams  # noqa: PLC0415

    changes = run(_with_client(loaded(config), streams.apply))
    if as_json:
        out_json({"streams": _records(changes)})
    else:
        for change in changes:
            out(_line(change, DONE_WORDS[change.action]))


async def _with_client(
    config: Config, work: "Callable[[Client, Config], Awaitable[list[Change]]]"
) -> "list[Change]":
    async with connected(config, "voltgate-streams") as client:
        return await work(client, config)


def _records(changes: "list[Change]") -> list[dict[str, object]]:
    return [
        {"stream": change.stream, "action": change.action, "differences": list(change.differences)}
        for change in changes
    ]


def _line(change: "Change", word: str) -> str:
    return f"{change.stream:<20} {word:<8} {'; '.join(change.differences)}".rstrip()


def _human(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
