"""``voltgate check``: what ``serve`` needs, looked at from outside; a line each, ok or what to do."""

import resource
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voltgate import config as configuration
from voltgate.cli.check.effective import as_toml
from voltgate.cli.check.finding import Check
from voltgate.cli.dev.embedded import MINIMUM
from voltgate.cli.faults import EXIT_CODES, FAILED
from voltgate.cli.serve.command import DESCRIPTOR_ROOM
from voltgate.cli.service import jetstream_fault, loaded, refusals, run
from voltgate.cli.terminal import AsJson, ConfigFile, coloured, out, out_json
from voltgate.config import Config
from voltgate.policy import rules

if TYPE_CHECKING:
    from nats.aio.client import Client

app = typer.Typer()

COLOURS = {"ok": typer.colors.GREEN, "hint": typer.colors.YELLOW, "fail": typer.colors.RED}


@app.command(epilog=f"Exits with 1 if a check fails. {EXIT_CODES}")
def check(
    config: ConfigFile = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the effective values, secrets masked, and end.")
    ] = False,
    monitor: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="The monitoring of a NATS server (http://127.0.0.1:8222): what a crash would cost.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Whether `serve` will run, and what to do if not.

    Looks at the configuration, certificates, file limits, NATS, its permissions and streams: a line each.
    """
    settings = loaded(config)
    if print_config:
        shown = configuration.printable(settings)
        out_json(shown) if as_json else out(as_toml(shown).strip())
        return
    results = run(_collect(settings, config, monitor))
    if as_json:
        out_json([asdict(result) for result in results])
    else:
        width = max(len(result.name) for result in results)
        for result in results:
            verdict = f"{result.verdict:<4}"
            if coloured():
                verdict = typer.style(verdict, fg=COLOURS[result.verdict])
            out(f"{verdict}  {result.name:<{width}}  {result.text}")
    if any(result.verdict == "fail" for result in results):
        raise typer.Exit(FAILED)


async def _collect(config: Config, file: Path | None, monitor: str) -> list[Check]:
    from voltgate.cli.check.certificates import certificates  # noqa: PLC0415 - loads OpenSSL
    from voltgate.cli.check.durability import durability  # noqa: PLC0415

    rules(config)  # raises ConfigError for a policy OCPP does not allow
    results = [Check("config", "ok", str(file) if file else "no file: defaults and environment")]
    results += [Check("serve", "fail", line) for line in refusals(config)] or [
        Check("serve", "ok", "allowed")
    ]
    results += certificates(config)
    results.append(_descriptors(config))
    results += [result async for result in _nats(config)]
    return results + await durability(config, monitor)


def _descriptors(config: Config) -> Check:
    needed = config.limits.max_connections + DESCRIPTOR_ROOM
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        text = (
            f"{hard} file descriptors for limits.max_connections = {config.limits.max_connections}: "
            f"raise the hard limit to {needed} (LimitNOFILE=, ulimit -Hn), or lower the key"
        )
        return Check("descriptors", "fail", text)
    return Check(
        "descriptors", "ok", f"{'unlimited' if hard == resource.RLIM_INFINITY else hard}, {needed} needed"
    )


async def _nats(config: Config) -> AsyncIterator[Check]:
    from voltgate.gateway.bus import connect  # noqa: PLC0415

    complaints: list[str] = []

    async def complaint(error: Exception) -> None:
        complaints.append(str(error))

    try:
        client = await connect.connect(config.nats, name="voltgate-check", error_cb=complaint)
    except connect.BusError as error:
        yield Check("nats", "fail", f"{error}: is nats.url right, and may this user connect?")
        return
    try:
        yield _version(client)
        yield _max_payload(config, client)
        async for result in _jetstream(config, client, complaints):
            yield result
    finally:
        await client.close()


def _version(client: "Client") -> Check:
    server = client.connected_server_version
    wanted = ".".join(map(str, MINIMUM))
    told = f"nats-server {server.major}.{server.minor}.{server.patch}"
    if (server.major, server.minor, server.patch) < MINIMUM:
        return Check(
            "nats", "fail", f"{told}: {wanted} or newer is needed, older ones lose acknowledged messages"
        )
    return Check("nats", "ok", told)


def _max_payload(config: Config, client: "Client") -> Check:
    from voltgate.gateway.preflight import HEADER_ROOM  # noqa: PLC0415

    wanted, room = config.limits.max_message_bytes, client.max_payload - HEADER_ROOM
    if wanted > room:
        text = (
            f"NATS takes {client.max_payload} bytes with headers: set limits.max_message_bytes to {room} "
            f"at most, or max_payload of the NATS server to {wanted + HEADER_ROOM} at least"
        )
        return Check("max_payload", "fail", text)
    return Check("max_payload", "ok", f"{client.max_payload} bytes, {wanted + HEADER_ROOM} needed")


async def _jetstream(config: Config, client: "Client", complaints: list[str]) -> AsyncIterator[Check]:
    from nats.errors import Error  # noqa: PLC0415

    from voltgate.cli.check.permissions import permissions  # noqa: PLC0415
    from voltgate.gateway.bus import streams  # noqa: PLC0415

    allowed = await permissions(config, client, complaints)
    yield allowed
    try:
        plan = await streams.plan(client, config)
        covering = await streams.covering(client, config)
    except (Error, TimeoutError) as error:
        if allowed.verdict != "fail":  # else that is why
            yield Check("jetstream", "fail", jetstream_fault(error))
        return
    yield Check("jetstream", "ok", "answers")
    todo = "run `voltgate streams apply`, or change the configuration"
    for change in plan:
        if change.action == "ok":
            yield Check(change.stream, "ok", "as configured")
        elif change.later:
            told = f"differs ({'; '.join(change.differences)}), as release {change.later} wants it"
            yield Check(change.stream, "hint", f"{told}: upgrade, and then change what still differs")
        else:
            what = "is missing" if change.action == "create" else f"differs ({'; '.join(change.differences)})"
            yield Check(change.stream, "fail", f"{what}: {todo}")
    root = f"{config.nats.rpc_prefix}.>"
    if covering:
        text = f"stream {covering} covers {root} and would answer every question: change its subjects"
        yield Check("questions", "fail", text)
    else:
        yield Check("questions", "ok", f"no stream covers {root}")
