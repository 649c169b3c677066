"""``voltgate version``: the release, and what it runs on."""

import platform
from importlib import metadata

import typer

from voltgate import __version__
from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json
from voltgate.gateway import NATS_MINIMUM

app = typer.Typer()

PACKAGES = ("nats-py", "ocpp", "websockets", "uvloop")


@app.command(epilog=EXIT_CODES)
def version(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print the release, the packages it works with, and the oldest NATS server it supports."""
    del config  # every command has this option
    shown = {
        "voltgate": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "nats-server": f">= {NATS_MINIMUM}",
    }
    if as_json:
        out_json(shown)
        return
    for name, number in shown.items():
        out(f"{name} {number}")
