"""``voltgate csms key add|list|remove`` and ``voltgate csms link``: who may use the console."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from voltgate.cli.faults import EXIT_CODES, USAGE, Failure
from voltgate.cli.service import connected, loaded, run
from voltgate.cli.terminal import AsJson, ConfigFile, out, out_json, print_table, say
from voltgate.config import Config

if TYPE_CHECKING:
    from voltgate.csms.console.people import People
    from voltgate.csms.console.writer import Writer

T = TypeVar("T")
key_app = typer.Typer(help="Manage the keys of the console's API.", no_args_is_help=True)

ROLES = ("viewer", "operator", "manager", "admin")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Who uses it.")]
Role = Annotated[str, typer.Option(metavar="ROLE", help=f"One of {', '.join(ROLES)}.")]
Sites = Annotated[
    list[str] | None, typer.Option("--site", metavar="ID", help="Only this site; may be repeated.")
]


@key_app.command(epilog=EXIT_CODES)
def add(
    name: Name, role: Role, site: Sites = None, as_json: AsJson = False, config: ConfigFile = None
) -> None:
    """Make a key and print it. It is shown once."""
    _known(role)

    async def work(people: "People", writer: "Writer") -> str:
        from voltgate.csms.console import persons  # noqa: PLC0415
        from voltgate.csms.console.people import Kind  # noqa: PLC0415

        if name in people.rows(Kind.KEY):
            raise Failure(f"{name}: has a key: `voltgate csms key remove` removes it")
        return await persons.new_key(writer, name, role, site)  # type: ignore[arg-type]

    key = _with_people(loaded(config), work)
    if as_json:
        out_json({"name": name, "role": role, "key": key})
    else:
        say(f"voltgate: the key of {name} ({role}); it is shown once")
        out(key)


@key_app.command("list", epilog=EXIT_CODES)
def list_(as_json: AsJson = False, config: ConfigFile = None) -> None:
    """List names, roles and sites of the keys."""

    async def work(people: "People", _: "Writer") -> list[tuple[str, str, str]]:
        from voltgate.csms.console.people import Kind  # noqa: PLC0415

        return [
            (name, key.role.label, "all" if key.sites is None else ",".join(sorted(key.sites)))
            for name, (_, key) in sorted(people.rows(Kind.KEY).items())
        ]

    print_table(("name", "role", "sites"), _with_people(loaded(config), work), as_json)


@key_app.command(epilog=EXIT_CODES)
def remove(name: Name, config: ConfigFile = None) -> None:
    """Remove a key: it is not valid any more at once."""

    async def work(people: "People", writer: "Writer") -> None:
        from voltgate.csms.console.people import Kind  # noqa: PLC0415

        if name not in people.rows(Kind.KEY):
            raise Failure(f"{name}: has no key: `voltgate csms key list` lists those that have")
        await writer.remove(Kind.KEY, name)

    _with_people(loaded(config), work)


def link(
    name: Name,
    role: Annotated[
        str, typer.Option(metavar="ROLE", help=f"Add the person, or change the role: {', '.join(ROLES)}.")
    ] = "",
    site: Sites = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Print a link that logs a person in, once, within 15 minutes.

    With --role the person is added, or gets another role, and with --site other sites.
    """
    if role:
        _known(role)
    elif site:
        raise Failure("--site: give --role too", USAGE)
    settings = loaded(config)

    async def work(people: "People", writer: "Writer") -> str:
        from voltgate.csms.console import persons  # noqa: PLC0415

        person = people.operator(name)
        if person is None and not role:
            raise Failure(f"{name}: there is no such person: give --role to add one")
        sites = site if site or person is None or person.sites is None else sorted(person.sites)
        return await persons.terminal_link(writer, settings, name, role, sites)

    url = _with_people(settings, work)
    if as_json:
        out_json({"name": name, "url": url})
    else:
        out(url)


def _known(role: str) -> None:
    if role not in ROLES:
        raise Failure(f"--role {role}: must be one of {', '.join(ROLES)}", USAGE)


def _with_people(config: Config, work: Callable[["People", "Writer"], Awaitable[T]]) -> T:
    """Do one thing with what OPS_PEOPLE has. Raises Failure."""

    async def connect() -> T:
        from voltgate.csms.console.problems import Problem  # noqa: PLC0415 - the CSMS is an extra
        from voltgate.csms.console.server import people_of  # noqa: PLC0415
        from voltgate.csms.console.writer import Writer  # noqa: PLC0415

        async with connected(config, "voltgate-csms-key") as client:
            writer = Writer(client.jetstream(), config.nats.ops_prefix)
            try:
                return await work(await people_of(client, config), writer)
            except Problem as problem:
                raise Failure(str(problem)) from None

    result: Any = run(connect())
    return result  # type: ignore[no-any-return]
