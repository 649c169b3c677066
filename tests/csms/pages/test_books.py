"""Sessions, receipts, money, tariffs, tokens, insights, alerts, sites, people and audit, in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, Route, expect

from csms.pages.network import Network
from csms.pages.views import DESK, PHONE, Views, axe
from jetstream import until

CHARGERS = 2
TOKEN = "FEED01"  # of a driver whom nobody has decided on
# What has arrived is drawn.
DRAWN = "new Promise((done) => setTimeout(() => requestAnimationFrame(() => setTimeout(done))))"


@pytest.fixture(scope="module")
def charged(house: Network, chromium: Any, visited: Callable[..., dict[str, Any]]) -> str:
    """A tariff, and the id of a session that it has priced: plugged in, charged, stopped by the console."""
    context = chromium.new_context(storage_state=visited("admin"))

    def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        how = {"method": method, "headers": {"X-Voltgate": "1"}} | ({"data": body} if body else {})
        answer = context.request.fetch(f"{house.url}/api/v1{path}", **how)
        assert answer.ok, answer.text()
        return answer.json() if answer.text() else None

    price = {"currency": "EUR", "tax_percent": "19", "energy_kwh": "0.39", "start": "1.00", "why": "a test"}
    ask("PUT", "/tariffs/day", price)
    ask("PUT", "/assignments/default", {"tariff": "day", "why": "a test"})
    until(lambda: bool(ask("GET", "/assignments")["items"]), "the tariff is assigned")
    ask("POST", "/chargers/CP001/do", {"do": "start", "evse": 1, "token": TOKEN})

    def session() -> dict[str, Any]:
        found: list[dict[str, Any]] = ask("GET", "/sessions?charger=CP001")["items"]
        return found[0] if found else {"state": "", "energy_wh": 0}

    until(lambda: bool(session()["energy_wh"] > 15), "energy flows")
    ask("POST", "/chargers/CP001/do", {"do": "stop"})
    until(lambda: session()["cost"] is not None, "the session has ended")
    ended = session()
    context.close()
    return str(ended["id"])


def test_a_session_is_explained_and_has_a_receipt(views: Views, charged: str, pictures: Path) -> None:
    page = views.open("/sessions")
    page.get_by_test_id(f"session-{charged}").click()
    expect(page.get_by_test_id("cost")).to_contain_text("€1.0")
    expect(page.get_by_test_id("curve").locator("canvas")).to_be_visible()
    page.get_by_test_id("facts").locator("summary").click()
    expect(page.get_by_test_id("facts").get_by_text("OCPP_TX").first).to_be_visible()
    assert axe(page) == []
    page.screenshot(path=pictures / "session.png", full_page=True)
    page.get_by_test_id("receipt").click()
    expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
    expect(page.get_by_test_id("receipt")).to_contain_text("CP001")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=pictures / "receipt.png", full_page=True)


def test_sessions_are_filtered_by_charger_and_state(views: Views, charged: str) -> None:
    page = views.open(f"/sessions/{charged}")
    page.get_by_role("link", name="All sessions of this charger").click()
    row = page.get_by_test_id(f"session-{charged}")
    expect(row).to_be_visible()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("heading", name="No session matches")).to_be_visible()
    page.goto(f"{views.url}/sessions?charger=CP002")
    expect(page.get_by_role("heading", name="No session matches")).to_be_visible()
    page.get_by_role("button", name="CP002").click()
    expect(row).to_be_visible()


def test_an_answer_that_was_overtaken_changes_nothing(views: Views, charged: str) -> None:
    page = views.open("/sessions")
    row = page.get_by_test_id(f"session-{charged}")
    expect(row).to_be_visible()
    held: list[Route] = []

    def hold(one: Route) -> None:
        held.append(one)

    page.route("**/api/v1/sessions?*state=open*", hold)
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".loading")).to_be_visible()
    page.get_by_role("button", name="All", exact=True).click()
    expect(row).to_be_visible()
    with page.expect_response("**/api/v1/sessions?*state=open*") as answer:
        held[0].continue_()
    answer.value.finished()
    page.evaluate(DRAWN)
    expect(row).to_be_visible(timeout=1)


def test_a_page_that_is_asked_for_twice_is_shown_once(views: Views, charged: str) -> None:
    page = views.open("/")
    page.route("**/api/v1/audit?*", lambda one: one.continue_(url=one.request.url.replace("=50", "=1")))
    page.goto(f"{views.url}/audit")
    rows = page.get_by_role("main").get_by_role("listitem")
    expect(rows).to_have_count(1)
    answers: list[Response] = []

    def both(one: Response) -> bool:
        answers.extend([one] if "/api/v1/audit" in one.url else [])
        return len(answers) == 2

    with page.expect_event("response", both):
        page.get_by_role("button", name="Show more").evaluate("one => { one.click(); one.click() }")
    for answer in answers:
        answer.finished()
    page.evaluate(DRAWN)
    assert rows.count() == 2


def test_a_viewer_corrects_nothing(views: Views, charged: str) -> None:
    page = views.open(f"/sessions/{charged}", role="viewer")
    expect(page.get_by_test_id("cost")).to_be_visible()
    expect(page.get_by_role("button", name="Correct")).to_have_count(0)


def test_a_tariff_is_previewed_and_stored(views: Views, charged: str) -> None:
    page = views.open("/tariffs")
    page.get_by_role("button", name="New tariff").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("night")
    dialog.get_by_label("Per kWh", exact=True).fill("0,50")
    page.get_by_test_id("preview").click()
    expect(dialog.get_by_role("status")).to_contain_text("Last 30 days")
    dialog.get_by_label("Why").fill("winter")
    page.get_by_test_id("confirm").click()
    expect(page.get_by_role("listitem").filter(has_text="0.50 €/kWh")).to_be_visible()
    page.goto(f"{views.url}/audit")
    expect(page.get_by_text("tariff night")).to_be_visible()
    expect(page.get_by_text("winter")).to_be_visible()


def test_an_unknown_token_is_added_and_blocked_in_one_tap(views: Views, charged: str) -> None:
    page = views.open("/tokens")
    unknown = page.get_by_test_id("unknown").get_by_role("listitem").filter(has_text=TOKEN)
    unknown.get_by_role("button", name="Decide").click()
    page.get_by_test_id("confirm").click()
    expect(unknown).to_have_count(0)
    row = page.get_by_role("listitem").filter(has_text=TOKEN)
    row.get_by_role("button", name="Block").click()
    expect(row.get_by_text("Blocked")).to_be_visible()


def test_a_person_gets_a_link_and_a_program_a_key(views: Views) -> None:
    page = views.open("/people")
    page.get_by_role("button", name="Add a person").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Ada")
    page.get_by_test_id("confirm").click()
    row = page.get_by_role("listitem").filter(has_text="Ada")
    row.get_by_role("button", name="Login link").click()
    expect(page.locator("code")).to_contain_text("/login?link=")
    page.get_by_role("button", name="New key").click()
    page.get_by_role("dialog").get_by_label("Name").fill("billing")
    page.get_by_test_id("confirm").click()
    expect(page.locator("code")).to_contain_text("vg_")
    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("Remove Ada? Access ends at once.")
    page.get_by_role("button", name="Cancel").click()
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Remove").click()
    page.get_by_test_id("confirm").click()
    expect(row).to_have_count(0)


def test_nobody_is_offered_to_remove_themselves(views: Views) -> None:
    page = views.open("/people")
    name = page.evaluate("async () => (await (await fetch('/api/v1/me')).json()).name")
    own = page.get_by_role("listitem").filter(has_text=name)
    expect(own.get_by_role("button", name="Login link")).to_be_visible()
    expect(own.get_by_role("button", name="Remove")).to_have_count(0)


def test_a_site_has_bays_and_a_limit(views: Views, charged: str, house: Network, pictures: Path) -> None:
    page = views.open("/sites")
    page.get_by_role("button", name="New site").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Id").fill("north")
    dialog.get_by_label("Name").fill("North yard")
    dialog.get_by_label("Currency").fill("eur")
    dialog.get_by_label("Tax in percent").fill("7,7")
    dialog.get_by_label("Connection limit in kW").fill("43,5")
    dialog.get_by_label("Why").fill("opened")
    page.get_by_test_id("confirm").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{views.url}/sites/north")
    expect(page.get_by_text("No charger stands here.")).to_be_visible()
    how: Any = {"method": "PUT", "headers": {"X-Voltgate": "1"}, "data": {"name": "Left", "site": "north"}}
    assert page.context.request.fetch(f"{views.url}/api/v1/chargers/CP002", **how).ok
    expect(page.get_by_role("link", name="Left")).to_be_visible(timeout=15_000)
    expect(page.get_by_test_id("site-tariff")).to_contain_text("0.39 €/kWh")
    assert axe(page) == []
    page.screenshot(path=pictures / "site.png", full_page=True)
    page.get_by_role("button", name="Exclude time").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("From").fill("2026-05-01T08:00")
    dialog.get_by_label("Why").fill("new cables")
    page.get_by_test_id("confirm").click()
    excluded = page.get_by_test_id("exclusions").get_by_role("listitem")
    expect(excluded).to_contain_text("Scheduled maintenance")
    excluded.get_by_role("button", name="Remove").click()
    page.get_by_test_id("confirm").click()
    expect(excluded).to_have_count(0)
    page.reload()
    expect(page.get_by_text("of 43.5 kW")).to_be_visible()
    page.get_by_label("Limit in kW").fill("7,4")
    page.get_by_role("button", name="Set the limit").click()
    expect(page.get_by_test_id("item-CP002")).to_contain_text("The charger accepted it.")
    assert house.crew.chargers["CP002"].connectors.limits[0].watts == 7400


def test_a_limit_of_a_rule_is_set_and_the_default_again_when_it_is_emptied(views: Views) -> None:
    page = views.open("/alerts")
    rule = page.get_by_role("listitem").filter(has_text="Reboots")
    dialog = page.get_by_role("dialog")

    def change(limit: str) -> None:
        rule.get_by_role("button", name="Change").click()
        dialog.get_by_label("Limit").fill(limit)
        dialog.get_by_label("Why").fill("a test")
        page.get_by_test_id("confirm").click()

    change("seven")
    expect(dialog.get_by_role("alert")).to_contain_text("/limit")
    assert "422" in views.faults.pop(), "the refusal, as the browser logs it"
    page.keyboard.press("Escape")
    change("7")
    expect(rule).to_contain_text("limit 7")
    change("")
    expect(rule).not_to_contain_text("limit")


PATHS = ("sessions", "money", "insights", "tariffs", "tokens", "alerts", "sites", "people", "audit", "health")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_of_them(
    views: Views, charged: str, pictures: Path, theme: Any, subtests: Any
) -> None:
    page = views.open("/", color_scheme=theme, reduced_motion="reduce")
    for path in (*PATHS, "sites/north", f"sessions/{charged}"):
        with subtests.test(path):
            page.goto(f"{views.url}/{path}")
            settled(page)
            assert axe(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            name = path.replace(charged, "one").replace("/", "-")
            page.screenshot(path=pictures / f"{name}-{theme}.png", full_page=True)


def settled(page: Page) -> None:
    """Everything that the page asks for is there."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_on_a_desk(views: Views, charged: str, pictures: Path) -> None:
    page = views.open("/insights", size=DESK)
    settled(page)
    expect(page.get_by_test_id("uptime")).to_be_visible()
    page.screenshot(path=pictures / "insights-desk.png", full_page=True)
