"""Acting safely: many taps are one command, words of chargers are text, the keyboard is enough."""

import json
import re
from typing import Any

import websockets
from playwright.sync_api import Page, expect
from websockets.typing import Subprotocol

from csms.pages.network import Network
from csms.pages.views import Views

CHARGERS = 2
TAPS = 50
HOSTILE = '<img src=x onerror="document.title=1">'


def test_fifty_taps_are_one_command(house: Network, views: Views) -> None:
    """Each tap is a request with the same key, also from a page that the first answer has not reached."""
    page = views.open("/chargers/CP001")
    sent: list[str] = []
    page.on(
        "request",
        lambda request: sent.append(request.headers["idempotency-key"]) if request.method == "POST" else None,
    )
    page.get_by_test_id("act-start").click()
    page.get_by_test_id("confirm").evaluate(
        f"button => {{ for (let n = 0; n < {TAPS}; n++) button.click() }}"
    )
    expect(page.get_by_test_id("outcome")).to_have_text("The charger accepted it.")
    assert len(sent) == 1, "the sheet sends an intent once"
    answers: list[str] = page.evaluate(
        """async ([taps, key]) => {
            const body = JSON.stringify({ do: "start", evse: 1, token: null });
            const headers = { "X-Voltgate": "1", "Content-Type": "application/json", "Idempotency-Key": key };
            const ask = () => fetch("/api/v1/chargers/CP001/do", { method: "POST", headers, body });
            const answers = await Promise.all(Array.from({ length: taps }, ask));
            return Promise.all(answers.map(async (one) => (await one.json()).status));
        }""",
        [TAPS, sent[0]],
    )
    assert answers == ["Accepted"] * TAPS, "the outcome of the one CALL"
    page.goto(f"{views.url}/chargers/CP001")
    expect(page.get_by_test_id("act-start")).to_be_disabled()
    stop(page)


def stop(page: Page) -> None:
    page.get_by_test_id("act-stop").click()
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("outcome")).to_have_text("The charger accepted it.")


def test_what_hurts_is_held(views: Views) -> None:
    """Held for 0.6 s it is done; a short press asks first, and nothing is sent."""
    page = views.open("/chargers/CP002")
    page.get_by_test_id("act-reset").click()
    expect(page.get_by_test_id("confirm")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_test_id("act-reset").click(delay=800)
    expect(page.get_by_test_id("outcome")).to_contain_text(re.compile("charger"))


def test_start_and_stop_by_the_keyboard(views: Views) -> None:
    page = views.open("/chargers")
    page.get_by_test_id("charger-CP001").focus()
    page.keyboard.press("Enter")
    for what in ("start", "stop"):
        expect(page.get_by_test_id(f"act-{what}")).to_be_enabled()
        pressed(page, f"act-{what}")
        pressed(page, "confirm")
        expect(page.get_by_test_id("outcome")).to_have_text("The charger accepted it.")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)  # its close event comes after the focus
        expect(page.get_by_test_id(f"act-{what}")).to_be_focused()


def pressed(page: Page, testid: str) -> None:
    """Reached by Tab, and pressed."""
    expect(page.get_by_test_id(testid)).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.testid") == testid:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{testid} cannot be reached")


def test_what_a_charger_says_is_text(house: Network, views: Views) -> None:
    """In every field that a charger fills, on every screen that shows it."""

    async def said() -> None:
        url = house.crew.url + "/EVIL%3Cb%3E"
        async with websockets.connect(url, subprotocols=[Subprotocol("ocpp1.6")]) as charger:
            boot = {"chargePointVendor": HOSTILE[:20], "chargePointModel": "<b>model</b>"}
            status = {
                "connectorId": 1, "errorCode": "OtherError", "status": "Faulted", "info": HOSTILE,
                "vendorErrorCode": "<script>", "vendorId": HOSTILE,
            }  # fmt: skip
            calls: list[tuple[str, Any]] = [("BootNotification", boot), ("StatusNotification", status)]
            for action, payload in calls:
                await charger.send(json.dumps([2, action, action, payload]))
                assert json.loads(await charger.recv())[0] == 3

    house.crew.run(said())
    page = views.open("/chargers?q=model")
    row = page.get_by_test_id("charger-EVIL<b>")
    expect(row).to_contain_text("EVIL<b>")
    row.click()
    expect(page.get_by_text("<b>model</b>")).to_be_visible()
    page.get_by_test_id("nav-now").click()
    expect(page.get_by_text("EVIL<b>")).to_be_visible()
    assert page.title() == "Voltgate"
    assert page.locator("main img, main b:has-text('model')").count() == 0


def test_a_command_to_a_charger_that_is_away_says_so(house: Network, views: Views) -> None:
    house.crew.start("AWAY")
    page = views.open("/chargers/AWAY")
    expect(page.get_by_test_id("state")).to_have_text("Free")
    house.crew.stop("AWAY")
    expect(page.get_by_test_id("state")).to_have_text("Offline")
    page.get_by_test_id("act-unlock").click()
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("outcome")).to_have_text("Not sent: the charger is not connected.")
