"""``voltgate charger``: one simulated charger, with the faults that it is given."""

import asyncio
from typing import Annotated

import typer

from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.service import loaded, on_signals, run
from voltgate.cli.swarm.values import faults as names_of
from voltgate.cli.swarm.values import host_of
from voltgate.cli.terminal import ConfigFile, say
from voltgate.cli.versions import VersionOption, version_token

app = typer.Typer()


@app.command(epilog=f"Ctrl-C ends it. Thousands of chargers: `voltgate swarm`. {EXIT_CODES}")
def charger(
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="Identity of the charger.")] = "CP001",
    url: Annotated[str, typer.Option(metavar="URL", help="URL to which the identity is appended.")] = (
        "ws://127.0.0.1:9000/ocpp"
    ),
    version: Annotated[str, VersionOption] = "1.6",
    faults: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="Faults that it has (docs/reference.md lists them)."),
    ] = "",
    config: ConfigFile = None,
) -> None:
    """Run a simulated charger: it boots, sends heartbeats and charges a vehicle every minute."""
    loaded(config, lasting=True)
    host_of(url)
    run(_charge(identity, url, version_token(version), names_of(faults)))


async def _charge(identity: str, url: str, version: str, faults: tuple[str, ...]) -> None:
    from voltgate.charger.fleet import run_charger  # noqa: PLC0415 - other commands need no websockets

    charging = asyncio.create_task(run_charger(url, identity, version, faults))

    def leave() -> None:
        charging.cancel()

    on_signals(leave)
    say(f"voltgate: {identity} connects to {url}")
    await asyncio.wait({charging})
    if not charging.cancelled():
        charging.result()
