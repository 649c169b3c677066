"""Without a network, after a cut and after sleep: what is shown has its age, and what comes back is whole."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route, expect

from csms.pages.network import Network
from csms.pages.views import PHONE, Views

CHARGERS = 3
OLD = re.compile(r"Not live: as of .* ago")


def live(page: Page) -> None:
    expect(page.get_by_test_id("connection")).to_be_hidden()


def kept(page: Page) -> None:
    """Wait until service worker and picture are in this browser."""
    page.evaluate(
        """async () => {
            const picture = () => caches.match("/picture", { cacheName: "picture" });
            const there = async () => navigator.serviceWorker.controller && (await picture());
            while (!(await there())) await new Promise(requestAnimationFrame);
        }"""
    )


def test_in_airplane_mode_the_last_picture_is_there_with_its_age(
    house: Network, chromium: Any, visited: Any, pictures: Path
) -> None:
    context: BrowserContext = chromium.new_context(
        viewport=PHONE, storage_state=visited("operator"), locale="en-GB"
    )
    page = context.new_page()
    page.goto(f"{house.url}/chargers")
    expect(page.get_by_test_id("charger-CP003").get_by_test_id("state")).to_have_text("Free")
    kept(page)
    context.set_offline(True)
    expect(page.get_by_test_id("connection")).to_have_text(OLD)
    page.get_by_test_id("charger-CP001").click()
    page.get_by_test_id("act-start").click()
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("outcome")).to_contain_text("The console did not answer")
    page.goto(f"{house.url}/chargers")
    expect(page.get_by_test_id("charger-CP003").get_by_test_id("state")).to_have_text("Free")
    expect(page.get_by_test_id("connection")).to_have_text(OLD)
    assert page.evaluate("getComputedStyle(document.querySelector('main')).filter") == "grayscale(1)"
    page.screenshot(path=pictures / "offline.png")
    page.goto(f"{house.url}/tokens")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded", use_inner_text=True)
    context.set_offline(False)
    live(page)
    context.close()


def test_nothing_of_the_network_is_left_after_logout(house: Network, chromium: Any) -> None:
    context: BrowserContext = chromium.new_context(viewport=PHONE, locale="en-GB")
    page = context.new_page()
    page.goto(house.link("viewer", "leaver"))
    page.get_by_role("button").click()
    kept(page)
    page.get_by_test_id("more").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_test_id("login")).to_be_visible()
    assert page.evaluate("caches.has('picture')") is False
    assert page.evaluate("localStorage.length") == 0
    page.goto(f"{house.url}/chargers")
    expect(page.get_by_test_id("login")).to_be_visible()
    context.close()


def test_after_sleep_it_is_fresh_at_once(house: Network, views: Views) -> None:
    """Twelve hours pass, and the connection is dead without a word: the first look asks for what is new.

    The page measures it itself: how long this test waits depends on the machine.
    """
    page = views.open("/chargers")
    live(page)
    events: list[str] = []
    page.on("request", lambda request: events.append(request.url) if "/live" in request.url else None)
    page.evaluate(
        """() => {
            const real = Date.now;
            Date.now = () => real() + 12 * 3600 * 1000;
            const line = document.querySelector("[data-testid=connection]");
            const woken = performance.now();
            const look = () => (window.fresh = line.hidden ? performance.now() - woken : null);
            new MutationObserver(look).observe(line, { attributes: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    live(page)
    assert page.evaluate("window.fresh") < 1000, "it does not wait for the next sign of life"
    expect(page.get_by_test_id("charger-CP001").get_by_test_id("state")).to_have_text("Free")
    assert re.search(r"last_event_id=[0-9a-f]+-\d+", events[0]), "it goes on where it was"


def test_a_page_that_nobody_sees_listens_no_more(views: Views) -> None:
    """Half a minute after it was hidden; shown again, it is live."""
    page = views.open("/chargers")
    live(page)
    page.evaluate(
        """() => {
            const later = setTimeout;
            window.setTimeout = (call, wait) => later(call, wait === 30_000 ? 0 : wait);
            window.hide = (hidden) => {
                Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            };
            window.hide(true);
        }"""
    )
    expect(page.get_by_test_id("connection")).to_have_text(OLD)
    # A network that comes back connects it for another half a minute, and no longer.
    page.evaluate(
        """() => {
            window.sources = [];
            window.EventSource = class extends EventSource {
                constructor(url) {
                    super(url);
                    window.sources.push(this);
                }
            };
        }"""
    )
    page.evaluate("dispatchEvent(new Event('online'))")
    page.evaluate(
        """async () => {
            const closed = () => window.sources[0]?.readyState === EventSource.CLOSED;
            while (!closed()) await new Promise(requestAnimationFrame);
        }"""
    )
    page.evaluate("window.hide(false)")
    live(page)


# The page when there is a first row: a row of before, or one that the modules have made.
GLIMPSE = """
    new MutationObserver((_, observer) => {
        const rows = [...document.querySelectorAll("main li")];
        if (!rows.length) return;
        observer.disconnect();
        window.first = {
            inert: document.getElementById("app").inert,
            line: document.querySelector("[data-testid=connection]").innerText,
            names: rows.map((row) => row.querySelector("b").innerText),
            tops: rows.map((row) => row.getBoundingClientRect().top),
        };
    }).observe(document, { childList: true, subtree: true });
"""


def test_the_next_visit_begins_with_the_screen_of_the_last(
    house: Network, chromium: Any, visited: Any
) -> None:
    """With its time, and nothing in it can be pressed. What cannot be read is not shown."""
    context: BrowserContext = chromium.new_context(
        viewport=PHONE, storage_state=visited("viewer"), locale="en-GB"
    )
    context.add_init_script(GLIMPSE)
    page = context.new_page()
    page.goto(f"{house.url}/chargers")
    kept(page)
    page.goto(f"{house.url}/chargers")
    live(page)
    first = page.evaluate("window.first")
    assert first["inert"]
    assert re.fullmatch(r"Not live: as of \w+ \d+, .+", first["line"])
    assert first["names"] == ["CP001", "CP002", "CP003"]
    assert first["tops"] == sorted(set(first["tops"])), "each row at its place"
    assert page.evaluate("document.getElementById('app').inert") is False
    for unread in ("{", '{"address":"/chargers","tree":[[]]}'):
        page.evaluate("(text) => localStorage.setItem('glimpse', text)", unread)
        page.goto(f"{house.url}/chargers")
        live(page)
        assert not page.evaluate("window.first.inert")
    page.evaluate("localStorage.removeItem('glimpse')")
    page.goto(f"{house.url}/")
    live(page)
    page.wait_for_function("() => localStorage.getItem('glimpse')?.includes('network-power')")
    context.close()


# What has the rest of the list waits until it is let through.
SLOW = """
    const Real = EventSource;
    globalThis.EventSource = class extends Real {
        addEventListener(name, take) {
            const wait = (event) => (window.go = () => take(event));
            super.addEventListener(name, name === "snapshot" ? wait : take);
        }
    };
"""


def test_the_top_of_the_list_is_there_before_the_rest(house: Network, chromium: Any, visited: Any) -> None:
    """The rows that came with the page."""
    context: BrowserContext = chromium.new_context(
        viewport=PHONE, storage_state=visited("viewer"), locale="en-GB"
    )
    context.add_init_script(SLOW)
    page = context.new_page()
    page.route("**/chargers", one_row)
    page.goto(f"{house.url}/chargers")
    rows = page.locator("[data-testid^=charger-]")
    expect(page.get_by_test_id("charger-CP001").get_by_test_id("state")).to_have_text("Free")
    expect(rows).to_have_count(1)
    page.wait_for_function("() => !!window.go")
    page.evaluate("() => window.go()")
    expect(rows).to_have_count(CHARGERS)
    context.close()


def one_row(route: Route) -> None:
    """The page as it is, but for the rows behind the first."""
    answer = route.fetch()

    def first(found: re.Match[str]) -> str:
        data = json.loads(found[2])
        data["chargers"] = {name: values[:1] for name, values in data["chargers"].items()}
        return found[1] + json.dumps(data) + found[3]

    route.fulfill(response=answer, body=re.sub(r'(id="first">)(.*?)(</script>)', first, answer.text()))


def test_after_a_cut_there_is_one_snapshot(house: Network, views: Views) -> None:
    """A listener whose changes are not kept any more is sent everything once, then changes."""
    page = views.open("/chargers")
    live(page)
    names: list[str] = page.evaluate(
        """async () => {
            const names = [];
            const source = new EventSource("/api/v1/live?form=columns&last_event_id=0123456789ab-1");
            for (const name of ["snapshot", "change", "alive"]) {
                source.addEventListener(name, () => names.push(name));
            }
            await new Promise((done) => source.addEventListener("alive", done));
            source.close();
            return names;
        }"""
    )
    assert names.count("snapshot") == 1
    assert names[0] == "snapshot"


def test_it_can_be_installed(views: Views) -> None:
    page = views.open()
    manifest = page.evaluate(
        """async () => {
            const link = document.querySelector("link[rel=manifest]");
            const manifest = await (await fetch(link.href)).json();
            const sizes = manifest.icons.map(async (icon) => {
                const image = new Image();
                image.src = new URL(icon.src, link.href);
                await image.decode();
                return `${image.naturalWidth}x${image.naturalHeight}`;
            });
            return { ...manifest, decoded: await Promise.all(sizes) };
        }"""
    )
    assert (manifest["display"], manifest["start_url"], manifest["scope"]) == ("standalone", "/", "/")
    assert manifest["decoded"][1:] == [icon["sizes"] for icon in manifest["icons"][1:]]
