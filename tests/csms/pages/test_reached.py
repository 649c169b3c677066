"""``voltgate dev --host`` from another machine: a network namespace beside this one, with its own address."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from csms.pages.views import PHONE
from jetstream import free_port
from processes import Voltgate

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("curl") is None,
    reason="a network namespace needs root, iproute2 and curl",
)

CHARGERS = 3
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@dataclass(frozen=True)
class Neighbour:
    """Another machine, as far as the network goes. ``address``: this machine's, as it is seen from there."""

    name: str
    address: str

    @property
    def inside(self) -> list[str]:
        """What makes a command run there."""
        return ["ip", "netns", "exec", self.name]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    """Of 198.18.0.0/15, which no network uses (RFC 2544)."""
    number = os.getpid() % (1 << 14)
    here, there = (
        f"198.18.{number >> 6}.{(number % 64) * 4 + 1}",
        f"198.18.{number >> 6}.{(number % 64) * 4 + 2}",
    )
    name = f"voltgate-{number}"
    ip("netns", "add", name)
    try:
        ip("link", "add", f"vg{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("address", "add", f"{here}/30", "dev", f"vg{number}")
        ip("link", "set", f"vg{number}", "up")
        ip("-n", name, "address", "add", f"{there}/30", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        yield Neighbour(name, here)
    finally:
        ip("netns", "delete", name)  # and the pair of devices with it


@pytest.fixture
def link(neighbour: Neighbour, tmp_path: Path, start: Callable[..., Voltgate]) -> str:
    """What ``voltgate dev --host`` prints: it logs in once."""
    ports = ("--port", "--admin-port", "--nats-port", "--csms-port")
    words = [word for option in ports for word in (option, str(free_port()))]
    words += ["--chargers", str(CHARGERS), "--data-dir", str(tmp_path)]
    running = start("dev", "--host", neighbour.address, *words)
    running.until(lambda: "/login?link=" in running.out and "NATS  " in running.out, "the banner")
    assert "█▀" in running.out, "a QR code"
    (found,) = re.findall(r"https://\S+/login\?link=\S+", running.out)
    assert f"//{neighbour.address}:" in found
    return str(found)


def test_the_link_is_reached_with_its_certificate(neighbour: Neighbour, tmp_path: Path, link: str) -> None:
    """The certificate is for the address: no other need be trusted."""
    trusting = ["curl", "--silent", "--show-error", "--cacert", str(tmp_path / "console.pem")]
    page = subprocess.run([*neighbour.inside, *trusting, link], check=True, stdout=subprocess.PIPE)
    assert b'data-testid="login"' in page.stdout
    without = subprocess.run([*neighbour.inside, "curl", "--silent", link], check=False)
    assert without.returncode == 60, "no other certificate vouches for it"


def test_a_phone_logs_in_and_sees_chargers(neighbour: Neighbour, tmp_path: Path, link: str) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        assert "CI" not in os.environ, "CI installs chromium"
        pytest.skip("chromium is not installed: apt install chromium")
    there = tmp_path / "chromium"
    there.write_text(f'#!/bin/sh\nexec {" ".join(neighbour.inside)} {chromium} "$@"\n')
    there.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=there, args=ARGUMENTS)
        page = browser.new_context(viewport=PHONE, ignore_https_errors=True, locale="en-GB").new_page()
        page.goto(link)
        page.get_by_test_id("login").get_by_role("button").click()
        page.get_by_test_id("nav-chargers").click()
        for number in range(CHARGERS):
            page.get_by_test_id(f"charger-CP00{number + 1}").get_by_test_id("state").wait_for()
        assert page.evaluate("isSecureContext"), "for its cookie, and to be installed"
        browser.close()
