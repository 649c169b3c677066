"""How pages look: axe finds nothing, large text fits, nothing moves for who asked for that; with pictures."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from csms.pages.network import Network
from csms.pages.views import DESK, Views, axe

CHARGERS = 3
IMAGE = Path(__file__).parents[3] / "docs" / "images" / "console.png"


def now(page: Page) -> None:
    expect(page.get_by_test_id("network-power")).to_be_visible()


def chargers(page: Page) -> None:
    page.get_by_test_id("nav-chargers").click()
    expect(page.get_by_test_id("charger-CP003")).to_be_visible()


def charger(page: Page) -> None:
    chargers(page)
    page.get_by_test_id("charger-CP001").click()
    expect(page.get_by_test_id("act-unlock")).to_be_visible()


def ask(page: Page) -> None:
    charger(page)
    page.get_by_test_id("act-unlock").click()
    expect(page.get_by_test_id("confirm")).to_be_visible()


def more(page: Page) -> None:
    now(page)
    page.get_by_test_id("more").click()
    expect(page.get_by_role("combobox").first).to_be_visible()


def nothing(page: Page) -> None:
    page.goto(f"{page.url}none")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


def found_nothing(page: Page) -> None:
    chargers(page)
    page.get_by_role("searchbox").fill("zzz")
    expect(page.get_by_role("heading", name="No charger matches")).to_be_visible()


SCREENS: list[Callable[[Page], None]] = [now, chargers, charger, ask, more, nothing, found_nothing]

SERIES = "getComputedStyle(document.documentElement).getPropertyValue('--series-1').trim()"
# The device's theme, the chosen one, the background, and the first colour of charts.
THEMES: list[tuple[Any, ...]] = [
    ("light", "dark", "rgb(16, 18, 22)", "#8ab4ff"),
    ("dark", "light", "rgb(244, 245, 247)", "#1a5fd0"),
    ("dark", "auto", "rgb(16, 18, 22)", "#8ab4ff"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(views: Views, pictures: Path, theme: Any) -> None:
    page = views.open(color_scheme=theme, reduced_motion="reduce")
    for screen in SCREENS:
        page.goto(views.url)
        screen(page)
        assert axe(page) == [], screen.__name__
        page.screenshot(path=pictures / f"{screen.__name__}-{theme}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_at_the_login(house: Network, chromium: Any, pictures: Path, theme: Any) -> None:
    page = chromium.new_page(color_scheme=theme)
    page.goto(house.link())
    expect(page.get_by_test_id("login")).to_be_visible()
    assert axe(page) == []
    page.screenshot(path=pictures / f"login-{theme}.png")
    page.close()


@pytest.mark.parametrize("screen", SCREENS[:5], ids=lambda screen: str(screen.__name__))
def test_text_at_twice_its_size_fits(views: Views, pictures: Path, screen: Callable[[Page], None]) -> None:
    """Nothing is wider than the phone, and what has to be pressed is there."""
    page = views.open(reduced_motion="reduce")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    screen(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=pictures / f"{screen.__name__}-large.png")


def test_nothing_moves_for_who_asked_for_that(views: Views) -> None:
    page = views.open("/chargers/CP001", reduced_motion="reduce")
    expect(page.get_by_test_id("act-stop")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_desk_has_the_tabs_at_its_side(views: Views, pictures: Path) -> None:
    page = views.open("/chargers", size=DESK)
    expect(page.get_by_test_id("charger-CP003")).to_be_visible()
    tabs, main = page.get_by_role("navigation").bounding_box(), page.get_by_role("main").bounding_box()
    assert tabs is not None
    assert main is not None
    assert tabs["x"] + tabs["width"] <= main["x"], "beside the page"
    assert page.get_by_role("link", name="Chargers").bounding_box() is not None
    page.screenshot(path=pictures / "chargers-desk.png")


def test_a_theme_is_chosen_against_the_device_and_kept(views: Views) -> None:
    page = views.open(color_scheme="light")
    for device, theme, ground, series in THEMES:
        page.emulate_media(color_scheme=device)
        more(page)
        page.get_by_role("combobox", name="Theme").select_option(theme)
        for _ in range(2):
            expect(page.locator("body")).to_have_css("background-color", ground)
            assert page.evaluate(SERIES) == series, "as charts read it"
            page.reload()
            now(page)


def test_an_address_that_is_not_encoded_is_not_a_page(views: Views) -> None:
    page = views.open("/chargers/100%")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


def test_the_pages_speak_german(views: Views) -> None:
    page = views.open("/chargers", locale="de-DE")
    expect(page.get_by_test_id("charger-CP001").get_by_test_id("state")).to_have_text("Frei")
    assert page.locator("html").get_attribute("lang") == "de"
    page.get_by_test_id("more").click()
    page.get_by_role("combobox", name="Sprache").select_option("en")
    expect(page.get_by_test_id("charger-CP001").get_by_test_id("state")).to_have_text("Free")


def test_the_picture_of_the_readme(views: Views, pictures: Path) -> None:
    """``docs/images/console.png`` is copied from it where it is missing: delete it to have a new one."""
    page = views.open("/chargers/CP001", reduced_motion="reduce")
    page.get_by_test_id("act-start").click()
    page.get_by_test_id("confirm").click()
    page.get_by_role("button", name="Done").click()
    page.wait_for_function("() => parseFloat(document.querySelector('[data-testid=power]').textContent) > 0")
    page.get_by_test_id("nav-chargers").click()
    expect(page.get_by_test_id("charger-CP001").get_by_test_id("state")).to_have_text("Charging")
    picture = pictures / "console.png"
    page.screenshot(path=picture)
    if not IMAGE.is_file():
        shutil.copyfile(picture, IMAGE)
