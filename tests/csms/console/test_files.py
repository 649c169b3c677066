"""The place for files: only signed paths, each for one file, with a bound; nothing is ever replaced."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from voltgate.csms.console.app import answering
from voltgate.csms.console.files import FIRMWARE, Files
from voltgate.csms.console.problems import Kind, Problem

MOST = 1000
IDENTITY = "CP 1/ü"


class Place:
    """Files with a server, at a time that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 5, 1, 10, tzinfo=UTC)
        self.folder = folder
        self.files = Files(folder, "http://127.0.0.1:1/files", MOST, lambda: self.now)
        self.port = 0

    async def send(self, method: str, address: str, data: object = None, more: str = "") -> int:
        url = URL(address + more, encoded=True).with_port(self.port)
        async with aiohttp.ClientSession() as http, http.request(method, url, data=data) as answer:
            self.body = await answer.read()
            return answer.status


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path / "files")
    app = web.Application(middlewares=[answering])
    app.add_routes(made.files.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_an_upload_works_once_and_its_file_is_the_chargers_alone(place: Place) -> None:
    address = place.files.upload(IDENTITY, "diagnostics-1")
    assert place.files.uploaded(IDENTITY, address) is None
    assert address == place.files.upload(IDENTITY, "diagnostics-1"), "a repeat is the same command"
    assert await place.send("PUT", address, b"log") == 201
    assert await place.send("PUT", address, b"other") == 409
    name = place.files.uploaded(IDENTITY, address)
    assert name == "2026-05-01-diagnostics-1"
    assert place.files.path_of(IDENTITY, name).read_bytes() == b"log"
    assert place.files.uploaded("CP2", address) is None
    with pytest.raises(Problem):
        place.files.path_of("CP2", name)
    assert await place.send("GET", address) == 405, "an upload's path shows nothing"


async def test_a_form_and_a_name_of_the_chargers_own_are_taken(place: Place) -> None:
    address = place.files.upload(IDENTITY, "a")
    form = aiohttp.FormData({"note": "x"})
    form.add_field("file", b"log" * 100, filename="../../evil.log")
    assert await place.send("POST", address, form) == 201
    assert place.files.path_of(IDENTITY, "2026-05-01-a").read_bytes() == b"log" * 100
    assert await place.send("PUT", place.files.upload(IDENTITY, "b"), b"x", more="/diagnostics.zip") == 201
    empty = aiohttp.FormData({"note": "x"}, default_to_multipart=True)
    assert await place.send("POST", place.files.upload(IDENTITY, "c"), empty) == 400


async def test_what_is_too_large_or_breaks_off_leaves_nothing(place: Place) -> None:
    address = place.files.upload(IDENTITY, "big")
    assert await place.send("PUT", address, b"x" * (MOST + 1)) == 413
    assert place.files.uploaded(IDENTITY, address) is None
    assert [one.name for one in place.folder.rglob("*") if one.is_file()] == [".key"]
    assert await place.send("PUT", address, b"x" * MOST) == 201


async def test_firmware_is_downloaded_until_its_path_is_too_old(place: Place) -> None:
    kept = await place.files.keep_image("fw-1.bin", pieces(b"ab", b"cd"))
    assert (kept.name, kept.size) == ("fw-1.bin", 4)
    with pytest.raises(Problem) as refused:
        await place.files.keep_image("fw-1.bin", pieces(b"other"))
    assert refused.value.kind is Kind.CONFLICT
    address = place.files.download("fw-1.bin")
    for _ in range(2):
        assert (await place.send("GET", address), place.body) == (200, b"abcd")
    assert await place.send("PUT", address, b"evil") == 405
    place.now += timedelta(hours=23)
    assert await place.send("GET", address) == 200
    place.now += timedelta(days=1)
    assert await place.send("GET", address) == 404
    place.files.drop_image("fw-1.bin")
    assert place.files.images() == []
    with pytest.raises(Problem):
        place.files.download("fw-1.bin")


async def test_nobody_can_make_or_change_a_path(place: Place) -> None:
    await place.files.keep_image("fw.bin", pieces(b"x"))
    good = place.files.download("fw.bin")
    other = Files(place.folder.parent / "other", "http://127.0.0.1:1/files", MOST, lambda: place.now)
    await other.keep_image("fw.bin", pieces(b"x"))
    parts = good.split("/")
    forged = [
        other.download("fw.bin"),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        "/".join([*parts[:-2], str(int(parts[-2]) + 1), parts[-1]]),
        good.replace("fw.bin", ".key"),
        good.replace("fw.bin", "..%2F.key"),
        good.replace(f"/{FIRMWARE}/", "/CP1.files/"),
        good.replace("/get/", "/put/"),
        good[:-32] + "%C3%A9" * 32,
    ]
    for address in forged:
        assert await place.send("PUT" if "/put/" in address else "GET", address) == 404, address
    shared = Files(place.folder, "http://127.0.0.1:1/files", MOST, lambda: place.now)
    assert await place.send("GET", shared.download("fw.bin")) == 200, (
        "consoles that share a folder share its key"
    )
