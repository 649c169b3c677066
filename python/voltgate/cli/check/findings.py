"""The findings of ``voltgate check``, in the order they are printed."""

import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nats.errors import Error
from nats.js.errors import NotFoundError

from voltgate.cli.chargers.records import alike, bucket
from voltgate.cli.check.certificates import certificates
from voltgate.cli.check.durability import durability
from voltgate.cli.check.permissions import permissions
from voltgate.cli.dev.embedded import MINIMUM
from voltgate.cli.serve.command import DESCRIPTOR_ROOM
from voltgate.config import Config
from voltgate.gateway import preflight
from voltgate.gateway.bus import connect, streams
from voltgate.gateway.preflight import Finding
from voltgate.policy import rules
from voltgate.visible import visible

if TYPE_CHECKING:
    from nats.aio.client import Client


async def collect(config: Config, file: Path | None, monitor: str) -> list[Finding]:
    """Check everything. ``monitor``: the monitoring URL of a NATS server, or "". Raises ConfigError."""
    rules(config)  # raises if OCPP does not allow the policy
    unserved = [Finding("serve", "fail", line) for line in preflight.unserved(config)]
    return [
        Finding("config", "ok", str(file) if file else "no file: defaults and environment"),
        *(unserved or [Finding("serve", "ok", "allowed")]),
        *certificates(config),
        _descriptors(config),
        *await _nats(config),
        *await durability(config, monitor),
    ]


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


async def _nats(config: Config) -> list[Finding]:
    complaints: list[str] = []

    async def complaint(error: Exception) -> None:
        complaints.append(str(error))

    try:
        client = await connect.connect(
            config.nats, config.nats.inbox_prefix, name="voltgate-check", error_cb=complaint
        )
    except connect.SettingError:
        raise  # a fault of the configuration, as where it is loaded
    except connect.BusError as error:
        return [Finding("nats", "fail", str(error), "check nats.url and this user's credentials")]
    try:
        may = await permissions(config, client, complaints)
        return [
            _version(client),
            preflight.message_size(config, client.max_payload),
            may.finding,
            *(await _jetstream(config, client) if may.ask_jetstream else []),
        ]
    finally:
        await client.close()


async def _jetstream(config: Config, client: "Client") -> list[Finding]:
    try:
        plan = await streams.plan(client, config)
        found = preflight.jetstream(plan, await streams.covering(client, config), config)
        return [*found, *await _records(config, client)]
    except (Error, TimeoutError) as error:
        return [preflight.no_jetstream(error)]


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


def _version(client: "Client") -> Finding:
    server = client.connected_server_version
    found = f"nats-server {server.major}.{server.minor}.{server.patch}"
    if (server.major, server.minor, server.patch) >= MINIMUM:
        return Finding("nats", "ok", found)
    wanted = ".".join(map(str, MINIMUM))
    return Finding("nats", "fail", f"{found} loses acknowledged messages", f"install {wanted} or newer")
