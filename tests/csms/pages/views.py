"""Pages in a browser: with a role, a size and a theme; what goes wrong in one fails its test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

# Of chromium, as root and without what it says to others.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]
PHONE: Any = {"width": 390, "height": 844}
DESK: Any = {"width": 1280, "height": 900}
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


class Views:
    """Opens pages and keeps what they complain about."""

    def __init__(self, browser: Browser, url: str, state: Callable[[str], Any]) -> None:
        self._browser, self.url, self._state = browser, url, state
        self._contexts: list[BrowserContext] = []
        self.faults: list[str] = []
        self.hosts: set[str] = set()

    def open(self, path: str = "/", *, role: str = "admin", size: Any = PHONE, **context: Any) -> Page:
        """A page of a person with a role, in a browser profile of its own."""
        made = self._browser.new_context(
            viewport=size, storage_state=self._state(role), **({"locale": "en-GB"} | context)
        )
        self._contexts.append(made)
        page = made.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._said)
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.goto(self.url + path)
        return page

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def close(self) -> None:
        """All pages; raises AssertionError for what went wrong in them."""
        for context in self._contexts:
            context.close()
        assert self.faults == [], self.faults
        foreign = {host for host in self.hosts if host != self.url.split("/")[2]}
        assert foreign == set(), "requests to other hosts"


def axe(page: Page) -> list[str]:
    """What axe-core finds wrong on a page; injected past the CSP, which allows no script of a test."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
