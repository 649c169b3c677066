"""``voltgate chargers set``: change some fields of a charger's record, and keep the rest.

See docs/contract.md 3.8.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

import typer

from voltgate.cli.chargers import options
from voltgate.cli.chargers.records import Records, generated, given, hash_of, legal, on_records, record_of
from voltgate.cli.chargers.showing import shown
from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.service import loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, exact, out_json, say
from voltgate.gateway.registry.record import QUIRKS, Record

app = typer.Typer()

NEW_KEY = "new_key"


class Field(Enum):
    """What can be removed from a record: the name of its field, and the word for the option."""

    SECURITY_PROFILE = "profile"
    VERSIONS = "version"
    VALIDATION = "validation"
    QUIRKS = "quirk"
    CERTIFICATE_CN = "cn"


@dataclass(slots=True)
class NewKey:
    """A key for a charger, beside the password it has."""

    key: str
    hash: str
    replaces: bool = field(default=False, init=False)
    """An earlier new key, which has not logged in, no longer passes."""

    def fields(self, identity: str, record: Record) -> dict[str, Any]:
        """The fields of ``record`` that change. Raises Failure where another change is not decided."""
        before = record.password_hashes
        self.replaces = len(before) > 1 and record.password_change == NEW_KEY
        if len(before) > 1 and not self.replaces:
            raise Failure(
                f"{identity}: two passwords are kept, and which one is in force is not known: let the "
                "charger connect again (voltgate chargers kick), or set its only one (--password)"
            )
        hashes = [*before[:1], self.hash]
        return {"password_hashes": hashes, "password_change": NEW_KEY if len(hashes) > 1 else None}

    def tell(self, identity: str, record: Record) -> None:
        """Say which passwords pass now that ``record`` is stored."""
        if self.replaces:
            say(f"voltgate: {identity}: the new key made before, which has not logged in, no longer passes")
        if len(record.password_hashes) > 1:
            say(f"voltgate: {identity}: the old password passes too, until it logs in with the new key")


@app.command(
    name="set",
    epilog="Examples: voltgate chargers set CP001 --add-quirk half_duplex; "
    "voltgate chargers set CP001 --validation lenient --unset version. Takes effect at once: a connected "
    f"charger is disconnected so that it reconnects, except for passwords and --cn. --new-key prints the key "
    f"once, and keeps the old password until the charger logs in with the new key. {EXIT_CODES}",
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
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Generate a key, to be entered in the charger, and print it.")
    ] = False,
    unset: Annotated[list[Field] | None, typer.Option(help="Field to reset to its default.")] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Make the record if the charger has none.")
    ] = False,
    as_json: AsJson = False,
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
    if new_key and password is not None:
        raise Failure("--new-key: not together with --password", USAGE)
    if (secret := given(password)) is not None:
        fields |= {"password_hashes": [hash_of(identity, secret, random_key)], "password_change": None}
    if not (fields or add_quirk or remove_quirk or new_key):
        raise Failure("nothing to set: `voltgate chargers set --help` lists the options", USAGE)
    key = NewKey(*generated()) if new_key else None

    def wanted(record: Record) -> dict[str, Any]:
        found = dict(fields)
        if add_quirk or remove_quirk:
            before = set() if "quirks" in fields else record.quirks
            quirks = sorted((before | set(add_quirk or [])) - set(remove_quirk or []))
            found["quirks"] = quirks or None
        return found | (key.fields(identity, record) if key else {})

    async def apply(book: Records) -> Record:
        from nats.js.errors import KeyNotFoundError  # noqa: PLC0415

        fresh = record_of(wanted(Record(enabled=True)))
        if create and await book.create(legal(identity), fresh):
            return fresh
        try:
            return await book.change(identity, wanted)
        except KeyNotFoundError:
            raise Failure(f"no such charger: --create makes a record of {identity}") from None

    record = run(on_records(loaded(config), apply))
    if key:
        key.tell(identity, record)
    if as_json:
        out_json({"identity": identity, "password": key.key} if key else shown(identity, record))
    elif key:
        exact(key.key)
