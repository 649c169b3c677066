"""What ``voltgate check`` says about crashes: by the configuration, and by the monitoring of a NATS server.

NATS acknowledges what the operating system took, and syncs it to disk every ``sync_interval`` (2 minutes by
default; CONTRACT 6): the monitoring port is the only place that tells.
"""

import asyncio
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

import orjson

from voltgate.cli.check.finding import Check
from voltgate.config import Config

_TIMEOUT = 5.0
_NANO = 1_000_000_000


class _Unseen(Exception):
    """The monitoring does not say it."""


async def durability(config: Config, monitor: str) -> list[Check]:
    """The lines about crashes and, with a monitoring URL, about the store behind it."""
    if not monitor:
        return [Check("durability", "hint", f"{_promise(config)} (--monitor URL looks at the server)")]
    try:
        varz, jsz = await asyncio.gather(_read(monitor, "varz"), _read(monitor, "jsz"))
        return list(_seen(config, varz, jsz))
    except _Unseen as error:
        return [Check("monitor", "fail", str(error))]


def _promise(config: Config) -> str:
    if config.streams.replicas == 1:
        return (
            "1 replica: what was acknowledged survives a crash of processes, not of the machine; "
            "streams.replicas = 3 and sync_interval: always in the NATS servers do"
        )
    return (
        f"{config.streams.replicas} replicas: a power cut of all machines needs sync_interval: always "
        "in the NATS servers as well"
    )


def _seen(config: Config, varz: dict[str, Any], jsz: dict[str, Any]) -> Iterator[Check]:
    settings = (varz.get("jetstream") or {}).get("config") or jsz.get("config") or {}
    if jsz.get("disabled") or not settings:
        yield Check("monitor", "fail", "JetStream is off in this server: enable it, or name another server")
        return
    yield _lost(config.streams.replicas, settings)
    yield _store(config, settings, jsz)
    yield _cluster(config.streams.replicas, jsz)


def _lost(replicas: int, settings: dict[str, Any]) -> Check:
    """What a crash of the operating system takes with it."""
    always = settings.get("sync_always", False)
    seconds = settings.get("sync_interval", 0) / _NANO
    if always and replicas > 1:
        text = f"sync_interval: always and {replicas} replicas: nothing acknowledged is lost in an OS crash"
        return Check("durability", "ok", f"{text}, where every server is set like this one")
    if always:
        text = (
            "sync_interval: always, 1 replica: an OS crash loses nothing acknowledged, a broken disk "
            "everything; streams.replicas = 3 keeps it"
        )
        return Check("durability", "hint", text)
    whom = "an OS crash" if replicas == 1 else "an OS crash of most of the machines at once"
    text = (
        f"sync_interval is {seconds:g} s: {whom} loses what was acknowledged in the last {seconds:g} s; "
        "set sync_interval: always in the NATS servers"
    )
    return Check("durability", "hint", text + ("" if replicas > 1 else ", and streams.replicas = 3"))


def _store(config: Config, settings: dict[str, Any], jsz: dict[str, Any]) -> Check:
    room, used = settings.get("max_storage", 0), jsz.get("storage", 0)
    wanted = config.streams.tx_max_bytes + config.streams.events_max_bytes + config.streams.commands_max_bytes
    told = f"{used} bytes of {room} stored in {settings.get('store_dir', 'an unnamed folder')}"
    if 0 < room < wanted:
        text = (
            f"{told}: the streams may take {wanted}; raise max_file_store of the NATS server, "
            "or lower streams.*_max_bytes"
        )
        return Check("store", "hint", text)
    return Check("store", "ok", told)


def _cluster(replicas: int, jsz: dict[str, Any]) -> Check:
    members = (jsz.get("meta_cluster") or {}).get("cluster_size", 1)
    told = f"{members} server{'s' if members > 1 else ''} with JetStream"
    if members < replicas:
        text = f"{told} for streams.replicas = {replicas}: run as many NATS servers, or lower the key"
        return Check("cluster", "fail", text)
    return Check("cluster", "ok", told)


async def _read(monitor: str, page: str) -> dict[str, Any]:
    url = f"{monitor.rstrip('/')}/{page}"
    if not url.startswith(("http://", "https://")):
        raise _Unseen(f"--monitor {monitor}: a URL such as http://127.0.0.1:8222 (http_port of the server)")

    def read() -> Any:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - the scheme is checked
            return orjson.loads(answer.read())

    body, why = None, "no monitoring"
    try:
        body = await asyncio.to_thread(read)
    except (OSError, ValueError, HTTPException) as error:
        why = " ".join(str(getattr(error, "reason", None) or error).split())
    if not isinstance(body, dict):
        raise _Unseen(f"{url}: {why}: is this the monitoring port of the NATS server?")
    return body
