"""What a crash would cost: by the configuration, and by the monitoring port of a NATS server.

NATS acknowledges what the operating system took, and syncs it to disk every ``sync_interval`` (2 minutes by
default; docs/contract.md 6). Only the monitoring port shows that setting.
"""

import asyncio
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

import orjson

from voltgate.config import Config
from voltgate.gateway.preflight import Finding

_TIMEOUT = 5.0
_NANO = 1_000_000_000


class _Unseen(Exception):
    """The monitoring port did not answer as expected; the text says what to do."""


async def durability(config: Config, monitor: str) -> list[Finding]:
    """Findings about crashes and, with a monitoring URL, about the store and the cluster."""
    if not monitor:
        return [Finding("durability", "hint", f"{_promise(config)} (--monitor URL checks the server)")]
    try:
        varz, jsz = await asyncio.gather(_read(monitor, "varz"), _read(monitor, "jsz"))
        return list(_seen(config, varz, jsz))
    except _Unseen as error:
        return [Finding("monitor", "fail", str(error))]


def _promise(config: Config) -> str:
    if config.streams.replicas == 1:
        return (
            "1 replica: acknowledged messages survive a crash of processes, not of the machine; to survive "
            "that, set streams.replicas = 3, and sync_interval: always in the NATS servers"
        )
    return (
        f"{config.streams.replicas} replicas: to survive a power cut of all machines, set sync_interval: "
        "always in the NATS servers"
    )


def _seen(config: Config, varz: dict[str, Any], jsz: dict[str, Any]) -> Iterator[Finding]:
    settings = (varz.get("jetstream") or {}).get("config") or jsz.get("config") or {}
    if jsz.get("disabled") or not settings:
        yield Finding(
            "monitor", "fail", "JetStream is off in this server", "enable it, or name another server"
        )
        return
    yield _lost(config.streams.replicas, settings)
    yield _store(config, settings, jsz)
    yield _cluster(config.streams.replicas, jsz)


def _lost(replicas: int, settings: dict[str, Any]) -> Finding:
    """What a crash of the operating system would lose."""
    always = settings.get("sync_always", False)
    seconds = settings.get("sync_interval", 0) / _NANO
    if always and replicas > 1:
        text = f"sync_interval: always and {replicas} replicas: an OS crash loses no acknowledged message"
        return Finding("durability", "ok", f"{text}, if every server is set like this one")
    if always:
        text = (
            "sync_interval: always, 1 replica: an OS crash loses no acknowledged message, a broken disk "
            "loses all; set streams.replicas = 3"
        )
        return Finding("durability", "hint", text)
    crash = "an OS crash" if replicas == 1 else "an OS crash of most of the machines at once"
    text = (
        f"sync_interval is {seconds:g} s: {crash} loses messages acknowledged in the last {seconds:g} s; "
        "set sync_interval: always in the NATS servers"
    )
    return Finding("durability", "hint", text + ("" if replicas > 1 else ", and streams.replicas = 3"))


def _store(config: Config, settings: dict[str, Any], jsz: dict[str, Any]) -> Finding:
    room, used = settings.get("max_storage", 0), jsz.get("storage", 0)
    wanted = config.streams.tx_max_bytes + config.streams.events_max_bytes + config.streams.commands_max_bytes
    found = f"{used} bytes of {room} stored in {settings.get('store_dir', 'an unnamed folder')}"
    if 0 < room < wanted:
        remedy = "raise max_file_store of the NATS server, or lower streams.*_max_bytes"
        return Finding("store", "hint", f"{found}, the streams may take {wanted}", remedy)
    return Finding("store", "ok", found)


def _cluster(replicas: int, jsz: dict[str, Any]) -> Finding:
    members = (jsz.get("meta_cluster") or {}).get("cluster_size", 1)
    found = f"{members} server{'s' if members > 1 else ''} with JetStream"
    if members < replicas:
        found = f"{found} for streams.replicas = {replicas}"
        return Finding("cluster", "fail", found, "run as many NATS servers, or lower the key")
    return Finding("cluster", "ok", found)


async def _read(monitor: str, page: str) -> dict[str, Any]:
    url = f"{monitor.rstrip('/')}/{page}"
    if not url.startswith(("http://", "https://")):
        raise _Unseen(f"--monitor {monitor}: must be a URL such as http://127.0.0.1:8222")

    def read() -> Any:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - the scheme is checked
            return orjson.loads(answer.read())

    body, why = None, "not a monitoring page"
    try:
        body = await asyncio.to_thread(read)
    except (OSError, ValueError, HTTPException) as error:
        why = " ".join(str(getattr(error, "reason", None) or error).split())
    if not isinstance(body, dict):
        raise _Unseen(f"{url}: {why}: name the monitoring port of the NATS server")
    return body
