"""Uploads of logs and downloads of firmware by a simulated charger, with the notifications of their progress.

What has an HTTP address is really transferred; of other schemes there are the notifications only.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from voltgate.charger.messages import FIRMWARE, Payload
from voltgate.charger.station import Station

SECONDS = 60.0
LOG_LINES = 200
MOST = 1 << 30  # bytes of a firmware image that are read
_PIECE = 1 << 16
_running = set[asyncio.Task[None]]()  # a loop keeps no strong reference to its tasks


def get_diagnostics(charger: Station, request: Payload) -> Payload:
    """1.6."""
    _upload(charger, "DiagnosticsStatusNotification", request["location"], {}, "UploadFailed")
    return {"fileName": "diagnostics.log"}


def get_log(charger: Station, request: Payload) -> Payload:
    """2.x, and the security extension of 1.6."""
    about = {"requestId": request["requestId"]}
    _upload(charger, "LogStatusNotification", request["log"]["remoteLocation"], about, "UploadFailure")
    return {"status": "Accepted", "filename": "charger.log"}


def update_firmware(charger: Station, request: Payload) -> Payload:
    """Download it, and claim to have installed it. 1.6 answers with nothing."""
    _update(charger, "FirmwareStatusNotification", request)
    return {} if charger.settings.version == "v16" else {"status": "Accepted"}


def signed_update_firmware(charger: Station, request: Payload) -> Payload:
    """The security extension of 1.6; the signature is not verified."""
    _update(charger, "SignedFirmwareStatusNotification", request)
    return {"status": "Accepted"}


def _update(charger: Station, notification: str, request: Payload) -> None:
    about = {"requestId": request["requestId"]} if "requestId" in request else {}
    location = request["firmware"]["location"] if "firmware" in request else request["location"]
    done = ("Downloaded", "Installing", "Installed")
    _notify(charger, notification, about, "Downloading")
    if location.startswith("http"):
        _start(_downloaded(charger, notification, location, about, done))
    else:
        _notify(charger, notification, about, *done)


def _upload(charger: Station, notification: str, location: str, about: Payload, failed: str) -> None:
    _notify(charger, notification, about, "Uploading")
    if location.startswith("http"):
        _start(_uploaded(charger, notification, location, about, failed))
    else:
        _notify(charger, notification, about, "Uploaded")


async def _uploaded(charger: Station, notification: str, location: str, about: Payload, failed: str) -> None:
    from aiohttp import ClientError, ClientSession, ClientTimeout  # noqa: PLC0415 - thousands never need it

    try:
        async with (
            ClientSession(timeout=ClientTimeout(SECONDS)) as http,
            http.put(location, data=_log(charger)) as answer,
        ):
            answer.raise_for_status()
    except (ClientError, TimeoutError, OSError, ValueError):
        _notify(charger, notification, about, failed)
    else:
        _notify(charger, notification, about, "Uploaded")


async def _downloaded(
    charger: Station, notification: str, location: str, about: Payload, done: tuple[str, ...]
) -> None:
    from aiohttp import ClientError, ClientSession, ClientTimeout  # noqa: PLC0415

    size = 0
    try:
        async with ClientSession(timeout=ClientTimeout(SECONDS)) as http, http.get(location) as answer:
            answer.raise_for_status()
            async for piece in answer.content.iter_chunked(_PIECE):
                size += len(piece)
                if size > MOST:
                    raise ValueError
    except (ClientError, TimeoutError, OSError, ValueError):
        _notify(charger, notification, about, "DownloadFailed")
    else:
        _notify(charger, notification, about, *done)


async def _log(charger: Station) -> AsyncIterator[bytes]:
    """Lines of a log, which a charger would have kept."""
    identity, version = charger.settings.identity, charger.settings.version
    yield f"simulated charger {identity}, {version}, firmware {FIRMWARE}\n".encode()
    for number in range(LOG_LINES):
        yield f"{number:06} {charger}\n".encode()


def _notify(charger: Station, notification: str, about: Payload, *statuses: str) -> None:
    for status in statuses:
        charger.send((notification, {"status": status, **about}))


def _start(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
