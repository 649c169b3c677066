"""``voltgate actions``: every action of each OCPP version, with its sender, class, and who answers it."""

from typing import Annotated

import typer

from voltgate import _core
from voltgate.cli.faults import EXIT_CODES
from voltgate.cli.service import loaded
from voltgate.cli.terminal import AsJson, ConfigFile, print_table
from voltgate.cli.versions import VersionOption, version_token
from voltgate.policy import rules
from voltgate.schemas import SUBPROTOCOLS

app = typer.Typer()

COLUMNS = ("version", "action", "sender", "class", "answer")


@app.command(epilog=f"Columns are separated by tabs if stdout is not a terminal. {EXIT_CODES}")
def actions(
    config: ConfigFile = None,
    version: Annotated[str, VersionOption] = "",
    commands: Annotated[
        bool, typer.Option("--commands", help="Only what a backend may send to a charger (voltgate send).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print every OCPP action: who may send it, its class, and who answers it.

    Class and answer are those of the configured policy. `voltgate schema` prints the schemas.
    """
    versions = [version_token(version)] if version else list(SUBPROTOCOLS)
    policy = rules(loaded(config))
    rows = []
    for one in versions:
        for action, sender, class_, _ in _core.actions(one):
            if commands and sender == "charger":
                continue
            rule = policy[one].get(action)
            effective = (class_, "charger") if rule is None else (rule.class_, rule.answer)
            rows.append((one, action, sender, *effective))
    print_table(COLUMNS, rows, as_json)
