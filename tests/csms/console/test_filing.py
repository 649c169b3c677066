"""Firmware and logs through a real gateway: chargers get and put files at the console itself."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from csms.console.desk import Books, Desk, desk
from csms.console.stations import VERSIONS, backend, station
from e2e.house import Gateway
from jetstream import NatsServer


async def transfer(console: Desk, charger: str, command_id: str) -> dict[str, Any]:
    """The transfer of a command when it has ended, well or not."""
    async with asyncio.timeout(20):
        while True:
            found = (await console.get(f"/chargers/{charger}/transfers"))["items"]
            one = next((one for one in found if one["command_id"] == command_id), None)
            if one is not None and one["state"] in ("done", "failed"):
                return dict(one)


@pytest.mark.parametrize("version", VERSIONS)
async def test_logs_arrive_and_firmware_is_fetched(
    version: str, server: NatsServer, house: Gateway, books: Books, tmp_path: Path
) -> None:
    id_ = f"file-{version}"
    books.charger(id_, version=version)
    async with (
        desk(server, books, files=str(tmp_path)) as console,
        backend(server),
        station(house, version, id_),
    ):

        async def ask(path: str, body: Any) -> dict[str, Any]:
            answer = await console.ask("POST", f"/chargers/{id_}/{path}", body)
            assert (answer.status, answer.json["outcome"]) == (200, "result"), answer.text
            return await transfer(console, id_, answer.json["command_id"])

        for kind in ("diagnostics", "security"):
            log = await ask("log", {"kind": kind, "from": "2026-05-01T00:00:00Z"})
            assert (log["kind"], log["state"]) == (kind, "done")
            assert [one["status"] for one in log["steps"]] == ["Uploading", "Uploaded"]
            where = f"/chargers/{id_}/file?name={log['file']}"
            read = await console.ask("GET", where, role="operator")
            assert read.text.startswith(f"simulated charger {id_}, {version}")
            assert read.headers["Content-Disposition"] == f'attachment; filename="{log["file"]}"'
        async with console.http.put(
            f"{console.url}/api/v1/firmware/fw-{version}.bin",
            data=b"x" * 300_000,
            headers={"Authorization": f"Bearer {await console.key()}"},
        ) as kept:
            assert (kept.status, (await kept.json())["size"]) == (200, 300_000)
        assert [one["name"] for one in (await console.get("/firmware"))["items"]] == [f"fw-{version}.bin"]
        update = await ask("firmware", {"file": f"fw-{version}.bin"})
        assert (update["kind"], update["state"]) == ("firmware", "done")
        assert [one["status"] for one in update["steps"]] == [
            "Downloading", "Downloaded", "Installing", "Installed",
        ]  # fmt: skip
        failed = await ask("firmware", {"location": f"{console.url}/files/get/nothing"})
        assert failed["steps"][-1]["status"] == "DownloadFailed"
        elsewhere = await ask("firmware", {"location": "ftp://files.example/fw.bin"})
        assert elsewhere["state"] == "done"
        assert (await console.ask("DELETE", f"/firmware/fw-{version}.bin")).status == 204
        for name in (f"fw-{version}.bin", "x" * 3000, "..", "%00"):
            assert (await console.ask("DELETE", f"/firmware/{name}")).status == 404, name
        assert (await console.ask("PUT", "/firmware/empty.bin")).status == 422
        gone = await console.ask("POST", f"/chargers/{id_}/firmware", {"file": f"fw-{version}.bin"})
        assert gone.status == 404


async def test_another_place_for_logs_is_used_as_it_is(
    server: NatsServer, house: Gateway, books: Books
) -> None:
    books.charger("other-place", version="v201")
    async with (
        desk(server, books, files_url="ftp://files.example/logs") as console,
        backend(server),
        station(house, "v201", "other-place") as charger,
    ):
        answer = await console.ask("POST", "/chargers/other-place/log", {})
        assert (await transfer(console, "other-place", answer.json["command_id"]))["file"] is None
        assert charger.heard[0][1]["log"] == {"remoteLocation": "ftp://files.example/logs"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/chargers/CP1/log", {}, 409),
        ("POST", "/chargers/CP1/firmware", {"file": "fw"}, 409),
        (
            "POST",
            "/chargers/CP1/firmware",
            {"location": "ftp://h/f", "install_at": "2030-01-01T00:00:00Z"},
            409,
        ),
        ("POST", "/chargers/CP1/firmware", {}, 422),
        ("POST", "/chargers/CP1/firmware", {"file": "../x"}, 422),
        ("POST", "/chargers/CP1/firmware", {"location": "file:///etc/passwd"}, 422),
        ("GET", "/chargers/CP1/file?name=..%2F.key", None, 422),
        ("GET", "/chargers/CP1/file?name=x", None, 409),
        ("PUT", "/firmware/x", None, 409),
        ("PUT", "/firmware/.key", None, 422),
        ("PUT", "/firmware/f%C3%A4.bin", None, 422),
        ("PUT", f"/firmware/{'x' * 101}", None, 422),
    ],
)
async def test_what_is_not_possible(
    method: str, path: str, body: Any, status: int, console: Desk, books: Books
) -> None:
    books.charger()
    assert (await console.ask(method, path, body)).status == status
