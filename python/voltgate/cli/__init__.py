"""The command line (docs/contract.md 4.1): a package or a file per group of commands, assembled here.

Commands import the gateway lazily, so that ``--help`` and ``validate`` start fast.
"""

import io
import os
from typing import Annotated

import typer

from voltgate import logs
from voltgate.cli import hints
from voltgate.cli.actions import app as actions_app
from voltgate.cli.asyncapi.command import app as asyncapi_app
from voltgate.cli.charger import app as charger_app
from voltgate.cli.chargers.commands import app as chargers_app
from voltgate.cli.check.command import app as check_app
from voltgate.cli.config import app as config_app
from voltgate.cli.csms.console import app as csms_app
from voltgate.cli.dev.command import app as dev_app
from voltgate.cli.faults import DONE, EXIT_CODES, INTERRUPTED, READER_LEFT, ReaderLeft, explained
from voltgate.cli.permissions import app as permissions_app
from voltgate.cli.policy import app as policy_app
from voltgate.cli.rebalance import app as rebalance_app
from voltgate.cli.schema import app as schema_app
from voltgate.cli.send import app as send_app
from voltgate.cli.serve.command import app as serve_app
from voltgate.cli.serve.workers import app as workers_app
from voltgate.cli.streams import app as streams_app
from voltgate.cli.swarm.command import app as swarm_app
from voltgate.cli.tail.command import app as tail_app
from voltgate.cli.terminal import out, say
from voltgate.cli.validate.command import app as validate_app
from voltgate.cli.version import app as version_app
from voltgate.cli.violations import app as violations_app

app = typer.Typer(
    name="voltgate",
    no_args_is_help=True,
    # Help without markup: the same on a terminal, in a pipe and in a log.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
groups = (
    dev_app, serve_app, tail_app, send_app, validate_app, policy_app, actions_app, schema_app,
    asyncapi_app, permissions_app, violations_app, check_app, version_app, workers_app, rebalance_app,
    charger_app,
)  # fmt: skip
for group in groups:
    app.registered_commands += group.registered_commands
app.add_typer(streams_app, name="streams")
app.add_typer(swarm_app, name="swarm")
app.add_typer(chargers_app, name="chargers")
app.add_typer(config_app, name="config")
app.add_typer(csms_app, name="csms")


def _version(wanted: bool) -> None:
    if wanted:
        from voltgate import __version__  # noqa: PLC0415

        out(f"voltgate {__version__}")
        raise typer.Exit


@app.callback(epilog=EXIT_CODES)
def voltgate(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Connect EV chargers (OCPP-J 1.6, 2.0.1, 2.1) to NATS."""
    del version


def _open_standard_streams() -> None:
    """Open closed standard streams: else a socket gets the number, and libuv aborts when it closes."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; a fault is a readable line on stderr."""
    _open_standard_streams()
    hints.use(None)
    try:
        code = app(arguments, standalone_mode=False, prog_name="voltgate")
    except ReaderLeft:
        return READER_LEFT
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error, in typer's own words
            told = io.StringIO()
            error.show(file=told)
            for line in told.getvalue().rstrip("\n").split("\n"):
                say(line)
            return int(error.exit_code)
        text, code = explained(error)
        text = hints.hinted(text)
        if not logs.fatal(text, code):
            for line in text.split("\n"):
                say(f"voltgate: {line}")
        return code
    return code if isinstance(code, int) else DONE
