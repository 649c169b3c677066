"""``voltgate swarm``: thousands of simulated chargers in separate processes, and their measurements."""

import dataclasses
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from voltgate.cli.faults import EXIT_CODES, FAILED, USAGE, Failure
from voltgate.cli.service import run
from voltgate.cli.swarm import compare
from voltgate.cli.swarm.options import Options
from voltgate.cli.swarm.scenarios import SCENARIOS
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json, say

if TYPE_CHECKING:
    from voltgate.cli.swarm.thresholds import Threshold

EPILOG = (
    "Exits with 0 if every charger was admitted, every call was answered without error and every --threshold "
    f"holds, else 1. Ctrl-C ends early and prints the table. {EXIT_CODES}"
)
app = typer.Typer(epilog=EPILOG)


def measure(scenario: str, options: Options) -> None:
    """Run the swarm, print its figures, and exit with 1 if they are not good."""
    from voltgate.cli.swarm.figures import result, table  # noqa: PLC0415 - other commands need no websockets
    from voltgate.cli.swarm.prepare import prepared  # noqa: PLC0415
    from voltgate.cli.swarm.progress import progress  # noqa: PLC0415
    from voltgate.cli.swarm.report import page  # noqa: PLC0415

    ready = prepared(scenario, options)
    with progress(ready.run.wish.chargers, options.series) as show:
        course, report, tally = run(ready.run.follow(show))
    figures = result(ready.run.wish, course, report, tally)
    figures |= {
        "gateway": ready.gateway,
        "processes": len(ready.run.plans),
        "thresholds": [threshold.verdict(figures) for threshold in ready.thresholds],
    }
    if options.as_json:
        out_json(figures)
    else:
        out(table(figures))
    if options.report is not None:
        options.report.write_text(page(figures, show.series.rows), encoding="utf-8")
    if not _good(figures, course.returned, ready.thresholds):
        raise typer.Exit(FAILED)


def _good(figures: dict[str, Any], returned: bool, thresholds: "list[Threshold]") -> bool:
    missed = [threshold for threshold in thresholds if not threshold.holds(figures)]
    for threshold in missed:
        say(f"voltgate: threshold {threshold.text} does not hold: {threshold.value(figures)}")
    # A search for the highest rate goes beyond what the gateway can do, so errors are expected.
    served = figures["find_rate"]["rate"] > 0 if figures["find_rate"] else figures["errors"] == 0
    return not missed and served and returned and figures["connected"] >= figures["chargers"]


@app.callback(invoke_without_command=True)
def swarm(context: typer.Context, **given: Any) -> None:
    """Run simulated chargers at scale (boot, statuses, then load) and print the measurements.

    The load is an open loop: --rate calls per second are due at random times at random chargers, independent
    of earlier calls; a busy charger is not passed over. A slow answer does not slow the plan: if a charger
    has an open call, the next one waits, and its latency counts from when it was due (no coordinated
    omission). A call that is never answered counts at its age in every percentile. The achieved rate is the
    number of answers divided by the time until the last of them.

    Calls of chargers that the swarm itself has disconnected (--storm, --half-open, --reconnect-rate) have a
    row of their own ("delayed"). Refused upgrades are repeated after Retry-After.

    The commands below are scenarios: the same options with other defaults.
    """
    if context.invoked_subcommand is None:
        measure("steady", Options(**given))
        return
    for name in given:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise Failure(f"{option}: must follow {context.invoked_subcommand}, not precede it", USAGE)


# typer reads the options of a command from the signature of its function.


def _signature(defaults: dict[str, Any], *first: inspect.Parameter) -> inspect.Signature:
    """One parameter per field of Options, as typer reads it."""
    hints = get_type_hints(Options, include_extras=True)
    options = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(each.name, each.default),
            annotation=hints[each.name],
        )
        for each in dataclasses.fields(Options)
    ]
    return inspect.Signature([*first, *options])


def _scenario(name: str, text: str, defaults: dict[str, Any]) -> None:
    def command(**given: Any) -> None:
        measure(name, Options(**given))

    command.__signature__ = _signature(defaults)  # type: ignore[attr-defined]
    app.command(name, help=text, epilog=EPILOG)(command)


swarm.__signature__ = _signature({}, next(iter(inspect.signature(swarm).parameters.values())))  # type: ignore[attr-defined]
for title, scenario in SCENARIOS.items():
    _scenario(title, scenario.help, dict(scenario.defaults))


@app.command("compare")
def compared(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="Output of `voltgate swarm --json`.")],
    second: Annotated[Path, typer.Argument(metavar="B.json", help="That of a later run.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="Share by which a figure may be worse, for example 0.05.")
    ] = 0.05,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Compare two runs: the ratio of each figure with its interval; exit with 1 if the second run is worse.

    A percentile is worse if the whole interval of its ratio (95 %, resampled from the seconds of the load) is
    above 1 + TOLERANCE.
    """
    del config  # every command has this option
    before, after = compare.loaded(first), compare.loaded(second)
    for difference in compare.differences(before, after):
        say(f"voltgate: the two runs differ in {difference}")
    ratios = compare.ratios(before, after, tolerance)
    if as_json:
        out_json([dataclasses.asdict(ratio) for ratio in ratios])
    else:
        out("\n".join(ratio.line() for ratio in ratios))
    if any(ratio.worse for ratio in ratios):
        raise typer.Exit(FAILED)
