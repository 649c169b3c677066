"""The spellings of OCPP versions on the command line: ``1.6``, ``ocpp1.6``, ``v16``."""

import typer

from voltgate.cli.faults import USAGE, Failure
from voltgate.schemas import VERSIONS

VersionOption = typer.Option("--version", metavar="VERSION", help="OCPP version: 1.6, 2.0.1 or 2.1.")

_SPELLINGS = {
    spelling: token
    for subprotocol, token in VERSIONS.items()
    for spelling in (subprotocol.removeprefix("ocpp"), subprotocol, token)
}


def version_token(spelling: str, name: str = "--version") -> str:
    """``v16``, ``v201`` or ``v21``. Raises Failure (usage) for anything else."""
    try:
        return _SPELLINGS[spelling.lower()]
    except KeyError:
        raise Failure(f"{name} {spelling}: must be one of 1.6, 2.0.1, 2.1", USAGE) from None
