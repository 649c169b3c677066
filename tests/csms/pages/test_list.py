"""A list has in the document what its window shows, and a little more."""

from typing import Any

from playwright.sync_api import expect

from csms.pages.views import Views

CHARGERS = 14
LOW: Any = {"width": 390, "height": 330}
TALL: Any = {"width": 390, "height": 1600}


def test_a_list_follows_its_window_and_the_scrolling(views: Views) -> None:
    page = views.open("/chargers", size=LOW)
    rows, first, last = (
        page.locator(f"[data-testid^=charger-{end}]") for end in ("", "CP001", f"CP0{CHARGERS}")
    )
    expect(first).to_be_visible()
    expect(last).to_have_count(0)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(last).to_be_visible()
    expect(first).to_have_count(0)
    page.evaluate("scrollTo(0, 0)")
    expect(last).to_have_count(0)
    page.set_viewport_size(TALL)
    expect(rows).to_have_count(CHARGERS)
    expect(last).to_be_visible()
