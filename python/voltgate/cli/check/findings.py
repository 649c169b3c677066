"""The findings of ``voltgate check``, in the order they are printed."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nats.errors import Error
from nats.js.errors import NotFoundError

from voltgate.cli.capacity import Flow, flows, measured
from voltgate.cli.chargers.records import alike, bucket
from voltgate.cli.check.certificates import certificates
from voltgate.cli.check.copies import copies
from voltgate.cli.check.durability import durability
from voltgate.cli.check.permissions import permissions
from voltgate.cli.check.responders import responders
from voltgate.cli.serve.command import DESCRIPTOR_ROOM
from voltgate.config import Config
from voltgate.gateway import preflight
from voltgate.gateway.bus import connect, streams
from voltgate.gateway.edge import addresses
from voltgate.gateway.preflight import Finding
from voltgate.policy import rules
from voltgate.visible import visible

if TYPE_CHECKING:
    from nats.aio.client import Client

_ADMIN_SECONDS = 2.0


class Checked(NamedTuple):
    """The findings; ``unusable``: a value of [nats] that cannot be used, an error of the configuration."""

    findings: list[Finding]
    unusable: connect.SettingError | None


async def collect(config: Config, file: Path | None, monitor: str) -> Checked:
    """Check everything. ``monitor``: the monitoring URL of a NATS server, or "". Raises ConfigError."""
    rules(config)  # raises if OCPP does not allow the policy
    unserved = [Finding("serve", "fail", line) for line in preflight.unserved(config)]
    unusable = None
    try:
        nats = await _nats(config)
    except connect.SettingError as error:
        nats, unusable = [Finding("nats", "fail", str(error))], error
    findings = [
        Finding("config", "ok", str(file) if file else "no file: defaults and environment"),
        *(unserved or [Finding("serve", "ok", "allowed")]),
        *certificates(config),
        _descriptors(config),
        *await _addresses(config),
        *nats,
        *await durability(config, monitor),
    ]
    return Checked(findings, unusable)


def _descriptors(config: Config) -> Finding:
    needed = config.limits.max_connections + DESCRIPTOR_ROOM
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return Finding("descriptors", "ok", f"unlimited, {needed} needed")
    if hard >= needed:
        return Finding("descriptors", "ok", f"{hard}, {needed} needed")
    return Finding(
        "descriptors",
        "fail",
        f"{hard} file descriptors for limits.max_connections = {config.limits.max_connections}",
        f"raise the hard limit to {needed} (LimitNOFILE=, ulimit -Hn), or lower the key",
    )


async def _addresses(config: Config) -> list[Finding]:
    """Whether `serve` can listen; in use is a hint where a gateway runs with this configuration."""
    lines = list(addresses.taken(config))
    if not lines:
        return [Finding("addresses", "ok", "can be listened on")]
    if all(" is in use" in line for line in lines) and await asyncio.to_thread(_runs, config):
        return [Finding("addresses", "hint", "in use, and a gateway answers at the admin address")]
    return [Finding("addresses", "fail", line) for line in lines]


def _runs(config: Config) -> bool:
    """Whether a gateway answers at the admin address."""
    host = "127.0.0.1" if config.admin.host in ("", "0.0.0.0") else config.admin.host  # noqa: S104
    connection = HTTPConnection(host, config.admin.port, timeout=_ADMIN_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return b"voltgate_build_info" in connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


async def _nats(config: Config) -> list[Finding]:
    complaints: list[str] = []

    async def complaint(error: Exception) -> None:
        complaints.append(str(error))

    try:
        client = await connect.connect(
            config.nats, config.nats.inbox_prefix, name="voltgate-check", error_cb=complaint
        )
    except connect.SettingError:
        raise
    except connect.BusError as error:
        return [Finding("nats", "fail", str(error), "check nats.url and this user's credentials")]
    try:
        may = await permissions(config, client, complaints)
        return [
            preflight.server_version(connect.server_release(client)),
            preflight.message_size(config, client.max_payload),
            may.finding,
            *(await _jetstream(config, client) if may.ask_jetstream else []),
            *(await responders(client, config, complaints) if may.ask_jetstream else []),
        ]
    finally:
        await client.close()


async def _jetstream(config: Config, client: "Client") -> list[Finding]:
    try:
        plan = await streams.plan(client, config)
        found = preflight.jetstream(plan, await streams.covering(client, config), config)
        if all(change.action == "ok" for change in plan):
            found.append(await copies(client, config))
        flowing = await flows(client, config)
        return [*found, *_capacities(config, flowing), *await _records(config, client)]
    except (Error, TimeoutError) as error:
        return [preflight.no_jetstream(error)]


def _capacities(config: Config, flowing: dict[str, Flow]) -> Iterator[Finding]:
    """Streams that do not keep for ``max_age`` what flows into them."""
    for section, flow in flowing.items():
        found = measured(config, section, flow)
        if found is not None and not found.fits:
            yield Finding(found.stream, "hint", found.found, found.remedy)


async def _records(config: Config, client: "Client") -> list[Finding]:
    """Records that differ in letter case only; none where the registry is missing."""
    with suppress(NotFoundError):
        book = await bucket(config, client)
        for names in alike(await book.identities()):
            present = [name for name in names if await book.holds(name)]
            if len(present) > 1:
                found = f"{' and '.join(map(visible, present))} differ only in letter case"
                return [Finding("records", "hint", found, "they are different chargers")]
    return []
