"""``voltgate asyncapi``: prints the AsyncAPI document."""

import typer

from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.service import loaded
from voltgate.cli.terminal import ConfigFile, raw

app = typer.Typer()


@app.command(epilog=EXIT_CODES)
def asyncapi(config: ConfigFile = None) -> None:
    """Print the interface on NATS as an AsyncAPI 3.1 document.

    Prefixes and policy are those of the configuration. `voltgate schema --all` adds the schemas of OCPP.
    """
    from voltgate.cli.asyncapi.document import described, document  # noqa: PLC0415 - loads the gateway
    from voltgate.cli.asyncapi.yaml import dumped  # noqa: PLC0415

    raw(dumped(document(loaded(config), described)).encode())
