"""The console's pages with many chargers: first paint, scrolling, and from a charger's frame to the screen.

A gateway, a CSMS and ``voltgate swarm`` as processes, fifty listeners of changes, and Debian's chromium. One
charger more, the marker, sends a reading twice a second; the page notes when its row shows it. Times in the
page and of the marker are of the same clock. Paint and scrolling are measured with the processor slowed to a
quarter, as a phone is, and the browser before all others; latency without, and all alike. Paint also in a
network that sends one message a second.
Run: ``make bench-pages``, or ``python benchmarks/pages.py --chargers 500 --rate 100`` to try it
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import servers
import websockets
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright
from run import raise_descriptor_limit
from websockets.typing import Subprotocol

from csms.pages.views import ARGUMENTS, PHONE  # servers has found the tests

THROTTLED = 4
OPENING = 1500  # milliseconds in which a new window loads 160 files of the browser's own
FIRST = -10  # the priority of the browser, which only root may raise
VISITS = 3
PATIENCE = 120_000.0  # milliseconds until the marker's last reading must be on the screen
MARKER = "0-MARKER"  # the first row of the list
BETWEEN = 0.5  # seconds between two readings of it
CAUGHT_UP = 0.5  # seconds that the ledger may be behind before the marker begins
CONSOLE = (
    '[csms]\ndatabase = "sqlite:///{folder}/csms.db"\nport = {port}\npublic_url = "http://127.0.0.1:{port}"\n'
)
# When the first row of a charger is on the screen: the frame after the one in which it is in the document.
PAINTED = """
    new MutationObserver((_, observer) => {
        if (!document.querySelector("main [data-testid^=charger-]")) return;
        observer.disconnect();
        requestAnimationFrame(() => (window.painted = performance.now()));
    }).observe(document, { childList: true, subtree: true });
"""
KEPT = """
    async () =>
        !!navigator.serviceWorker.controller && !!(await caches.match("/picture", { cacheName: "picture" }))
"""
SCROLL = """
    async (seconds) => {
        const frames = [], tasks = [];
        new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
            .observe({ type: "longtask" });
        const begun = performance.now();
        let before = begun, step = 40;
        while (before - begun < seconds * 1000) {
            const at = await new Promise(requestAnimationFrame);
            if (before !== begun) frames.push(at - before);
            before = at;
            if (scrollY + innerHeight >= document.documentElement.scrollHeight - 1) step = -40;
            else if (scrollY === 0) step = 40;
            scrollBy(0, step);
        }
        return { frames, tasks };
    }
"""
SEEN = """
    (marker) => {
        window.seen = {};
        const value = () => document.querySelector(`[data-testid="charger-${marker}"] [data-testid=power]`);
        let before = value()?.textContent;
        new MutationObserver(() => {
            const text = value()?.textContent;
            if (!text || text === before) return;
            before = text;
            requestAnimationFrame(() => (window.seen[parseFloat(text)] = Date.now()));
        }).observe(document.body, { childList: true, characterData: true, subtree: true });
    }
"""


@dataclass
class Network:
    """What is measured. ``wanted``: chargers, the marker among them."""

    url: str
    gateway: str
    key: str
    link: str
    wanted: int


@dataclass
class Field:
    """The marker and the listeners, on a loop of a thread of its own."""

    network: Network
    consoles: int
    known: set[str] = field(default_factory=set)
    """Chargers that one of the listeners was told of."""
    changes: int = 0
    """Rows of changes that it was sent."""
    lag: float = 0.0  # of the ledger, in seconds, as the console said last
    most: float = 0.0  # of it, while the marker sends
    sent: dict[float, float] = field(default_factory=dict)
    """When the marker wrote the reading of so many kW, in milliseconds."""
    marking: bool = False

    def run(self) -> None:
        """For the life of the process."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self.network.key}"}
        async with (
            aiohttp.ClientSession(
                self.network.url, headers=headers, timeout=aiohttp.ClientTimeout(), auto_decompress=False
            ) as http,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._mark())
            group.create_task(self._count(http))
            for _ in range(self.consoles - 1):
                group.create_task(self._listen(http))

    async def _listen(self, http: aiohttp.ClientSession) -> None:
        async with http.get("/api/v1/live?form=columns", headers={"Accept-Encoding": "gzip"}) as answer:
            async for _ in answer.content.iter_any():
                pass

    async def _count(self, http: aiohttp.ClientSession) -> None:
        async with http.get("/api/v1/live?form=columns", headers={"Accept-Encoding": "identity"}) as answer:
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {") and b'"chargers"' in line:
                        said = orjson.loads(line[6:])
                        self.lag = said["lag"]
                        self.most = max(self.most, self.lag if self.marking else 0.0)
                        self.known.update(said["chargers"].get("id", ()))
                        self.changes += len(said["values"].get("charger", ()))
                        self.changes += len(said["connectors"].get("charger", ()))

    async def _mark(self) -> None:
        url = f"{self.network.gateway}/{MARKER}"
        async with websockets.connect(
            url, subprotocols=[Subprotocol("ocpp1.6")], ping_interval=None
        ) as socket:

            async def call(action: str, body: dict[str, Any]) -> Any:
                await socket.send(json.dumps([2, f"{action}-{time.monotonic_ns()}", action, body]))
                return json.loads(await socket.recv())[2]

            await call("BootNotification", {"chargePointVendor": "Bench", "chargePointModel": "Marker"})
            begin = {"connectorId": 1, "idTag": "MARK", "meterStart": 0, "timestamp": _now()}
            transaction = (await call("StartTransaction", begin))["transactionId"]
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
            await call("StatusNotification", status)
            watts = 1000
            while True:
                await asyncio.sleep(BETWEEN)
                if not self.marking:
                    continue
                watts += 100
                values = [
                    {"measurand": "Power.Active.Import", "value": str(watts), "unit": "W"},
                    {"measurand": "Energy.Active.Import.Register", "value": str(watts), "unit": "Wh"},
                ]
                reading = {
                    "connectorId": 1,
                    "transactionId": transaction,
                    "meterValue": [{"timestamp": _now(), "sampledValue": values}],
                }
                self.sent[watts / 1000] = time.time() * 1000
                await call("MeterValues", reading)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextmanager
def network(chargers: int, rate: float, folder: Path) -> Iterator[Network]:
    """Gateway, backend, CSMS and a swarm, for the block."""
    (port,) = servers.free_ports(1)
    every = set(servers.CORES)
    with (
        servers.voltgate(CONSOLE.format(folder=folder, port=port), cores=every) as gateway,
        ExitStack() as stack,
    ):
        config = ["--config", str(gateway.config)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VOLTGATE_")}

        def started(*words: str) -> None:
            command = [sys.executable, "-m", "voltgate", *words, *config]
            log = folder / f"{words[0]}.log"
            stack.enter_context(servers.running(command, every, environment, log))

        def said(*words: str) -> str:
            command = [sys.executable, "-m", "voltgate", *words, *config]
            return subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, check=True
            ).stdout.decode()

        started("backend")
        started("csms")
        url, base = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{gateway.port}/ocpp"
        until(lambda: servers.fetch(f"{url}/api/v1/health"), "the console")
        key = json.loads(said("csms", "key", "add", "bench", "--role", "viewer", "--json"))["key"]
        link = said("csms", "link", "bench", "--role", "viewer").strip()
        started(
            "swarm", "--json", "--url", base, "--chargers", str(chargers), "--rate", str(rate),
            "--duration", "3600", "--mix", "meter=90,status=10",
        )  # fmt: skip
        yield Network(url, base, key, link, chargers + 1)


def until(condition: Any, what: str, seconds: float = 300.0) -> None:
    """Wait; ends the benchmark when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"not in time: {what}")
        time.sleep(0.2)


def slowed(context: BrowserContext, page: Page) -> None:
    """The page's processor is as slow as a phone's."""
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": THROTTLED})


def visit(browser: Browser, state: Any, url: str) -> tuple[float, float, int]:
    """Milliseconds until chargers are on the screen, at the first visit and the next; nodes of the page."""
    context = browser.new_context(viewport=PHONE, storage_state=state, locale="en-GB")
    context.add_init_script(PAINTED)
    paints = []
    for _ in range(2):
        page = context.new_page()
        page.wait_for_timeout(OPENING)
        slowed(context, page)
        page.goto(f"{url}/chargers", wait_until="commit")
        page.wait_for_function("() => window.painted", polling=100)
        paints.append(page.evaluate("window.painted"))
        nodes = page.evaluate("document.querySelectorAll('*').length")
        # The service worker has its files, and the picture is kept.
        until(lambda page=page: page.evaluate(KEPT), "the picture in the browser")
        page.close()
    context.close()
    return paints[0], paints[1], nodes


def scrolled(browser: Browser, state: Any, url: str, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds between frames, and of long tasks."""
    context = browser.new_context(viewport=PHONE, storage_state=state, locale="en-GB")
    page = context.new_page()
    page.goto(f"{url}/chargers")
    page.get_by_test_id(f"charger-{MARKER}").wait_for()
    slowed(context, page)
    found = page.evaluate(SCROLL, seconds)
    context.close()
    return found["frames"], found["tasks"]


def marked(browser: Browser, state: Any, field: Field, seconds: float) -> list[float]:
    """Milliseconds from a reading that the marker wrote to its row; a reading that was overtaken has none."""
    context = browser.new_context(viewport=PHONE, storage_state=state, locale="en-GB")
    page = context.new_page()
    page.goto(f"{field.network.url}/chargers")
    page.get_by_test_id(f"charger-{MARKER}").wait_for()
    page.evaluate(SEEN, MARKER)
    until(lambda: field.lag < CAUGHT_UP, "the ledger has caught up")
    field.marking = True
    time.sleep(seconds)
    field.marking = False
    last = max(field.sent)
    page.wait_for_function("(last) => last in window.seen", arg=last, polling=100, timeout=PATIENCE)
    seen = {float(power): at for power, at in page.evaluate("window.seen").items()}
    context.close()
    return [seen[power] - at for power, at in field.sent.items() if power in seen]


def preferred(folder: Path) -> Path:
    """Chromium, before everybody else on these cores where we may: a phone has a processor of its own.

    It begins a session of its own, and Linux shares its cores between sessions (sched(7), autogroup).
    """
    script = folder / "chromium"
    script.write_text(
        f"#!/bin/sh\necho {FIRST} 2>/dev/null >/proc/self/autogroup\n"
        f'exec nice -n {FIRST} {shutil.which("chromium")} "$@"\n'
    )
    script.chmod(0o755)
    return script


def as_others() -> None:
    """Take the priority of :func:`preferred` from chromium."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):  # it has ended, or the priority was not ours to give
            if process.name().startswith("chrom"):
                Path(f"/proc/{process.pid}/autogroup").write_text("0")


@contextmanager
def opened(
    playwright: Playwright, chargers: int, rate: float, consoles: int
) -> Iterator[tuple[Field, Browser, Any]]:
    """A network that all listeners know, a browser, and the state of one who is logged in."""
    with (
        tempfile.TemporaryDirectory(prefix="voltgate-pages-") as folder,
        network(chargers, rate, Path(folder)) as running,
    ):
        field = Field(running, consoles)
        threading.Thread(target=field.run, daemon=True).start()
        until(lambda: len(field.known) >= running.wanted, f"{running.wanted} chargers")
        browser = playwright.chromium.launch(executable_path=preferred(Path(folder)), args=ARGUMENTS)
        context = browser.new_context(viewport=PHONE)
        page = context.new_page()
        page.goto(running.link)
        page.get_by_role("button").click()
        page.get_by_test_id("nav-now").wait_for()
        state = context.storage_state()
        context.close()
        yield field, browser, state
        browser.close()


def painted(browser: Browser, state: Any, url: str, when: str) -> Iterator[tuple[str, str]]:
    """First paint."""
    visits = [visit(browser, state, url) for _ in range(VISITS)]
    yield f"first paint {when}, first visit and next", f"{_middle(visits, 0)} ms, {_middle(visits, 1)} ms"
    yield "nodes of the document", f"{max(nodes for _, _, nodes in visits)}"


def measured(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """The rows, each when it is known."""
    with sync_playwright() as playwright, opened(playwright, options.chargers, 1.0, 1) as at_rest:
        field, browser, state = at_rest
        yield from painted(browser, state, field.network.url, "at rest")
    with (
        sync_playwright() as playwright,
        opened(playwright, options.chargers, options.rate, options.consoles) as loaded,
    ):
        field, browser, state = loaded
        running = field.network
        before, began = field.changes, time.monotonic()
        yield from painted(browser, state, running.url, "under load")
        frames, tasks = scrolled(browser, state, running.url, options.seconds)
        yield "frames while scrolling, p50 and p95", f"{_cut(frames, 50):.0f} ms, {_cut(frames, 95):.0f} ms"
        yield "longest task while scrolling", f"{max(tasks, default=0.0):.0f} ms"
        changes = (field.changes - before) / (time.monotonic() - began)
        counts = f"{running.wanted:,}, {options.consoles}, {changes:,.0f}"
        yield "chargers, consoles, changes per second", counts
        as_others()
        waits = marked(browser, state, field, options.seconds)
        cuts = f"{_cut(waits, 50):.0f} ms, {_cut(waits, 99):.0f} ms"
        yield f"charger's frame to screen, p50 and p99 of {len(waits)}", cuts
        yield "seconds that the ledger was behind, at most", f"{field.most:.1f}"
    yield "load average of the machine", " ".join(f"{one:.1f}" for one in os.getloadavg())


def _middle(visits: list[tuple[float, float, int]], place: int) -> str:
    return f"{statistics.median(one[place] for one in visits):,.0f}"


def _cut(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="The pages' figures.")
    parser.add_argument("--chargers", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="readings a second of all chargers")
    parser.add_argument("--consoles", type=int, default=50)
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="of scrolling, and of readings of the marker"
    )
    options = parser.parse_args()
    raise_descriptor_limit()
    for label, value in measured(options):
        print(f"{label:<55} {value}", flush=True)


if __name__ == "__main__":
    main()
