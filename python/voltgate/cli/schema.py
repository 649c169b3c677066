"""``voltgate schema``: the JSON schemas of the package ``ocpp``, with which the gateway validates."""

import difflib
from typing import Annotated, Literal

import orjson
import typer

from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.terminal import AsJson, ConfigFile, print_table, raw
from voltgate.cli.versions import version_token
from voltgate.schemas import SUBPROTOCOLS, schema_files

app = typer.Typer()

COLUMNS = ("version", "action", "kind")
Kind = Literal["request", "response"]


@app.command(epilog=EXIT_CODES)
def schema(
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="OCPP version: 1.6, 2.0.1 or 2.1. Default: all.")
    ] = "",
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Default: list the actions.")] = "",
    kind: Annotated[Kind, typer.Option(help="Schema of the request or of the response.")] = "request",
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print the JSON schema of an action, or list the actions that have one."""
    del config  # every command has this option; the schemas are not configurable
    versions = [version_token(version, "VERSION")] if version else list(SUBPROTOCOLS)
    if not action:
        print_table(COLUMNS, [(one, *names) for one in versions for names in _schemas(one)], as_json)
        return
    schemas = _schemas(versions[0])
    found = schemas.get((action, kind))
    if found is None:
        names = {name for name, _ in schemas}
        if action in names:
            raise Failure(f"ACTION {action}: has no {kind}: it is sent without an answer", USAGE)
        close = difflib.get_close_matches(action, names, 1)
        remedy = f"did you mean {close[0]}?" if close else "`voltgate schema VERSION` lists the actions"
        raise Failure(f"ACTION {action}: not an action of {versions[0]}; {remedy}", USAGE)
    raw(orjson.dumps(orjson.loads(found), option=orjson.OPT_INDENT_2) + b"\n")


def _schemas(version: str) -> dict[tuple[str, Kind], bytes]:
    """The schema files of a version by action and kind."""
    files: dict[tuple[str, Kind], bytes] = {}
    for name, content in schema_files(version):
        action = name.removesuffix("Request").removesuffix("Response")
        files[action, "response" if name.endswith("Response") else "request"] = content
    return files
