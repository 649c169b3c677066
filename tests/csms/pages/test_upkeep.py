"""Firmware files that people upload, and channels of alerts that they try, in a real browser."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from playwright.sync_api import Page, expect

from csms.pages.views import DESK, PHONE, Views, axe

CHARGERS = 1
TOO_LARGE = (64 << 20) + 1  # csms.files_max_bytes


def upload(page: Page, file: Path) -> str:
    """How the upload of a file ended, in words."""
    page.get_by_test_id("image-file").set_input_files(file)
    page.get_by_test_id("image-upload").click()
    return page.get_by_test_id("outcome").inner_text()


def test_a_file_is_uploaded_listed_and_chosen_at_a_charger(views: Views, tmp_path: Path) -> None:
    image = tmp_path / "fw 2.0 (final).bin"
    image.write_bytes(b"x" * (3 << 20))
    page = views.open("/", role="manager")
    page.get_by_test_id("more").click()
    page.get_by_role("link", name="Firmware").click()
    expect(page.get_by_text("No firmware file yet")).to_be_visible()
    page.evaluate(
        """() => {
            window.shares = [];
            const look = () => {
                const bar = document.querySelector("progress");
                if (bar) window.shares.push(bar.value);
            };
            const everything = { attributes: true, childList: true, subtree: true };
            new MutationObserver(look).observe(document.body, everything);
        }"""
    )
    assert upload(page, image) == "fw-2.0-final-.bin is here now."
    assert page.evaluate("window.shares").pop() == 1
    row = page.get_by_test_id("image-fw-2.0-final-.bin")
    expect(row).to_contain_text("3,072 KiB")
    page.goto(f"{views.url}/chargers/CP001?tab=transfers")
    page.get_by_text("Update firmware").first.click()
    page.get_by_role("combobox").select_option("fw-2.0-final-.bin")
    page.get_by_test_id("firmware").click()
    done = page.locator("[data-testid=transfer][data-state=done]")
    expect(done).to_contain_text("Installed")
    page.get_by_role("link", name="Firmware files").click()
    page.get_by_role("button", name="Remove fw-2.0-final-.bin").click()
    page.get_by_test_id("confirm").click()
    expect(row).to_have_count(0)


def test_what_is_not_stored_is_said_in_words(views: Views, tmp_path: Path) -> None:
    page = views.open("/firmware")
    image, large = tmp_path / "twice.bin", tmp_path / "large.bin"
    image.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(TOO_LARGE)
    assert upload(page, image) == "twice.bin is here now."
    assert upload(page, image) == "there is a file with this name already"
    assert upload(page, large).startswith("Not stored: the file is larger than the console accepts")
    expect(page.get_by_test_id("image-large.bin")).to_have_count(0)
    refused = ["the server responded with a status of 409", "the server responded with a status of 413"]
    assert [one for fault in views.faults for one in refused if one in fault] == refused
    views.faults.clear()


def test_who_may_not_upload_is_not_offered_it(views: Views) -> None:
    page = views.open("/firmware", role="operator")
    expect(page.get_by_role("heading", name="Firmware files")).to_be_visible()
    expect(page.get_by_test_id("image-file")).to_have_count(0)
    page.get_by_test_id("more").click()
    expect(page.get_by_role("link", name="Health")).to_be_visible()
    expect(page.get_by_role("link", name="Firmware")).to_have_count(0)
    refused = page.evaluate(
        """async () => (await fetch("/api/v1/firmware/x.bin",
            { method: "PUT", headers: { "X-Voltgate": "1" }, body: "x" })).status"""
    )
    assert refused == 403
    views.faults.clear()


class Hook(BaseHTTPRequestHandler):
    """Takes webhooks, or refuses them, as its path says."""

    taken: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def hook() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_channel_is_tried(views: Views, hook: str, pictures: Path) -> None:
    page = views.open("/alerts")

    def added(name: str, kind: str, to: str) -> str:
        """How a test message of a new channel ended, in words."""
        page.get_by_role("button", name="Add a channel").click()
        sheet = page.get_by_role("dialog")
        sheet.get_by_role("textbox", name="Name").fill(name)
        sheet.get_by_role("combobox").select_option(kind)
        sheet.get_by_role("textbox", name="Address").fill(to)
        page.get_by_test_id("confirm").click()
        channel = page.get_by_test_id(f"channel-{name}")
        channel.get_by_role("button", name=f"Send a test message to {name}").click()
        return channel.get_by_test_id("outcome").inner_text()

    assert added("good", "webhook", f"{hook}/204") == "The test message was delivered."
    assert b"Test of this channel" in Hook.taken[0]
    assert "the receiver answered with status 500" in added("bad", "webhook", f"{hook}/500")
    assert "the address cannot be reached" in added("away", "webhook", "http://127.0.0.1:1/")
    assert "no mail server is configured" in added("mail", "mail", "a@b.example")
    page.screenshot(path=pictures / "channels.png", full_page=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_screen_is_free_of_faults(views: Views, size: Any, theme: Any, pictures: Path) -> None:
    page = views.open("/firmware", size=size, color_scheme=theme)
    expect(page.get_by_test_id("image-file")).to_be_visible()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.screenshot(
        path=pictures / f"firmware-{'phone' if size is PHONE else 'desk'}-{theme}.png", full_page=True
    )
