"""A small place for files: chargers put their logs here and get firmware from here, by signed paths.

A path names one file and ends with a keyed hash of itself and of the time until which it is good: nobody else
can make one, and nothing has to be remembered. An upload works once, because a file is never replaced. A
download works until its time is over, because chargers resume what broke off. Not here: who may ask for one.
"""

import asyncio
import hmac
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from os.path import isfile
from pathlib import Path
from tempfile import NamedTemporaryFile

from aiohttp import BodyPartReader, web

from voltgate import _core
from voltgate.csms.console.intents import today
from voltgate.csms.console.problems import Kind, Problem

LASTS = timedelta(days=2)  # from midnight: a day at least
PUT, GET = "put", "get"
FIRMWARE = "firmware"
_MAC = 32  # characters
_PIECE = 1 << 16
_UPLOAD = re.compile(r"/put/(?P<folder>[^/]+)/(?P<name>[^/]+)/\d+/[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is here."""

    name: str
    size: int
    at: datetime


class Files:
    """The place of one console, or of several that share the folder. ``base``: its address for chargers."""

    def __init__(self, folder: Path, base: str, most: int, now: Callable[[], datetime]) -> None:
        self._folder, self._base, self._most, self._now = folder, base.rstrip("/"), most, now
        folder.mkdir(parents=True, exist_ok=True)
        self._key = _key(folder / ".key")

    # -- addresses

    def upload(self, charger: str, name: str) -> str:
        """An address where a charger may put one file; the same for the same name on the same day."""
        return self._address(PUT, _folder_of(charger), f"{today(self._now()):%Y-%m-%d}-{name}")

    def download(self, image: str) -> str:
        """An address where chargers may get a firmware image. Raises Problem where there is none."""
        self.path_of_image(image)
        return self._address(GET, FIRMWARE, image)

    def _address(self, verb: str, folder: str, name: str) -> str:
        until = int((today(self._now()) + LASTS).timestamp())
        return f"{self._base}/{verb}/{folder}/{name}/{until}/{self._mac(verb, folder, name, until)}"

    def _mac(self, verb: str, folder: str, name: str, until: int) -> str:
        text = "\n".join((verb, folder, name, str(until)))
        return hmac.new(self._key, text.encode(), sha256).hexdigest()[:_MAC]

    def uploaded(self, charger: str, address: str) -> str | None:
        """The name of the file that arrived at an address of :meth:`upload`; None: nothing did."""
        found = _UPLOAD.search(address)
        if found is None or found["folder"] != _folder_of(charger):
            return None
        return found["name"] if isfile(self._folder / found["folder"] / found["name"]) else None

    # -- what is here

    def path_of(self, charger: str, name: str) -> Path:
        """A file of a charger. Raises Problem."""
        return self._path(_folder_of(charger), name)

    def path_of_image(self, name: str) -> Path:
        """A firmware image. Raises Problem."""
        return self._path(FIRMWARE, name)

    def images(self) -> list[Kept]:
        """The firmware images, by name."""
        found = [one for one in (self._folder / FIRMWARE).glob("[!.]*") if one.is_file()]
        return [_kept(one) for one in sorted(found)]

    async def keep_image(self, name: str, pieces: AsyncIterator[bytes], size: int | None = None) -> Kept:
        """Store a firmware image; it replaces none. ``size``: as announced. Raises Problem."""
        if size is not None and size > self._most:
            raise self._too_large()  # before it has come
        return _kept(await self._store(FIRMWARE, name, pieces))

    def drop_image(self, name: str) -> None:
        """Remove a firmware image. Raises Problem."""
        self.path_of_image(name).unlink()

    def _path(self, folder: str, name: str) -> Path:
        path = self._folder / folder / name
        if "/" in name or name.startswith(".") or not isfile(path):  # also of a name that no file can have
            raise Problem(Kind.NOT_FOUND)
        return path

    async def _store(self, folder: str, name: str, pieces: AsyncIterator[bytes]) -> Path:
        """Write it beside, and then give it its name, if nobody has it. Raises Problem."""
        where = self._folder / folder
        where.mkdir(parents=True, exist_ok=True)
        size = 0
        with NamedTemporaryFile(dir=where, prefix=".") as part:
            async for piece in pieces:
                size += len(piece)
                if size > self._most:
                    raise self._too_large()
                await asyncio.to_thread(part.write, piece)
            part.flush()
            try:
                os.link(part.name, where / name)
            except FileExistsError:
                raise Problem(Kind.CONFLICT, "there is a file with this name already") from None
        return where / name

    def _too_large(self) -> Problem:
        return Problem(Kind.TOO_LARGE, f"a file may have {self._most} bytes")

    # -- for chargers

    def routes(self) -> list[web.RouteDef]:
        """Of this place: without a key, because the path is one."""
        put = f"/files/{PUT}/{{folder}}/{{name}}/{{until}}/{{mac}}"
        # A charger may take the address for a folder, and append a name of its own (1.6 GetDiagnostics).
        more = "{rest:(?:/[^/]*)?}"
        return [
            web.put(put + more, self._put),
            web.post(put + more, self._put),
            web.get(f"/files/{GET}/{{folder}}/{{name}}/{{until}}/{{mac}}", self._get),
        ]

    async def _put(self, request: web.Request) -> web.Response:
        folder, name = self._opened(request, PUT)
        await self._store(folder, name, _pieces(request))
        return web.Response(status=201)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        folder, name = self._opened(request, GET)
        headers = {"Content-Type": "application/octet-stream", "Cache-Control": "no-store"}
        return web.FileResponse(self._path(folder, name), headers=headers)

    def _opened(self, request: web.Request, verb: str) -> tuple[str, str]:
        """Folder and name of a path that is good. Raises Problem."""
        info = request.match_info
        folder, name, until = info["folder"], info["name"], info["until"]
        if until.isascii() and until.isdecimal() and len(until) <= _MAC:
            good = self._mac(verb, folder, name, int(until))
            if hmac.compare_digest(good.encode(), info["mac"].encode()) and self._now().timestamp() < int(
                until
            ):
                return folder, name
        raise Problem(Kind.NOT_FOUND)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body, or the first file of a form."""
    if request.content_type != "multipart/form-data":
        async for piece in request.content.iter_chunked(_PIECE):
            yield piece
        return
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.filename:
            while piece := await part.read_chunk(_PIECE):
                yield piece
            return
    raise Problem(Kind.MALFORMED, "the form has no file")


def _folder_of(charger: str) -> str:
    # A token has no dot: no charger's folder is the one of firmware, or hidden.
    return f"{_core.token(charger)}.files"


def _kept(path: Path) -> Kept:
    found = path.stat()
    return Kept(path.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _key(path: Path) -> bytes:
    """The key of the folder, made by the first console that uses it."""
    with NamedTemporaryFile(dir=path.parent, prefix=".") as made:
        made.write(secrets.token_bytes(32))
        made.flush()
        with suppress(FileExistsError):
            os.link(made.name, path)
    return path.read_bytes()
