"""Values of the options of ``voltgate swarm``. Each function raises Failure (usage)."""

import csv
import ipaddress
import math
import resource
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from voltgate import _core
from voltgate.cli.faults import USAGE, Failure
from voltgate.schemas import SUBPROTOCOLS

if TYPE_CHECKING:
    from voltgate.charger.replay import Recorded

PER_PROCESS = 5_000
PER_ADDRESS = 20_000  # of 28,000 ports per source address
SPARE_DESCRIPTORS = 100


def process_count(chargers: int, wanted: int | None) -> int:
    """Enough for the descriptors of all chargers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the processes inherit it
        soft = hard
    most = max(1, soft - SPARE_DESCRIPTORS)
    count = wanted or math.ceil(chargers / min(PER_PROCESS, most))
    if math.ceil(chargers / count) > most:
        raise Failure(
            f"a process may open {most} connections (ulimit -n): use --processes "
            f"{math.ceil(chargers / most)} or more, or raise the limit",
            USAGE,
        )
    return min(count, chargers)


def host_of(url: str) -> str:
    """The host of a websocket URL that can be dialled."""
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise Failure(f"--url {url}: must have the form ws://HOST:PORT/PATH or wss://...", USAGE)
    try:
        in_range = parts.port is None or parts.port > 0
    except ValueError:
        in_range = False
    if not in_range:
        raise Failure(f"--url {url}: the port must be from 1 to 65535", USAGE)
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise Failure(
            "--url: must not have a query or fragment, because the identity is appended to its path", USAGE
        )
    if parts.username is not None:
        raise Failure(
            "--url: must not have a user; the identity is the user, and --password-file has passwords", USAGE
        )
    return parts.hostname


def sources(host: str, chargers: int, wanted: int | None) -> list[str]:
    """Local addresses to connect from; empty: chosen by the system."""
    try:
        here = host == "localhost" or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        here = False
    count = wanted or (math.ceil(chargers / PER_ADDRESS) if here else 1)
    if count == 1:
        return [""]
    if not here:
        raise Failure(
            "--source-addresses needs a gateway on this machine: it uses addresses from 127.0.0.1 on",
            USAGE,
        )
    return [str(ipaddress.IPv4Address("127.0.0.1") + number) for number in range(count)]


def logins(count: int, prefix: str, file: Path | None) -> list[tuple[str, str | None]]:
    """Identities with their passwords."""
    if file is None:
        return [(f"{prefix}{number:05}", None) for number in range(1, count + 1)]
    found = credentials(file)
    if len(found) < count:
        raise Failure(f"--password-file {file}: {len(found)} logins for {count} chargers", USAGE)
    return found[:count]


def credentials(file: Path) -> list[tuple[str, str | None]]:
    """All lines of --password-file."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return [_login(line) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError) as error:  # never the line itself: it contains a password
        reason = (
            getattr(error, "strerror", None) or "lines must be 'identity,password', or JSON with these keys"
        )
        raise Failure(f"--password-file {file}: {reason}", USAGE) from None


def _login(line: str) -> tuple[str, str | None]:
    if line.startswith("{"):
        record = orjson.loads(line)
        return record["identity"], record["password"]
    identity, password = next(csv.reader([line]))
    return identity, password


def mix(text: str, kinds: dict[str, int]) -> dict[str, int]:
    """Shares by kind, of ``meter=80,transaction=8``; kinds that are not named get none."""
    if not text:
        return kinds
    shares = dict.fromkeys(kinds, 0)
    for part in text.split(","):
        kind, _, share = part.strip().partition("=")
        if kind not in kinds or not share.isdecimal():
            raise Failure(
                f"--mix {part.strip()!r}: must have the form KIND=SHARE with a KIND of {', '.join(kinds)}",
                USAGE,
            )
        shares[kind] = int(share)
    if not any(shares.values()):
        raise Failure("--mix: every share is 0", USAGE)
    return shares


def faults(text: str) -> tuple[str, ...]:
    """The names of ``--faults``."""
    from voltgate.charger.faults import named  # noqa: PLC0415 - other commands need no websockets

    try:
        return named(text)
    except ValueError as error:
        raise Failure(f"--faults {error}", USAGE) from None


def profile(file: Path) -> list[tuple[float, float]]:
    """Points of a CSV file: time (seconds, or HH:MM, or HH:MM:SS), CALLs per second."""
    points: list[tuple[float, float]] = []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            for number, cells in enumerate(csv.reader(lines), 1):
                if not cells or (number == 1 and cells[0].strip() == "time"):
                    continue
                at, rate = _seconds(cells[0]), float(cells[1])
                if rate < 0 or not math.isfinite(rate + at) or (points and at <= points[-1][0]):
                    raise Failure(
                        f"--profile {file}, line {number}: times must increase, rates be 0 or more", USAGE
                    )
                points.append((at, rate))
    except OSError as error:
        raise Failure(f"--profile {file}: {error.strerror}", USAGE) from None
    except (ValueError, IndexError):
        raise Failure(f"--profile {file}, line {number}: must have the form 'HH:MM,RATE'", USAGE) from None
    if len(points) < 2:
        raise Failure(f"--profile {file}: needs two lines at least", USAGE)
    start = points[0][0]
    return [(at - start, rate) for at, rate in points]


def _seconds(text: str) -> float:
    seconds = 0.0
    parts = text.strip().split(":")
    for part in parts:
        seconds = seconds * 60 + float(part)
    return seconds * 60 if len(parts) == 2 else seconds


def frames(file: Path) -> "list[Recorded]":
    """The recorded CALLs of --replay, by time."""
    from voltgate.charger import replay  # noqa: PLC0415 - other commands need no websockets

    try:
        found = replay.read(file)
    except OSError as error:
        raise Failure(f"--replay {file}: {error.strerror}", USAGE) from None
    except ValueError as error:
        raise Failure(f"--replay {file}: {error}", USAGE) from None
    if not found:
        raise Failure(f"--replay {file}: no CALL of a charger in it", USAGE)
    return found


def command(text: str) -> tuple[str, bytes]:
    """Action and payload of ``ACTION`` or ``ACTION JSON``."""
    action, _, payload = text.strip().partition(" ")
    rows = [row for version in SUBPROTOCOLS for row in _core.actions(version)]
    if action not in {name for name, sender, *_ in rows if sender != "charger"}:
        raise Failure(f"--command {action}: is not a command; `voltgate policy` lists actions", USAGE)
    try:
        orjson.loads(payload or "{}")
    except orjson.JSONDecodeError as error:
        raise Failure(f"--command {action}: {error}", USAGE) from None
    return action, (payload or "{}").encode()
