"""What ``make demo`` starts, as a newcomer walks through it: a charge by tap and its receipt."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

from playwright.sync_api import Page, expect

from csms.pages.network import Crew
from csms.pages.test_shell import act
from csms.pages.views import PHONE
from jetstream import free_port
from processes import Voltgate
from voltgate.cli.dev.csms import PRICE

CHARGERS = 5
NINETY = 90.0  # seconds
FREE = f"CP00{CHARGERS}"  # no vehicle arrives there by itself
OWN = "OWN"  # one whose meter this test can read


def charge(page: Page, charger: str) -> None:
    """Start by tap, see power, stop."""
    page.get_by_test_id("nav-chargers").click()
    page.get_by_test_id(f"charger-{charger}").click()
    expect(page.get_by_test_id("state")).to_have_text("Free")
    assert act(page, "start") == "The charger accepted it."
    page.wait_for_function("() => parseFloat(document.querySelector('[data-testid=power]').textContent) > 0")
    assert act(page, "stop") == "The charger accepted it."


def test_a_newcomer_charges_and_reads_the_receipt(
    chromium: Any, tmp_path: Path, start: Callable[..., Voltgate]
) -> None:
    port = free_port()
    words = ["--port", str(port), "--data-dir", str(tmp_path), "--chargers", str(CHARGERS)]
    for option in ("--admin-port", "--nats-port", "--csms-port"):
        words += [option, str(free_port())]
    running = start("dev", *words)
    running.until(lambda: "/login?link=" in running.out, "the banner")
    (link,) = re.findall(r"http://\S+/login\?link=\S+", running.out)
    crew = Crew(f"ws://127.0.0.1:{port}/ocpp")
    meter = crew.start(OWN).connectors[1]
    context = chromium.new_context(viewport=PHONE, locale="en-GB")
    page: Page = context.new_page()
    began = monotonic()
    page.goto(link)
    page.get_by_test_id("login").get_by_role("button").click()
    page.get_by_test_id("nav-chargers").click()
    for number in range(CHARGERS):
        expect(page.get_by_test_id(f"charger-CP00{number + 1}")).to_be_visible()
    charge(page, FREE)
    before = meter.meter
    charge(page, OWN)
    page.get_by_test_id("sessions").click()
    page.locator("[data-testid^=session-]").first.click()
    expect(page.get_by_text("Ended", exact=True).first).to_be_visible()
    page.get_by_test_id("receipt").click()
    receipt = page.get_by_test_id("receipt")
    energy = Decimal(meter.meter - before) / 1000
    expect(receipt).to_contain_text(f"{energy:.3f} kWh")
    cost = (energy * Decimal(PRICE)).quantize(Decimal("0.01"))
    expect(receipt.locator("tfoot")).to_contain_text(f"{cost} EUR")
    assert monotonic() - began < NINETY
    context.close()
    crew.close()
