"""The options that describe a charger's record, for ``add`` and ``set``."""

from typing import Annotated, Any

import typer

from voltgate.cli.versions import version_token
from voltgate.gateway.registry.record import QUIRKS

Identity = Annotated[str, typer.Argument(metavar="ID", help="Charger identity, verbatim (case-sensitive).")]
Profile = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=3, help="The only security profile it may use."),
]
Versions = Annotated[
    list[str] | None, typer.Option("--version", metavar="VERSION", help="An OCPP version it may use.")
]
Validation = Annotated[
    str | None,
    typer.Option(metavar="LEVEL", help="strict, lenient or off; overrides the policy of every action."),
]
CommonName = Annotated[
    str | None,
    typer.Option("--cn", metavar="NAME", help="CN of its client certificate, if it is not the identity."),
]
RandomKey = Annotated[
    bool,
    typer.Option("--random-key", help="The given password has 128 random bits or more: use a fast hash."),
]
Quirks = Annotated[list[str] | None, typer.Option(metavar="QUIRK", help=f"One of {', '.join(QUIRKS)}.")]


def fields_of(
    profile: int | None,
    versions: list[str] | None,
    validation: str | None,
    quirks: list[str] | None,
    cn: str | None,
) -> dict[str, Any]:
    """The fields of a record, None where an option is not given. Raises Failure (usage)."""
    return {
        "security_profile": profile,
        "versions": [version_token(one) for one in versions or []] or None,
        "validation": validation,
        "quirks": quirks,
        "certificate_cn": cn,
    }
