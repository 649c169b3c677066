"""``voltgate schema``: the JSON schemas of the package ``ocpp``, with which the gateway validates."""

import difflib
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer

from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.service import loaded
from voltgate.cli.terminal import AsJson, ConfigFile, print_table, raw, say
from voltgate.cli.versions import version_token
from voltgate.config import Config
from voltgate.schemas import SUBPROTOCOLS, schema_files

app = typer.Typer()

COLUMNS = ("version", "action", "kind")
Kind = Literal["request", "response"]


@app.command(epilog=EXIT_CODES)
def schema(  # noqa: PLR0913, PLR0917 - the options of a command
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="OCPP version: 1.6, 2.0.1 or 2.1. Default: all.")
    ] = "",
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Default: list the actions.")] = "",
    kind: Annotated[Kind, typer.Option(help="Schema of the request or of the response.")] = "request",
    everything: Annotated[
        Path | None,
        typer.Option(
            "--all",
            metavar="FOLDER",
            help="Write every schema into this folder, and an AsyncAPI document of them.",
            file_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print the JSON schema of an action, or list the actions that have one."""
    if everything is not None:
        if version or action:
            raise Failure("--all: needs no VERSION and no ACTION", USAGE)
        _write(everything, loaded(config))
        return
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
    raw(_indented(found))


def _write(folder: Path, config: Config) -> None:
    """The bundle: ``<version>/<Action>.request.json`` and ``.response.json``, and ``asyncapi.yaml``."""
    from voltgate.cli.asyncapi.document import document, file_name, referred  # noqa: PLC0415
    from voltgate.cli.asyncapi.yaml import dumped  # noqa: PLC0415

    try:
        for version in SUBPROTOCOLS:
            (folder / version).mkdir(parents=True, exist_ok=True)
            for (action, kind), content in _schemas(version).items():
                (folder / file_name(version, action, kind)).write_bytes(_indented(content))
        (folder / "asyncapi.yaml").write_text(dumped(document(config, referred)))
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from None
    say(f"voltgate: {folder}: schemas of {', '.join(SUBPROTOCOLS)} and asyncapi.yaml")


def _indented(schema: bytes) -> bytes:
    return orjson.dumps(orjson.loads(schema), option=orjson.OPT_INDENT_2) + b"\n"


def _schemas(version: str) -> dict[tuple[str, Kind], bytes]:
    """The schema files of a version by action and kind."""
    files: dict[tuple[str, Kind], bytes] = {}
    for name, content in schema_files(version):
        action = name.removesuffix("Request").removesuffix("Response")
        files[action, "response" if name.endswith("Response") else "request"] = content
    return files
