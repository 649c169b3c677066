"""``voltgate config example``: the commented configuration file, which is a part of the package."""

from importlib import resources

import typer

from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.terminal import ConfigFile, out

app = typer.Typer(help="Write a configuration file.", no_args_is_help=True)


@app.callback()
def config() -> None:
    """Write a configuration file."""


@app.command(epilog=f"`voltgate check --print-config` prints the values in use. {EXIT_CODES}")
def example(config: ConfigFile = None) -> None:
    """Print a commented configuration file with every key and its default."""
    del config  # every command has this option
    out(resources.files("voltgate").joinpath("example.toml").read_text(encoding="utf-8").rstrip("\n"))
