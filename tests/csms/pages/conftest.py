"""One chromium and one network for each module; pages for each test, in which nothing goes wrong unseen."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from csms.pages.network import Network, network
from csms.pages.views import ARGUMENTS, PHONE, Views

CHROMIUM = shutil.which("chromium")
# A browser for each worker is too much for two cores: `make test` runs only these files, `make pages` all.
SHORT = {"test_lighthouse.py", "test_reached.py", "test_shell.py", "test_texts.py", "test_vendor.py"}
PATIENCE = 30_000.0  # milliseconds until a condition that should hold counts as failed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        here = item.path.parent == Path(__file__).parent
        if here and item.path.name not in SHORT and "PAGES" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="minutes in a browser: make pages"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        assert "CI" not in os.environ, "CI installs chromium"
        pytest.skip("chromium is not installed: apt install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(
    chromium: Any, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Network]:
    """``CHARGERS`` of the module: how many chargers there are."""
    del chromium  # without it nothing need be started
    with network(tmp_path_factory.mktemp("network"), getattr(request.module, "CHARGERS", 3)) as running:
        yield running


@pytest.fixture(scope="module")
def visited(chromium: Any, house: Network) -> Callable[..., dict[str, Any]]:
    """The cookies of a person with a role, who has logged in by a link."""
    known: dict[str, Any] = {}

    def state(role: str) -> dict[str, Any]:
        if role not in known:
            context = chromium.new_context(viewport=PHONE)
            page = context.new_page()
            page.goto(house.link(role, f"{role} person"))
            page.get_by_role("button").click()
            page.get_by_test_id("nav-now").wait_for()
            known[role] = context.storage_state()
            context.close()
        return dict(known[role])

    return state


@pytest.fixture
def views(chromium: Any, house: Network, visited: Callable[..., dict[str, Any]]) -> Iterator[Views]:
    """Pages of people who are logged in; at the end, none of them may have had a fault."""
    opened = Views(chromium, house.url, visited)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept."""
    folder = Path(__file__).parents[3] / ".cache" / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
