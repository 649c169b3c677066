"""``voltgate streams plan|apply``: compares JetStream's streams with the configuration.

See docs/contract.md 3.7.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from voltgate.cli.capacity import BYTES_PER_ID, PER_DAY, Estimate, Flow, estimated, flows, human
from voltgate.cli.faults import EXIT_CODES, FAILED, Failure
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json
from voltgate.config import Config

if TYPE_CHECKING:
    from voltgate.gateway.bus.streams import Change

app = typer.Typer(help="Plan and apply the JetStream streams.")

DONE_WORDS = {"create": "created", "update": "updated", "ok": "ok"}


@app.command(epilog=f"Exits with 0 even if changes are due, unless --check is given. {EXIT_CODES}")
def plan(
    config: ConfigFile = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if changes are due.")] = False,
    chargers: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Number of chargers; adds bytes a day, and the days that a stream lasts."
        ),
    ] = 0,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="R",
            help="Transaction messages per second of all chargers; adds the memory of the duplicate window. "
            f"Default with --chargers: {PER_DAY['tx']} a day for each.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what `streams apply` would do, one line per stream.

    With --chargers or --rate, also what the streams need for that load.
    """
    settings = loaded(config)
    changes, sizes = run(_planned(settings))
    record: dict[str, object] = {"streams": _records(changes)}
    lines = [_line(change, change.action) for change in changes]
    if chargers or rate is not None:
        estimate = estimated(settings, chargers, rate, sizes)
        record |= _load(settings, estimate)
        lines += _load_lines(settings, estimate)
    if as_json:
        out_json(record)
    else:
        out("\n".join(lines))
    if check and any(change.action != "ok" for change in changes):
        raise typer.Exit(FAILED)


@app.command(epilog=EXIT_CODES)
def apply(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Create missing streams, update those that differ, and print what was done."""
    settings = loaded(config)
    changes = run(_applied(settings))
    if as_json:
        out_json({"streams": _records(changes)})
    else:
        for change in changes:
            out(_line(change, DONE_WORDS[change.action]))


async def _planned(config: Config) -> "tuple[list[Change], dict[str, Flow]]":
    from voltgate.gateway.bus import streams  # noqa: PLC0415

    async with connected(config, "voltgate-streams") as client:
        return await streams.plan(client, config), await flows(client, config)


async def _applied(config: Config) -> "list[Change]":
    from voltgate.gateway.bus import streams  # noqa: PLC0415

    async with connected(config, "voltgate-streams") as client:
        if blocked := [change for change in await streams.plan(client, config) if change.taken]:
            raise Failure("\n".join(_line(change, "blocked") for change in blocked))
        return await streams.apply(client, config)


def _records(changes: "list[Change]") -> list[dict[str, object]]:
    return [
        {
            "stream": change.stream,
            "action": change.action,
            "differences": list(change.differences),
            "taken": list(change.taken),
        }
        for change in changes
    ]


def _line(change: "Change", word: str) -> str:
    remedy = ("change the subjects of that stream, or nats.prefix",) if change.taken else ()
    why = "; ".join((*change.differences, *change.taken, *remedy))
    return f"{change.stream:<20} {'blocked' if change.taken else word:<8} {why}".rstrip()


def _load(config: Config, estimate: Estimate) -> dict[str, object]:
    rows = zip(estimate.capacities, estimate.rates, estimate.sizes, strict=True)
    return {
        "capacity": [
            {
                "stream": one.stream,
                "per_second": rate,
                "bytes_per_message": size,
                "bytes_per_day": round(one.bytes_per_day),
                "max_bytes": one.max_bytes,
                "max_age_days": one.max_age_days,
                "needed_bytes": one.needed,
                "days_until_full": round(one.days, 2),
                "fits": one.fits,
            }
            for one, rate, size in rows
        ],
        "duplicate_window": {
            "rate": estimate.tx_rate,
            "seconds": config.streams.duplicate_window,
            "bytes": _window(config, estimate),
        },
    }


def _load_lines(config: Config, estimate: Estimate) -> list[str]:
    rows = zip(estimate.capacities, estimate.rates, estimate.sizes, strict=True)
    lines = []
    for one, rate, size in rows:
        remedy = "" if one.fits else f"; {one.remedy}"
        lines.append(f"{one.stream:<20} {rate:,.2f} per second x {size} B = {one.found}{remedy}")
    window, memory = config.streams.duplicate_window, human(_window(config, estimate))
    return [
        *lines,
        f"duplicate window: {estimate.tx_rate:,.2f} per second x {window} s x {BYTES_PER_ID} B "
        f"= {memory} of the NATS server's memory",
    ]


def _window(config: Config, estimate: Estimate) -> int:
    """Bytes of memory that the ids of transaction messages take."""
    return round(estimate.tx_rate * config.streams.duplicate_window * BYTES_PER_ID)
