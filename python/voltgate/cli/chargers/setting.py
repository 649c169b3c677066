"""``voltgate chargers set``: change what a charger's record says (CONTRACT 3.8), the rest stays as it is."""

from enum import Enum
from typing import Annotated, Any

import typer

from voltgate.cli.chargers.records import change, given, hash_of, record_of
from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import ConfigFile
from voltgate.cli.versions import version_token
from voltgate.gateway.registry.record import QUIRKS, Record

app = typer.Typer()


class Field(Enum):
    """What can be taken out of a record."""

    PROFILE = "profile"
    VERSION = "version"
    VALIDATION = "validation"
    QUIRK = "quirk"
    CN = "cn"


_NAMES = {
    Field.PROFILE: "security_profile",
    Field.VERSION: "versions",
    Field.VALIDATION: "validation",
    Field.QUIRK: "quirks",
    Field.CN: "certificate_cn",
}


@app.command(
    name="set",
    epilog="Examples: voltgate chargers set CP001 --add-quirk half_duplex; "
    "voltgate chargers set CP001 --validation lenient --unset version. Takes effect at once: a connected "
    f"charger is told to connect again, but for --password and --cn. {EXIT_CODES}",
)
def set_(  # noqa: PLR0913, PLR0917 - the fields of a record
    identity: Annotated[str, typer.Argument(metavar="ID", help="The charger's identity, as it is.")],
    add_quirk: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(QUIRKS)}.")] = None,
    remove_quirk: Annotated[list[str] | None, typer.Option(help="One it has.")] = None,
    profile: Annotated[
        int | None, typer.Option(min=1, max=3, help="The one security profile it may use.")
    ] = None,
    version: Annotated[
        list[str] | None,
        typer.Option(metavar="VERSION", help="An OCPP version it may speak: these, and no others."),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="strict, lenient or off, whatever the policy of an action says.")
    ] = None,
    cn: Annotated[str | None, typer.Option(help="CN of its certificate.")] = None,
    password: Annotated[
        str | None,
        typer.Option(metavar="P", help="Its only password from now on, '-' to read it from stdin."),
    ] = None,
    random_key: Annotated[
        bool,
        typer.Option("--random-key", help="The given password is random, 128 bits or more: hash it fast."),
    ] = False,
    unset: Annotated[list[Field] | None, typer.Option(help="Back to what a record without it means.")] = None,
    config: ConfigFile = None,
) -> None:
    """Change the record of a charger."""
    fields: dict[str, Any] = {
        "security_profile": profile,
        "versions": [version_token(one) for one in version or []] or None,
        "validation": validation,
        "quirks": add_quirk,
        "certificate_cn": cn,
    }
    record_of(fields)  # raises for what is none
    fields = {name: value for name, value in fields.items() if value is not None and name != "quirks"}
    odd = sorted(set(remove_quirk or []) - set(QUIRKS))
    if odd:
        raise Failure(f"--remove-quirk {odd[0]}: one of {', '.join(QUIRKS)}", USAGE)
    fields |= {_NAMES[field]: None for field in unset or []}
    if (secret := given(password)) is not None:
        fields |= {"password_hashes": [hash_of(identity, secret, random_key)], "password_change": None}
    if not (fields or add_quirk or remove_quirk):
        raise Failure("nothing to set: voltgate chargers set --help shows what there is", USAGE)

    def wanted(record: Record) -> dict[str, Any]:
        if not (add_quirk or remove_quirk):
            return fields
        before = set() if "quirks" in fields else record.quirks
        quirks = sorted((before | set(add_quirk or [])) - set(remove_quirk or []))
        return fields | {"quirks": quirks or None}

    run(change(loaded(config), identity, wanted))
