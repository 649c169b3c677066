"""``make strangers``: build the drivers, let all of them talk to one gateway, and print the table."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import monotonic

from building import UnavailableError
from e2e.strangers import connected
from faults.process import tail
from strangers.clients import CLIENTS, Client
from strangers.guest import COLUMNS, PATIENCE, Guest
from strangers.site import HAPROXY, Site, running
from strangers.ways import Road


def main() -> int:
    arguments = _arguments()
    began = monotonic()
    commands: dict[str, list[str]] = {}
    unavailable: dict[str, str] = {} if HAPROXY else {Road.HAPROXY.value: "haproxy is not installed"}
    chosen = [client for client in CLIENTS if arguments.client in (None, client.name)]
    for client in chosen:
        print(f"getting {client.name}", file=sys.stderr, flush=True)
        try:
            commands[client.name] = client.ready()
        except UnavailableError as error:
            unavailable[client.name] = str(error)
    built = monotonic() - began
    with tempfile.TemporaryDirectory(prefix="voltgate-strangers-") as folder:
        guests, wrong = asyncio.run(visit(chosen, commands, Path(folder)))
    print(table(chosen, guests))
    print(f"{built:.0f} s to get the clients, {monotonic() - began - built:.0f} s of conversations")
    wrong += [f"{guest.identity}: {guest.wrong}" for guest in guests if guest.wrong]
    for line in [*wrong, *(f"{name} is not here: {why}" for name, why in unavailable.items())]:
        print(line)
    # CI has every tool and reaches every registry: what is missing there is a fault, not a machine's poverty.
    failed = len(wrong) + (len(unavailable) if os.environ.get("CI") else 0)
    print(f"strangers: {sum(not guest.wrong for guest in guests)} passed, {failed} failed")
    return 1 if failed else 0


async def visit(
    clients: list[Client], commands: dict[str, list[str]], folder: Path
) -> tuple[list[Guest], list[str]]:
    """All of them at once; gives them back, and what is wrong with the gateway itself."""
    async with running(folder) as site:
        nats = await connected(site.url)
        guests = [
            Guest(client.name, version, way, nats, folder)
            for client in clients
            if client.name in commands
            for version, way in client.visits
            if HAPROXY or way.road is not Road.HAPROXY
        ]
        await site.start((guest.identity, guest.way) for guest in guests)
        await _until(site.ready, "the gateway is ready")

        async def all_of(column: str, work: Callable[[Guest], Coroutine[None, None, None]]) -> None:
            await asyncio.gather(*(guest.phase(column, work) for guest in guests))

        wrong: list[str] = []
        starting = asyncio.Semaphore(2)  # a virtual machine or a set of schemas takes a core for a while

        async def converse(guest: Guest) -> None:
            async with starting:
                await guest.start(commands[guest.client], site.login(guest.identity, guest.way))
                await guest.converse()

        try:
            await all_of("conversation", converse)
            await all_of("commands", Guest.obey)
            site.gateway.terminate()
            await _until(lambda: _ended(site.gateway.runs), "the gateway has left")
            if code := site.gateway.kill():
                wrong.append(f"the gateway left with {code} on SIGTERM")
            site.gateway.start()
            await all_of("restart", Guest.go_on)
            await all_of("stored once", Guest.audit)
        finally:
            for guest in guests:
                await guest.leave()
            await nats.close()
        wrong += _odd_words(site)
        return guests, wrong


def table(clients: list[Client], guests: list[Guest]) -> str:
    rows = [["client", "version", "profile", "way", *COLUMNS]]
    for client in clients:
        for version, way in client.visits:
            visits = (guest for guest in guests if guest.client == client.name)
            guest = next((one for one in visits if (one.version, one.way) == (version, way)), None)
            if guest is None:
                cells = ["not here" for _ in COLUMNS]
            else:
                passed = guest.passed
                failing = next((column for column in COLUMNS if column not in passed), "")
                cells = ["ok" if one in passed else "FAILED" if one == failing else "-" for one in COLUMNS]
            rows.append([client.name, version, way.shown, way.road.value, *cells])
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    return "\n".join("".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _odd_words(site: Site) -> list[str]:
    """Nothing that a client of another make says may end in a traceback of ours."""
    return [
        tail(process.name, process.log)
        for process in site.processes
        if "Traceback" in process.log.read_text(errors="replace")
    ]


async def _ended(runs: bool) -> bool:
    return not runs


async def _until(holds: Callable[[], Coroutine[None, None, bool]], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not await holds():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise SystemExit(f"not in time: {what}") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="strangers", description=__doc__)
    parser.add_argument("--client", choices=[client.name for client in CLIENTS], help="only this one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
