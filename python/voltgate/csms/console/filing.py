"""Handlers of firmware updates and logs, their progress, and the files that are kept here."""

import re
from datetime import timedelta

from aiohttp import web

from voltgate.csms.console import doing, progress
from voltgate.csms.console.commands import Ended
from voltgate.csms.console.console import Ask, Console, answered
from voltgate.csms.console.endpoints import FileQuery
from voltgate.csms.console.facts import commands, events
from voltgate.csms.console.files import Files, Kept
from voltgate.csms.console.intents import Command, ImpossibleError, encoded, start_id, today
from voltgate.csms.console.operations import FILE_NAME, FirmwareBody, LogBody
from voltgate.csms.console.problems import Fault, Kind, Problem
from voltgate.csms.ledger import times

SHOWN = 40  # transfers of a charger
_BACK = timedelta(days=30)
_IMAGE_NAME = "must be a name of letters, digits, '.', '_' and '-', 100 characters at most"


async def update_firmware(ask: Ask) -> web.Response:
    """Send the charger to its new firmware."""
    id_ = doing.command_id(ask)
    return answered(doing.outcome(await update(ask.console, ask.id, ask.said(FirmwareBody), id_), id_))


async def fetch_log(ask: Ask) -> web.Response:
    """Make the charger upload a log."""
    id_ = doing.command_id(ask)
    return answered(doing.outcome(await fetch(ask.console, ask.id, ask.said(LogBody), id_), id_))


async def get_transfers(ask: Ask) -> web.Response:
    """Updates and logs of a charger, the newest first, with how far they are."""
    nats, history, files = ask.console.config.nats, ask.console.history, ask.console.files
    wanted = commands(
        nats, ask.id, *progress.REQUESTS, *(f"{action}Response" for action in progress.REQUESTS)
    )
    asked = await history.latest(wanted, 2 * SHOWN, 4 * SHOWN, back=_BACK)
    notified = await history.latest(
        events(nats, ask.id, *progress.NOTIFIED.values()), 10 * SHOWN, 20 * SHOWN, back=_BACK
    )
    found = progress.transfers(
        asked, notified, lambda address: None if files is None else files.uploaded(ask.id, address)
    )
    return answered({"items": found[:SHOWN], "next": None})


async def get_file(ask: Ask) -> web.StreamResponse:
    """A log that the charger has uploaded here."""
    name = ask.queried(FileQuery).name
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
    }
    return web.FileResponse(_files(ask.console).path_of(ask.id, name), headers=headers)


async def get_images(ask: Ask) -> web.Response:
    """The firmware files that are kept here."""
    files = ask.console.files
    return answered({"items": [] if files is None else [_image(one) for one in files.images()], "next": None})


async def put_image(ask: Ask) -> web.Response:
    """Keep the body as a firmware file."""
    if not re.fullmatch(FILE_NAME, ask.id):
        raise Problem(Kind.INVALID, faults=[Fault("id", _IMAGE_NAME)])
    files, size = _files(ask.console), ask.request.content_length
    if not ask.request.can_read_body:
        raise Problem(Kind.INVALID, "the body is the file, and it is empty")
    return answered(_image(await files.keep_image(ask.id, ask.request.content.iter_any(), size)))


async def delete_image(ask: Ask) -> web.Response:
    """Remove one; addresses that chargers have lead nowhere then."""
    _files(ask.console).drop_image(ask.id)
    return web.Response(status=204)


async def update(console: Console, charger: str, wanted: FirmwareBody, command_id: str) -> Ended:
    """Send UpdateFirmware under this id. Raises Problem, ImpossibleError."""
    version = await doing.version(console, charger)
    return await console.sender.send(charger, _update(console, version, wanted, command_id), command_id)


def _update(console: Console, version: str, wanted: FirmwareBody, command_id: str) -> Command:
    location = wanted.location or _files(console).download(wanted.file or "")
    retrieve = times.text(wanted.retrieve_at or today(console.now()))
    if version == "v16":
        if wanted.install_at is not None:
            raise ImpossibleError("OCPP 1.6 has no time of installation")
        return encoded("UpdateFirmware", {"location": location, "retrieveDate": retrieve})
    firmware = {"location": location, "retrieveDateTime": retrieve}
    if wanted.install_at is not None:
        firmware["installDateTime"] = times.text(wanted.install_at)
    return encoded("UpdateFirmware", {"requestId": start_id(command_id), "firmware": firmware})


async def fetch(console: Console, charger: str, wanted: LogBody, command_id: str) -> Ended:
    """Send GetDiagnostics or GetLog under this id. Raises Problem, ImpossibleError."""
    version = await doing.version(console, charger)
    command = _fetch(console, charger, version, wanted, command_id)
    return await console.sender.send(charger, command, command_id)


def _fetch(console: Console, charger: str, version: str, wanted: LogBody, command_id: str) -> Command:
    location = console.config.csms.files_url
    if console.files is not None:
        location = console.files.upload(charger, f"{wanted.kind}-{start_id(command_id):08x}")
    elif not location:
        raise ImpossibleError("there is no place for files: set csms.files or csms.files_url")
    begins = None if wanted.from_ is None else times.text(wanted.from_)
    ends = None if wanted.to is None else times.text(wanted.to)
    if version == "v16" and wanted.kind == "diagnostics":
        return encoded("GetDiagnostics", {"location": location, "startTime": begins, "stopTime": ends})
    log = {"remoteLocation": location, "oldestTimestamp": begins, "latestTimestamp": ends}
    return encoded(
        "GetLog",
        {
            "log": {name: value for name, value in log.items() if value is not None},
            "logType": "SecurityLog" if wanted.kind == "security" else "DiagnosticsLog",
            "requestId": start_id(command_id),
        },
    )


def _files(console: Console) -> Files:
    if console.files is None:
        raise ImpossibleError("there is no place for files here: set csms.files")
    return console.files


def _image(kept: Kept) -> dict[str, object]:
    return {"name": kept.name, "size": kept.size, "at": times.text(kept.at)}
