"""The tabs of a charger, bulk operations and what chargers do wrong, in a real browser; axe finds nothing."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from csms.pages.network import Network
from csms.pages.views import DESK, PHONE, Views, axe

CHARGERS = 3
TABS = ("timeline", "configuration", "limit", "transfers")


def known(page: Page, *chargers: str) -> None:
    """The chargers have connected, and the ledger has folded it."""
    for charger in chargers:
        expect(page.get_by_test_id(f"charger-{charger}")).to_be_visible(timeout=20_000)


def opened(views: Views, tab: str, charger: str = "CP002", **how: Any) -> Page:
    page = views.open(f"/chargers/{charger}?tab={tab}", **how)
    known(page, charger)
    expect(page.get_by_test_id(tab)).to_be_visible()
    return page


def test_the_timeline_shows_what_was_said(views: Views) -> None:
    page = opened(views, "timeline", "CP001")
    rows = page.get_by_test_id("timeline").get_by_role("listitem")
    boot = rows.filter(has_text="BootNotification").filter(has_text="from the charger").first
    boot.locator("summary").click()
    expect(boot.locator("pre")).to_contain_text("chargePointVendor")
    expect(rows.filter(has_text="connected").first).to_be_visible()


@pytest.mark.parametrize(
    ("charger", "variable"), [("CP001", "HeartbeatInterval"), ("CP002", "MessageAttemptInterval")]
)
def test_a_configuration_is_read_searched_and_changed(charger: str, variable: str, views: Views) -> None:
    page = opened(views, "configuration", charger)
    page.get_by_test_id("read").click()
    box = page.get_by_test_id("configuration")
    expect(box.get_by_text("Time since the report:")).to_be_visible()
    expect(box.get_by_text("read-only").first).to_be_visible()
    box.get_by_role("searchbox").fill(variable.upper())
    expect(box.get_by_role("listitem")).to_have_count(1)
    box.get_by_role("button", name=f"Change {variable}").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("977")
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("outcome")).to_have_text("Changed.")
    page.keyboard.press("Escape")
    expect(box.get_by_role("listitem").get_by_text("977")).to_be_visible()


@pytest.mark.parametrize("charger", ["CP001", "CP002", "CP003"])
def test_a_limit_is_set_asked_for_and_taken_back(charger: str, views: Views, house: Network) -> None:
    page = opened(views, "limit", charger)
    expect(page.get_by_test_id("limit-set")).to_be_disabled()
    page.get_by_role("textbox", name="Limit").fill("7,4")
    page.get_by_test_id("limit-set").click()
    expect(page.get_by_test_id("outcome")).to_have_text("The charger accepted it.")
    assert house.crew.chargers[charger].connectors.limits[0].watts == 7400
    page.get_by_test_id("schedule").click()
    expect(page.get_by_role("table")).to_contain_text("7.4 kW")
    page.get_by_test_id("limit-clear").click()
    expect(page.get_by_test_id("outcome")).to_have_text("The charger accepted it.")
    assert house.crew.chargers[charger].connectors.limits == {}


def test_a_log_arrives_and_is_downloaded(views: Views, tmp_path: Path) -> None:
    page = opened(views, "transfers", "CP003")
    page.get_by_test_id("log-diagnostics").click()
    done = page.locator("[data-testid=transfer][data-state=done]")
    expect(done).to_contain_text("Uploaded", timeout=15_000)
    with page.expect_download() as download:
        done.get_by_role("link", name="Download").click()
    download.value.save_as(tmp_path / "log")
    assert (tmp_path / "log").read_text().startswith("simulated charger CP003")


def test_firmware_says_how_it_ended(views: Views) -> None:
    page = opened(views, "transfers", "CP002")
    page.get_by_text("Update firmware").first.click()
    page.get_by_role("textbox", name="Address of the firmware").fill("ftp://files.example/fw.bin")
    page.get_by_test_id("firmware").click()
    done = page.locator("[data-testid=transfer][data-state=done]")
    expect(done).to_contain_text("Downloading → Downloaded → Installing → Installed", timeout=15_000)


def test_one_operation_for_some_chargers_has_an_outcome_each_and_survives_a_reload(
    views: Views, house: Network
) -> None:
    page = views.open("/chargers")
    known(page, "CP001", "CP002", "CP003")
    page.get_by_test_id("bulk").click()
    page.get_by_test_id("bulk-what").select_option("inoperative")
    page.get_by_role("checkbox", name="CP003").uncheck()
    page.get_by_test_id("confirm").click()
    for _ in range(2):
        expect(page.get_by_test_id("job")).to_contain_text("2 of 2 done")
        for charger in ("CP001", "CP002"):
            expect(page.get_by_test_id(f"item-{charger}")).to_contain_text("The charger accepted it.")
        page.reload()
    in_service = {id_: one.connectors[1].in_service for id_, one in house.crew.chargers.items()}
    assert in_service == {"CP001": False, "CP002": False, "CP003": True}
    assert axe(page) == []


def test_who_talks_and_who_errs(views: Views) -> None:
    page = views.open("/chargers")
    known(page, "CP001")
    page.get_by_test_id("nav-insights").click()
    page.get_by_role("link", name="Violations and top talkers").click()
    expect(page.get_by_test_id("talkers")).to_contain_text("CP001")
    expect(page.get_by_test_id("violations")).to_contain_text("No charger has violated its schema.")


def test_a_viewer_sees_and_does_not_send(views: Views) -> None:
    page = opened(views, "configuration", role="viewer")
    expect(page.get_by_test_id("read")).to_have_count(0)
    expect(page.get_by_test_id("tab-limit")).to_have_count(0)
    page.get_by_test_id("tab-transfers").click()
    expect(page.get_by_test_id("transfers")).to_be_visible()
    expect(page.get_by_test_id("log-diagnostics")).to_have_count(0)
    page.goto(f"{views.url}/chargers")
    expect(page.get_by_test_id("charger-CP001")).to_be_visible()
    expect(page.get_by_test_id("bulk")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_screen_is_free_of_faults(views: Views, size: Any, theme: Any, pictures: Path) -> None:
    page = views.open("/chargers", size=size, color_scheme=theme)
    known(page, "CP001")
    page.goto(f"{views.url}/insights/chargers")
    kind = f"{'phone' if size is PHONE else 'desk'}-{theme}"
    expect(page.get_by_test_id("talkers")).to_contain_text("CP001")
    assert axe(page) == []
    page.screenshot(path=pictures / f"conduct-{kind}.png", full_page=True)
    for tab in TABS:
        page.goto(f"{views.url}/chargers/CP001?tab={tab}")
        expect(page.get_by_test_id(tab)).to_be_visible()
        assert axe(page) == [], tab
        page.screenshot(path=pictures / f"{tab}-{kind}.png", full_page=True)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], tab
