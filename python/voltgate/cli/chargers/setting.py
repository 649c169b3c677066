"""``voltgate chargers set``: change some fields of a charger's record, and keep the rest.

See docs/contract.md 3.8.
"""

from enum import Enum
from typing import Annotated, Any

import typer

from voltgate.cli.chargers import options
from voltgate.cli.chargers.records import given, hash_of, on_records, record_of
from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import ConfigFile
from voltgate.gateway.registry.record import QUIRKS, Record

app = typer.Typer()


class Field(Enum):
    """What can be removed from a record: the name of its field, and the word for the option."""

    SECURITY_PROFILE = "profile"
    VERSIONS = "version"
    VALIDATION = "validation"
    QUIRKS = "quirk"
    CERTIFICATE_CN = "cn"


@app.command(
    name="set",
    epilog="Examples: voltgate chargers set CP001 --add-quirk half_duplex; "
    "voltgate chargers set CP001 --validation lenient --unset version. Takes effect at once: a connected "
    f"charger is disconnected so that it reconnects, except for --password and --cn. {EXIT_CODES}",
)
def set_(  # noqa: PLR0913, PLR0917 - the fields of a record
    identity: options.Identity,
    add_quirk: options.Quirks = None,
    remove_quirk: Annotated[
        list[str] | None, typer.Option(metavar="QUIRK", help="A quirk to remove.")
    ] = None,
    profile: options.Profile = None,
    version: options.Versions = None,
    validation: options.Validation = None,
    cn: options.CommonName = None,
    password: Annotated[
        str | None, typer.Option(metavar="P", help="Its only password from now on; '-' reads it from stdin.")
    ] = None,
    random_key: options.RandomKey = False,
    unset: Annotated[list[Field] | None, typer.Option(help="Field to reset to its default.")] = None,
    config: ConfigFile = None,
) -> None:
    """Change the record of a charger."""
    fields = options.fields_of(profile, version, validation, add_quirk, cn)
    record_of(fields)  # raises for a value that no record may have
    fields = {name: value for name, value in fields.items() if value is not None and name != "quirks"}
    odd = sorted(set(remove_quirk or []) - set(QUIRKS))
    if odd:
        raise Failure(f"--remove-quirk {odd[0]}: must be one of {', '.join(QUIRKS)}", USAGE)
    fields |= {field.name.lower(): None for field in unset or []}
    if (secret := given(password)) is not None:
        fields |= {"password_hashes": [hash_of(identity, secret, random_key)], "password_change": None}
    if not (fields or add_quirk or remove_quirk):
        raise Failure("nothing to set: `voltgate chargers set --help` lists the options", USAGE)

    def wanted(record: Record) -> dict[str, Any]:
        if not (add_quirk or remove_quirk):
            return fields
        before = set() if "quirks" in fields else record.quirks
        quirks = sorted((before | set(add_quirk or [])) - set(remove_quirk or []))
        return fields | {"quirks": quirks or None}

    run(on_records(loaded(config), lambda book: book.change(identity, wanted)))
