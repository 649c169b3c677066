"""``voltgate check``: prints the findings of ``findings``, one per line."""

from typing import Annotated

import typer

from voltgate import config as configuration
from voltgate.cli.faults import EXIT_CODES, FAILED
from voltgate.cli.hints import hinted
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, coloured, out, out_json, raw
from voltgate.visible import visible, visible_json

app = typer.Typer()

COLOURS = {"ok": typer.colors.GREEN, "hint": typer.colors.YELLOW, "fail": typer.colors.RED}


@app.command(epilog=f"Exits with 1 if a check fails. {EXIT_CODES}")
def check(
    config: ConfigFile = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the effective values, secrets masked, and exit.")
    ] = False,
    monitor: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Monitoring URL of a NATS server (http://127.0.0.1:8222); adds durability checks.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check whether `serve` can run, and print the remedy for each fault.

    Checks the configuration, certificates, file limits, NATS, its permissions and streams.
    """
    settings = loaded(config)
    if print_config:
        _print_config(configuration.printable(settings), as_json)
        return
    from voltgate.cli.check.findings import collect  # noqa: PLC0415 - loads OpenSSL

    findings, unusable = run(collect(settings, config, monitor))
    if as_json:
        out_json([{"name": one.name, "verdict": one.severity, "text": hinted(one.text)} for one in findings])
    else:
        width = max(len(one.name) for one in findings)
        for one in findings:
            verdict = f"{one.severity:<4}"
            if coloured():
                verdict = typer.style(verdict, fg=COLOURS[one.severity])
            raw(f"{verdict}  {one.name:<{width}}  {visible(hinted(one.text))}\n".encode())
    if unusable is not None:
        raise unusable
    if any(one.severity == "fail" for one in findings):
        raise typer.Exit(FAILED)


def _print_config(shown: dict[str, object], as_json: bool) -> None:
    if as_json:
        out_json(shown)
    else:
        import tomli_w  # noqa: PLC0415 - only here

        for line in tomli_w.dumps(shown).strip().split("\n"):
            out(visible_json(line))
