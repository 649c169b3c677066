"""From the login to a charge that was started by a tap, in a real browser."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from csms.pages.network import Network
from csms.pages.views import PHONE, Views

CHARGERS = 3


def power(page: Page) -> float:
    """In kW, of the charger's page; 0 where none is known."""
    text = page.get_by_test_id("power").inner_text()
    return float(match[0]) if (match := re.search(r"[\d.]+", text)) else 0.0


def act(page: Page, what: str) -> str:
    """Tap, confirm; how it ended."""
    page.get_by_test_id(f"act-{what}").click()
    page.get_by_test_id("confirm").click()
    words = page.get_by_test_id("outcome").inner_text()
    page.get_by_role("button", name="Done").click()
    return words


def test_a_link_a_tap_and_a_charge(house: Network, chromium: Any) -> None:
    context = chromium.new_context(viewport=PHONE, locale="en-GB")
    page: Page = context.new_page()
    page.goto(f"{house.url}/chargers")
    expect(page.get_by_test_id("login")).to_be_visible()
    page.goto(house.link())
    page.get_by_test_id("login").get_by_role("button").click()
    page.get_by_test_id("nav-chargers").click()
    for number in range(CHARGERS):
        row = page.get_by_test_id(f"charger-CP00{number + 1}")
        expect(row.get_by_test_id("state")).to_have_text("Free")
    page.get_by_test_id("charger-CP001").click()
    assert act(page, "start") == "The charger accepted it."
    expect(page.get_by_test_id("state")).to_have_text("Charging")
    page.wait_for_function(
        "() => parseFloat(document.querySelector('[data-testid=power]').textContent) > 0", timeout=10_000
    )
    energy = page.get_by_test_id("energy").inner_text()
    expect(page.get_by_test_id("energy")).not_to_have_text(energy)
    assert power(page) > 0
    assert act(page, "stop") == "The charger accepted it."
    expect(page.get_by_test_id("state")).not_to_have_text("Charging")
    page.get_by_test_id("nav-sessions").click()
    page.locator("a[data-testid^=session-]").first.click()
    page.get_by_test_id("receipt").click()  # there once the session has ended, also without a tariff
    expect(page.get_by_role("main")).to_contain_text("0.00 EUR")
    context.close()


def test_a_screen_that_is_not_there_has_no_link(views: Views) -> None:
    """The tabs lead to screens; an address that leads to none says so."""
    page = views.open("/nothing/here")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    for link in page.get_by_role("navigation").get_by_role("link").all():
        link.click()
        expect(page.get_by_text("There is no such page")).not_to_be_visible()


def test_what_may_not_be_done_is_not_offered(views: Views) -> None:
    page = views.open("/chargers/CP002", role="viewer")
    expect(page.get_by_test_id("state")).to_be_visible()
    expect(page.get_by_test_id("act-start")).to_have_count(0)
